"""A newcomer's way through the site in a real browser: sign up, upload, resize, watch, play, download."""

from __future__ import annotations

import json
import secrets
import struct
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from engine.control import Control
from engine.probe import probe
from engine.samples import sample_clip
from engine.types.limits import Limits
from engine.whitelist import RESULTS

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Long enough that its bar has to move."""
    path = tmp_path_factory.mktemp("clips") / "holiday film.mp4"
    sample_clip(path, seconds=12, width=1920, height=1080)
    return path


def _sign_up(page: Page) -> str:
    name = f"newcomer{secrets.token_hex(4)}"
    page.goto("/")
    page.get_by_role("link", name="Sign up").first.click()
    page.get_by_label("Username").fill(name)
    page.get_by_label("Email").fill(f"{name}@example.org")
    page.get_by_label("Password").fill(secrets.token_urlsafe(12))
    page.get_by_role("button", name="Sign up").click()
    expect(page).to_have_url("/")
    return name


def test_sign_up_upload_resize_watch_play_and_download(page: Page, clip: Path, tmp_path: Path) -> None:
    seen: list[float] = []

    def remember(payload: str | bytes) -> None:
        message = json.loads(payload)
        if message["type"] == "job.progress" and message["job"]["type"] == "resize":
            seen.append(message["job"]["progress"])

    page.on("websocket", lambda socket: socket.on("framereceived", remember))
    _sign_up(page)

    page.goto("/upload/")
    page.locator("input[type=file]").first.set_input_files(clip)
    page.locator("#uploaded a").click(timeout=60_000)

    expect(page.get_by_role("heading", name="holiday film", level=1)).to_be_visible()
    expect(page.get_by_text("1920×1080").first).to_be_visible(timeout=30_000)

    card = page.locator("details.operation-choice", has_text="Resize")
    card.locator("summary").first.click()
    card.get_by_label("Width").fill("1280")
    expect(card.get_by_text("From 1920x1080 to 1280x720.")).to_be_visible(timeout=10_000)
    card.get_by_role("button", name="Start").click()

    result = page.locator(".result").first
    expect(result).to_be_visible(timeout=120_000)
    assert len(set(seen)) >= 5, f"the bar moved through {sorted(set(seen))} only"
    assert seen == sorted(seen), "progress went backwards"

    result.get_by_role("button", name="Play").first.click()
    player = result.locator("video")
    # Playwright's own waiting would evaluate a string, which the page's content policy forbids.
    for _ in range(100):
        if player.evaluate("video => video.currentTime") > 0.5:
            break
        page.wait_for_timeout(200)
    assert player.evaluate("video => video.currentTime") > 0.5, "it does not play"
    assert player.evaluate("video => video.videoWidth") == 1280

    with page.expect_download() as waiting:
        result.get_by_role("link", name="Download").click()
    target = tmp_path / "source"
    waiting.value.save_as(target)
    assert waiting.value.suggested_filename == "holiday film - resize.mp4"
    media = probe(target, reading=RESULTS, limits=Limits(), control=Control()).media
    assert media.main_video is not None
    assert (media.main_video.display_width, media.main_video.display_height) == (1280, 720)
    assert media.duration == pytest.approx(12, abs=0.1)


def test_a_newcomer_without_a_video_tries_the_sample(page: Page) -> None:
    _sign_up(page)
    page.get_by_role("button", name="Try a sample clip").click()
    expect(page.locator("video")).to_be_visible(timeout=30_000)


def test_an_upload_goes_on_after_a_reload_by_choosing_the_file_again(
    page: Page, clip: Path, tmp_path: Path
) -> None:
    film = tmp_path / "long film.mp4"
    padding = 20 * 1024**2
    film.write_bytes(
        clip.read_bytes() + struct.pack(">I4s", padding, b"free") + secrets.token_bytes(padding - 8)
    )
    _sign_up(page)
    page.goto("/upload/")
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    line = {"offline": False, "latency": 0, "downloadThroughput": -1}
    session.send("Network.emulateNetworkConditions", {**line, "uploadThroughput": film.stat().st_size / 6})
    page.locator("input[type=file]").first.set_input_files(film)
    page.wait_for_timeout(3000)
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    assert 0 < _arrived(page) < film.stat().st_size

    session.send("Network.emulateNetworkConditions", {**line, "uploadThroughput": -1})
    with page.expect_request(lambda request: request.method == "PATCH") as patch:
        page.locator("input[type=file]").first.set_input_files(film)
    assert int(patch.value.headers["upload-offset"]) > 0
    expect(page.locator("#uploaded a")).to_be_visible(timeout=60_000)


def _arrived(page: Page) -> int:
    """How much of the one unfinished upload the page says has arrived, in bytes."""
    for _ in range(20):
        arrived = int(page.locator("section progress").get_attribute("value") or 0)
        if arrived:
            return arrived
        # What came over a cut connection is noted a moment after it is gone.
        page.wait_for_timeout(300)
        page.reload()
    return 0
