"""gif: the right part, size, rate and format, and nothing that fills the memory."""

from __future__ import annotations

import pytest

from engine.webp import read_animation
from problems import Problem
from tests.engine.clips import Clips
from tests.engine.conftest import Perform
from tests.engine.results import duration, frames, nearest, only, raw_probe, size
from tests.engine.test_parameters import refusals
from tests.engine.test_plans import decisions, media, planned
from tests.engine.test_plans import size as size_of
from tests.engine.test_trim import moving


@pytest.mark.parametrize("format_", ["gif", "mp4"])
@pytest.mark.parametrize("muxer", ["mp4", "mpegts"])
def test_a_part_becomes_a_moving_picture(clips: Clips, perform: Perform, format_: str, muxer: str) -> None:
    source = moving(clips, muxer=muxer)
    wish = {"start": "2", "duration": 1.6, "width": 160, "fps": 5, "format": format_}
    artifact = only(perform("gif", wish, source))
    assert artifact.content_type == {"gif": "image/gif", "mp4": "video/mp4"}[format_]
    assert size(artifact.path) == (160, 90)
    assert duration(artifact.path) == pytest.approx(1.6, abs=0.05)
    assert len(raw_probe(artifact.path)["streams"]) == 1
    shown, whole = frames(artifact.path), frames(source)
    assert len(shown) == 8
    assert [nearest(picture, whole) for picture in shown] == pytest.approx(
        [50 + 5 * number for number in range(8)], abs=1
    )


def test_a_gif_is_played_for_ever(clips: Clips, perform: Perform) -> None:
    data = only(perform("gif", {"duration": 0.5, "width": 64}, clips.container("webm"))).path.read_bytes()
    assert data.startswith(b"GIF89a")
    assert b"NETSCAPE2.0\x03\x01\x00\x00" in data


def test_a_short_or_slow_video_gives_what_it_has(clips: Clips, perform: Perform) -> None:
    plan = planned("gif", media(duration=2.0), start=1, fps=50, width=8000)
    assert plan.summary == "From 00:00:01.000 to 00:00:02.000 as GIF, 1920x1080, 25 frames a second."
    assert decisions(plan) == {0: ("encode", "gif"), 1: ("drop", "aac")}
    assert duration(only(perform("gif", {"width": 64}, clips.container("mp4"))).path) == pytest.approx(
        3, abs=0.1
    )


def test_a_gif_that_would_fill_the_memory_does_not_fit() -> None:
    with pytest.raises(Problem, match="MP4 can carry it") as caught:
        planned("gif", media(), duration=30, width=1920, fps=25)
    assert caught.value.code == "parameters_do_not_fit"
    assert size_of(planned("gif", media(), duration=30, width=1920, fps=25, format="mp4")) == (1920, 1080)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"duration": 0}, {"/parameters/duration": "too_small"}),
        ({"duration": 60.5}, {"/parameters/duration": "too_large"}),
        ({"fps": 0}, {"/parameters/fps": "too_small"}),
        ({"fps": 51}, {"/parameters/fps": "too_large"}),
        ({"width": -1}, {"/parameters/width": "too_small"}),
        ({"format": "apng"}, {"/parameters/format": "not_a_choice"}),
    ],
)
def test_nonsense_is_pointed_at(raw: dict[str, object], expected: dict[str, str]) -> None:
    assert refusals("gif", raw) == expected


@pytest.mark.parametrize(("format_", "place"), [("gif", b"NETSCAPE2.0\x03\x01"), ("webp", b"ANIM")])
def test_how_often_it_is_played(clips: Clips, perform: Perform, format_: str, place: bytes) -> None:
    for wish, rounds in (({}, 0), ({"loop": 3}, 2 if format_ == "gif" else 3)):
        raw = {"duration": 1, "width": 64, "format": format_, **wish}
        data = only(perform("gif", raw, clips.container("mp4"))).path.read_bytes()
        at = data.index(place) + len(place) + (8 if format_ == "webp" else 0)
        assert int.from_bytes(data[at : at + 2], "little") == rounds


def test_a_moving_webp(clips: Clips, perform: Perform) -> None:
    artifact = only(perform("gif", {"duration": 2, "fps": 10, "format": "webp"}, clips.container("mp4")))
    assert artifact.content_type == "image/webp"
    found = read_animation(artifact.path)
    assert found is not None
    assert (found.width, found.height, found.pictures, found.whole) == (320, 180, 20, True)
    assert found.duration == pytest.approx(2, abs=0.2)
    cut = artifact.path.with_name("cut")
    cut.write_bytes(artifact.path.read_bytes()[:-100])
    broken = read_animation(cut)
    assert broken is None or not broken.whole


def test_an_mp4_does_not_say_how_often() -> None:
    assert refusals("gif", {"format": "mp4", "loop": 2}) == {"/parameters/loop": "not_applicable"}
