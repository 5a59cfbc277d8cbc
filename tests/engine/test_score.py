"""The figure of how like its source a result looks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.execute import StepResult
from tests.engine.clips import H264, Clips, picture, sound
from tests.engine.conftest import Perform
from tests.engine.results import only
from tests.engine.site_like import made
from tests.engine.test_plans import media, planned


def scene(clips: Clips, *more: str) -> Path:
    return clips.made(
        "scored", *picture("320x180", seconds=3), *sound(seconds=3), *H264, *more, "-c:a", "aac", "-f", "mp4"
    )


def vmaf(result: StepResult) -> float:
    (line,) = [check.actual for check in only(result).verification.report if check.name == "quality"]
    found = re.fullmatch(r"VMAF ([\d.]+) on 2 s of samples", line)
    assert found, line
    return float(found[1])


def test_a_better_encode_has_a_higher_figure(clips: Clips, perform: Perform) -> None:
    source = scene(clips)
    wish = {"format": "mp4", "score": True}
    fine = vmaf(perform("convert", {**wish, "crf": 12}, source))
    coarse = vmaf(perform("convert", {**wish, "crf": 45}, source))
    assert fine > 95
    assert coarse < fine - 20


@pytest.mark.parametrize(
    ("type_", "wish"),
    [
        ("resize", {"width": 120}),
        ("resize", {"width": 140, "height": 140, "fit": "cover"}),
        ("convert", {"format": "mkv", "video_codec": "hevc", "crf": 14, "preset": "fastest"}),
    ],
)
def test_it_is_compared_with_what_the_encoder_was_given(
    clips: Clips, perform: Perform, type_: str, wish: dict[str, object]
) -> None:
    turned = clips.made(
        "scored-t", "-display_rotation:v:0", "-90", "-i", scene(clips), "-c", "copy", "-f", "mp4"
    )
    assert vmaf(perform(type_, {**wish, "score": True}, turned)) > 85


def test_segments_are_measured_too(clips: Clips, tmp_path: Path) -> None:
    source = scene(clips, "-g", "12")
    wish: dict[str, object] = {"format": "mp4", "crf": 14, "score": True}
    result = made("convert", wish, source, tmp_path, seconds=1)
    assert "times of frames over 2 joins" in [check.name for check in only(result).verification.report]
    assert vmaf(result) > 90


def test_a_copy_has_no_figure_and_nothing_is_measured_unasked(clips: Clips, perform: Perform) -> None:
    for wish in ({"format": "mkv", "score": True}, {"format": "mkv", "crf": 30}):
        report = only(perform("convert", wish, scene(clips))).verification.report
        assert "quality" not in [check.name for check in report]
    assert not planned("convert", media("ts"), format="mp4", crf=20, score=True).outputs[0].expectation.score
