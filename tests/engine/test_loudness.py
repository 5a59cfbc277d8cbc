"""loudness: measured, changed by one amount, and measured again."""

from __future__ import annotations

import pytest

from problems import Problem
from tests.engine.clips import H264, Clips, picture, sound
from tests.engine.conftest import Perform
from tests.engine.results import codecs, frames, loudest, only, raw_probe
from tests.engine.test_parameters import refusals
from tests.engine.test_plans import decisions, media, planned


@pytest.mark.parametrize("target", [-30, -23, -16])
def test_sound_gets_the_loudness(clips: Clips, perform: Perform, target: float) -> None:
    source = clips.container("mp4")
    result = perform("loudness", {"target": target}, source)
    artifact = only(result)
    checks = {check.name: check.actual for check in artifact.verification.report}
    assert float(checks["loudness"].removesuffix(" LUFS")) == pytest.approx(target, abs=0.6)
    assert "sound track 1: -2" in result.log
    assert codecs(artifact.path) == ["h264", "aac"]
    assert frames(artifact.path) == frames(source)
    assert raw_probe(artifact.path)["streams"][1]["sample_rate"] == "44100"


def test_soft_stays_softer_than_loud(clips: Clips, perform: Perform) -> None:
    """One amount for the whole track: the steps inside of it stay as they are."""
    tone = "aevalsrc='if(lt(t,3),0.05,0.2)*sin(880*PI*t)':d=6:s=48000"
    source = clips.made("steps", *picture(seconds=6), "-f", "lavfi", "-i", tone, *H264, "-f", "mp4")
    pieces = loudest(only(perform("loudness", {"target": -20}, source)).path)
    assert pieces[500] / pieces[100] == pytest.approx(4, rel=0.1)


def test_peaks_are_softened(clips: Clips, perform: Perform) -> None:
    """A click every second is far above the rest, so the rest cannot be lifted by one amount alone."""
    tone = "aevalsrc='if(lt(mod(t,1),0.002),0.9,0.02)*sin(880*PI*t)':d=5:s=48000"
    source = clips.made("clicks", *picture(seconds=5), "-f", "lavfi", "-i", tone, *H264, "-f", "mp4")
    wish = {"target": -20, "true_peak": -2}
    assert max(loudest(only(perform("loudness", wish, source)).path)) < 0.95


def test_every_track_is_measured_for_itself(clips: Clips, perform: Perform) -> None:
    quiet = ["-f", "lavfi", "-i", "sine=f=880:d=3,volume=-20dB"]
    silence = ["-f", "lavfi", "-i", "anullsrc=d=3"]
    source = clips.made(
        "loud-and-quiet", *picture(), *sound(), *quiet, *silence,
        "-map", "0", "-map", "1", "-map", "2", "-map", "3", *H264, "-c:a", "aac", "-t", "3", "-f", "mp4",
    )  # fmt: skip
    checks = only(perform("loudness", {"target": -23}, source)).verification.report
    told = [check.actual for check in checks if check.name == "loudness"]
    assert [float(level.removesuffix(" LUFS")) for level in told[:2]] == pytest.approx([-23, -23], abs=0.6)
    assert told[2] == "silence"


def test_silence_has_no_loudness(clips: Clips, perform: Perform) -> None:
    silence = ["-f", "lavfi", "-i", "anullsrc=d=2"]
    source = clips.made(
        "silence", *picture(seconds=2), *silence, *H264, "-c:a", "aac", "-t", "2", "-f", "mp4"
    )
    with pytest.raises(Problem, match="The sound is silent") as caught:
        perform("loudness", {}, source)
    assert caught.value.code == "parameters_do_not_fit"


def test_the_picture_is_copied() -> None:
    plan = planned("loudness", media())
    assert decisions(plan) == {0: ("copy", "h264"), 1: ("encode", "aac")}
    assert plan.summary == "Sound to -16 LUFS with peaks up to -1 dBTP."
    with pytest.raises(Problem) as caught:
        planned("loudness", media(audio=()))
    assert caught.value.code == "no_audio_stream"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"target": 0}, {"/parameters/target": "too_large"}),
        ({"target": -70}, {"/parameters/target": "too_small"}),
        ({"target": float("inf")}, {"/parameters/target": "not_a_number"}),
        ({"true_peak": 1}, {"/parameters/true_peak": "too_large"}),
        ({"range": 0}, {"/parameters/range": "too_small"}),
    ],
)
def test_nonsense_is_pointed_at(raw: dict[str, object], expected: dict[str, str]) -> None:
    assert refusals("loudness", raw) == expected
