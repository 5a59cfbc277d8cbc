"""A stream in a real browser: it is made on the page, plays, seeks and changes its size."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from engine.samples import sample_clip

pytestmark = pytest.mark.e2e

SECONDS = 8


def _becomes(page: Page, true: Callable[[], bool], what: str) -> None:
    # Playwright's own waiting would evaluate a string, which the page's content policy forbids.
    for _ in range(100):
        if true():
            return
        page.wait_for_timeout(200)
    raise AssertionError(what)


def _choose_size(result: Locator, name: str) -> None:
    result.get_by_role("button", name="Settings").click()
    result.get_by_role("menuitem", name="Size").click()
    result.get_by_role("menuitemradio", name=name).click()


def test_a_stream_plays_seeks_and_changes_its_size(page: Page, tmp_path: Path) -> None:
    clip = tmp_path / "river.mp4"
    sample_clip(clip, seconds=SECONDS, width=640, height=360)
    page.goto("/accounts/signup/")
    page.get_by_label("Username").fill(f"streamer{secrets.token_hex(4)}")
    page.get_by_label("Email").fill(f"{secrets.token_hex(4)}@example.org")
    page.get_by_label("Password").fill(secrets.token_urlsafe(12))
    page.get_by_role("button", name="Sign up").click()
    page.goto("/upload/")
    page.locator("input[type=file]").first.set_input_files(clip)
    page.locator("#uploaded a").click(timeout=60_000)

    card = page.locator("details.operation-choice", has_text="HLS stream")
    card.locator("summary").click(timeout=30_000)
    card.get_by_label("Sizes").fill("360, 180")
    card.get_by_label("Segment").fill("2")
    expect(card.get_by_text("HLS stream in 360p, 180p, H.264, one sound track.")).to_be_visible(
        timeout=10_000
    )
    card.get_by_role("button", name="Start").click()

    result = page.locator(".result").first
    expect(result.get_by_text("360p, 180p")).to_be_visible(timeout=120_000)
    assert result.get_by_role("link", name="Download").count() == 0
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    result.get_by_role("button", name="Play").first.click()
    player = result.locator("video")

    def figure(name: str) -> float:
        return float(player.evaluate(f"(video) => video.{name}"))

    _becomes(page, lambda: figure("currentTime") > 0.5, "it does not play")
    assert abs(figure("duration") - SECONDS) < 0.2

    # While it plays, the controls and their menu go away by themselves.
    result.get_by_role("button", name="Pause").first.click()
    _choose_size(result, "180p")
    player.evaluate("video => { video.currentTime = 6; return video.play(); }")
    _becomes(page, lambda: figure("videoHeight") == 180, "it does not change to the smaller size")
    _becomes(page, lambda: figure("currentTime") > 6.3, "it does not play on after a jump")
    assert figure("videoHeight") == 180
    assert any(url.endswith("/files/180p.mp4") for url in fetched)
    assert any(url.endswith("/files/sound-1.mp4") for url in fetched)

    # Somebody else has no business there.
    stranger = page.context.browser
    assert stranger is not None
    other = stranger.new_context()
    address = next(url for url in fetched if url.endswith("/files/180p.mp4"))
    answer = other.request.get(address)
    assert answer.status == 401, json.loads(answer.text())
    other.close()
    part = page.context.request.get(address, headers={"Range": "bytes=0-99"})
    assert (part.status, len(part.body())) == (206, 100)
    assert part.headers["content-type"] == "video/mp4"
