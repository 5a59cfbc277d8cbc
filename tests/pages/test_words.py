"""Figures and files in words."""

from __future__ import annotations

import pytest

from engine.types.media import MediaInfo
from tests.pages.conftest import MEDIA
from users.templatetags.user_agents import browser
from videoproc.templatetags.ui import clock, roughly, took
from videos.playback import browser_plays, why_not
from videos.templatetags.media import size_change


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0:00"), (59.6, "1:00"), (750, "12:30"), (3723, "1:02:03"), (None, "")]
)
def test_clock(seconds: float | None, words: str) -> None:
    assert clock(seconds) == words


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [(None, ""), (850, "850 ms"), (12_340, "12.3 s"), (250_000, "4 min 10 s"), (7_500_000, "2 h 5 min")],
)
def test_took(milliseconds: int | None, words: str) -> None:
    assert took(milliseconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.1, "1 s"), (59.4, "59 s"), (130, "2 min"), (9000, "2.5 h")]
)
def test_roughly(seconds: float, words: str) -> None:
    assert roughly(seconds) == words


@pytest.mark.parametrize(
    ("size", "before", "words"),
    [(38, 100, "62 % smaller"), (108, 100, "8 % larger"), (100, 100, "same size"), (5, 0, "")],
)
def test_size_change(size: int, before: int, words: str) -> None:
    assert size_change(size, before) == words


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1",
            "Safari on iPhone",
        ),
        ("curl/8.1", "curl"),
        ("", "Unknown browser"),
    ],
)
def test_browser(header: str, words: str) -> None:
    assert browser(header) == words


def _with(**stream: object) -> MediaInfo:
    return MEDIA.model_copy(update={"video": (MEDIA.video[0].model_copy(update=stream),)})


def test_what_browsers_play() -> None:
    assert browser_plays(MEDIA)
    assert browser_plays(MEDIA.model_copy(update={"audio": ()}))
    assert not browser_plays(_with(codec="hevc"))
    assert why_not(_with(codec="hevc")) == "Browsers do not play HEVC pictures in MP4 files."
    assert not browser_plays(_with(pixel_format="yuv444p10le"))
    assert "yuv444p10le" in why_not(_with(pixel_format="yuv444p10le"))
    assert not browser_plays(MEDIA.model_copy(update={"container": "avi"}))
    assert browser_plays(MEDIA.model_copy(update={"video": (), "container": "m4a"}))
