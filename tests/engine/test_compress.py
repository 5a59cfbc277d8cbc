"""compress: never above the size, well filled, or as good as asked; all measured on what came out."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.catalogue import normalised, parameters_for
from engine.execute import StepResult
from engine.types.media import MediaInfo
from problems import Problem
from tests.engine.clips import H264, Clips, picture, sound
from tests.engine.conftest import Perform
from tests.engine.results import codecs, only, raw_probe
from tests.engine.test_parameters import refusals
from tests.engine.test_plans import PICTURE, SOUND, media, planned

LARGE = 19


def noisy(clips: Clips, seconds: float = 4) -> Path:
    """Moving grain is hard to compress, so every size asked for is used up."""
    return clips.made(
        f"noisy{seconds}", *picture(seconds=seconds), *sound(seconds=seconds),
        "-vf", "noise=alls=30:allf=t", *H264, "-crf", str(LARGE), "-c:a", "aac", "-f", "mp4",
    )  # fmt: skip


def report(result: StepResult) -> dict[str, str]:
    return {check.name: check.actual for check in only(result).verification.report}


@pytest.mark.parametrize(
    ("size", "wish"),
    [
        (300_000, {}),
        (120_000, {}),
        (100_000, {"video_codec": "h265", "preset": "fastest"}),
        (100_000, {"format": "webm", "preset": "fastest"}),
        (100_000, {"format": "mkv", "video_codec": "av1", "preset": "fast"}),
    ],
)
def test_a_size_is_met_and_used(clips: Clips, perform: Perform, size: int, wish: dict[str, object]) -> None:
    result = perform("compress", {"target_size": size, **wish}, noisy(clips, 2 if wish else 4))
    assert 0.9 * size <= only(result).size <= size
    assert "bytes" in report(result)["size"]
    assert [path.name for path in only(result).path.parent.iterdir()] == [only(result).path.name]


def test_a_small_size_takes_fewer_pixels(clips: Clips, perform: Perform) -> None:
    result = perform("compress", {"target_size": "40 kB"}, noisy(clips))
    stream = raw_probe(only(result).path)["streams"][0]
    assert only(result).size <= 40_000
    assert (stream["width"], stream["height"]) < (320, 180)


def test_what_is_small_already_is_copied(clips: Clips, perform: Perform) -> None:
    result = perform("compress", {"target_size": "50 MB", "format": "mkv"}, clips.container("mp4"))
    assert codecs(only(result).path) == ["h264", "aac"]
    assert "-c:v:0 copy" in result.log


def test_a_quality_is_found_on_samples(clips: Clips, perform: Perform) -> None:
    source = noisy(clips, 2)
    good = only(perform("compress", {"target_quality": 92, "preset": "fast"}, source)).size
    fair = perform("compress", {"target_quality": 80, "preset": "fast"}, source)
    assert report(fair)["quality"].startswith("VMAF 8")
    assert only(fair).size < 0.8 * good
    assert [path.name for path in only(fair).path.parent.iterdir()] == [only(fair).path.name]


def test_a_quality_that_would_make_it_larger_is_refused(clips: Clips, perform: Perform) -> None:
    poor = clips.made(
        "poor", *picture(seconds=2), "-vf", "noise=alls=30:allf=t", *H264, "-crf", "45", "-f", "mp4"
    )
    with pytest.raises(Problem, match="larger") as caught:
        perform("compress", {"target_quality": 97, "preset": "fast"}, poor)
    assert caught.value.code == "parameters_do_not_fit"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({}, {"/parameters": "required"}),
        ({"target_size": 10**6, "target_quality": 90}, {"/parameters": "conflict"}),
        ({"target_size": "much"}, {"/parameters/target_size": "not_a_size"}),
        ({"target_size": 5}, {"/parameters/target_size": "too_small"}),
        ({"target_size": True}, {"/parameters/target_size": "not_an_integer"}),
        ({"target_quality": 100}, {"/parameters/target_quality": "too_large"}),
        (
            {"target_size": "1MB", "format": "webm", "video_codec": "h264"},
            {"/parameters/video_codec": "not_a_choice"},
        ),
    ],
)
def test_a_wish_that_makes_no_sense_is_pointed_at(raw: dict[str, object], expected: dict[str, str]) -> None:
    assert refusals("compress", raw) == expected


def test_sizes_are_read_as_people_write_them() -> None:
    for text in ("25 MB", "25mb", "25000k", 25_000_000, "0.025 GB"):
        assert normalised(parameters_for("compress", {"target_size": text}))["target_size"] == 25_000_000
    assert normalised(parameters_for("compress", {"target_size": "1MiB"}))["target_size"] == 1_048_576


def test_too_little_is_told_before_it_starts() -> None:
    with pytest.raises(Problem, match="too little") as caught:
        planned("compress", media(duration=3600.0), target_size="1 MB")
    assert caught.value.code == "parameters_do_not_fit"


@given(
    source=st.builds(
        lambda width, height, tracks, duration: media(
            duration=duration,
            video=(PICTURE.model_copy(update={"width": width, "height": height}),),
            audio=tuple(SOUND.model_copy(update={"index": 1 + number}) for number in range(tracks)),
        ),
        st.sampled_from([16, 320, 641, 1920, 3840]),
        st.sampled_from([16, 180, 361, 1080, 4096]),
        st.integers(0, 4),
        st.floats(0.04, 20_000),
    ),
    size=st.integers(10_000, 10**9),
    wish=st.fixed_dictionaries(
        {"format": st.sampled_from(["mp4", "mkv", "webm", "mov"]), "shrink": st.booleans()}
    ),
)
def test_every_size_has_a_plan_or_a_reason(source: MediaInfo, size: int, wish: dict[str, object]) -> None:
    plan = None
    with contextlib.suppress(Problem):
        plan = planned("compress", source, target_size=size, **wish)
    if plan is None:
        return
    stream = plan.outputs[0].expectation.streams[0]
    assert (stream.width or 0) <= source.video[0].width + 1
    assert (stream.height or 0) <= source.video[0].height + 1
    procedure = plan.steps[0].runs[0].procedure
    assert procedure is not None
    assert float(procedure.settings["bits"]) * source.duration / 8 <= size
