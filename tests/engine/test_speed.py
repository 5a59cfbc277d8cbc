"""speed: picture and sound change together, and the pitch stays."""

from __future__ import annotations

import pytest

from engine.types.media import SubtitleStream
from problems import Problem
from tests.engine.clips import H264, Clips, picture, sound
from tests.engine.conftest import Perform
from tests.engine.results import duration, frames, loudest, nearest, only, pitch, raw_probe
from tests.engine.test_parameters import refusals
from tests.engine.test_plans import decisions, media, planned
from tests.engine.test_trim import moving


@pytest.mark.parametrize("muxer", ["mp4", "matroska"])
@pytest.mark.parametrize("factor", [0.25, 0.8, 1.5, 4])
def test_picture_and_sound_stay_together(clips: Clips, perform: Perform, muxer: str, factor: float) -> None:
    source = moving(clips, muxer=muxer)
    path = only(perform("speed", {"factor": factor}, source)).path
    # The last frame is shown as long as it was.
    assert duration(path) == pytest.approx(5 / factor, abs=0.15)
    # A stretched sound swells a little before its time, the more the slower.
    slack = 0.05
    heard = [number / 100 for number, piece in enumerate(loudest(path)) if piece > 0.4]
    assert heard[0] == pytest.approx(2 / factor, abs=slack)
    assert heard[-1] == pytest.approx(3 / factor, abs=slack)
    shown = frames(path)
    assert len(shown) == pytest.approx(125 / max(1, factor), abs=2)
    assert nearest(shown[len(shown) // 2], frames(source)) == pytest.approx(62, abs=max(2, factor))


@pytest.mark.parametrize("factor", [0.25, 0.3, 0.5, 2, 4])
def test_clicks_stay_where_they_belong(clips: Clips, perform: Perform, factor: float) -> None:
    """Six clicks of 20 ms, every second: each is heard, within a frame of its picture, also the last."""
    clicks = "aevalsrc='if(between(mod(t,1),0.5,0.52),sin(1760*PI*t),0)':d=6:s=48000"
    source = clips.made(
        "clicks", *picture(size="64x64", seconds=6), "-f", "lavfi", "-i", clicks, *H264, "-f", "mp4"
    )
    pieces = loudest(only(perform("speed", {"factor": factor}, source)).path)
    for second in range(6):
        part = [(at / 100, piece**2) for at, piece in enumerate(pieces)]
        part = [(at, power) for at, power in part if second <= at * factor < second + 1]
        loudness = sum(power for _, power in part)
        assert loudness > 0.01
        middle = sum((at + 0.005) * power for at, power in part) / loudness
        assert middle == pytest.approx((second + 0.51) / factor, abs=0.04)


def test_the_pitch_stays(clips: Clips, perform: Perform) -> None:
    path = only(perform("speed", {"factor": 2}, moving(clips))).path
    assert pitch(path, start=1.1, length=0.3) == pytest.approx(440, rel=0.05)


def test_sound_that_begins_late_still_does(clips: Clips, perform: Perform) -> None:
    late = ["-itsoffset", "1", *sound(seconds=2)]
    source = clips.made("late-tone", *picture(), *late, "-map", "0", "-map", "1", *H264, "-f", "mp4")
    pieces = loudest(only(perform("speed", {"factor": 2}, source)).path)
    first = next(number for number, piece in enumerate(pieces) if piece > 0.05)
    assert first / 100 == pytest.approx(0.5, abs=0.05)


def test_what_has_times_of_its_own_is_left_out() -> None:
    plan = planned("speed", media(subtitles=(SubtitleStream(index=2, codec="subrip"),)), factor=2)
    assert decisions(plan) == {0: ("encode", "h264"), 1: ("encode", "aac"), 2: ("drop", "subrip")}
    assert plan.summary == "2 times as fast: from 60.0 s to 30.0 s."
    assert plan.outputs[0].expectation.duration == 30


def test_a_silent_video_can_be_fast(clips: Clips, perform: Perform) -> None:
    source = clips.made("silent", *picture(rate="30000/1001"), *H264, "-f", "mp4")
    path = only(perform("speed", {"factor": "2.5"}, source)).path
    assert raw_probe(path)["streams"][0]["r_frame_rate"] == "30000/1001"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ({}, "required"),
        ({"factor": 0}, "too_small"),
        ({"factor": 0.2}, "too_small"),
        ({"factor": 5}, "too_large"),
        ({"factor": float("nan")}, "not_a_number"),
        ({"factor": 1e308}, "too_large"),
        ({"factor": "fast"}, "not_a_number"),
    ],
)
def test_nonsense_is_pointed_at(raw: dict[str, object], code: str) -> None:
    assert refusals("speed", raw) == {"/parameters/factor": code}


def test_the_same_speed_does_not_fit() -> None:
    with pytest.raises(Problem) as caught:
        planned("speed", media(), factor=1)
    assert caught.value.code == "parameters_do_not_fit"
