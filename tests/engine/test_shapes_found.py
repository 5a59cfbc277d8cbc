"""Boxes that are filled, and bars that are found."""

from __future__ import annotations

import pytest

from problems import Problem
from tests.engine.clips import H264, Clips, picture, sound
from tests.engine.conftest import Perform
from tests.engine.results import frames, only, size
from tests.engine.test_parameters import refusals
from tests.engine.test_plans import PICTURE, media, planned
from tests.engine.test_plans import size as planned_size

BARS = "pad=320:240:0:32:black"


@pytest.mark.parametrize(
    ("wish", "around"), [({"color": "white"}, 255), ({"color": "#000000"}, 0), ({"background": "blur"}, 128)]
)
def test_a_picture_in_the_middle_of_a_box(
    clips: Clips, perform: Perform, wish: dict[str, object], around: int
) -> None:
    grey = clips.made("grey box", "-f", "lavfi", "-i", "color=0x808080:s=160x90:d=1", *H264, "-f", "mp4")
    path = only(perform("resize", {"width": 90, "height": 160, "fit": "pad", **wish}, grey)).path
    assert size(path) == (90, 160)
    first = frames(path, "crop=90:40:0:0", width=8, height=4)[0]
    assert min(first) == pytest.approx(around, abs=14)
    assert max(first) == pytest.approx(around, abs=14)
    middle = frames(path, "crop=90:40:0:60", width=8, height=4)[0]
    assert sum(middle) / len(middle) == pytest.approx(128, abs=8)


def test_a_box_is_not_larger_than_the_picture_needs() -> None:
    small = media(video=(PICTURE.model_copy(update={"width": 640, "height": 360}),))
    assert planned_size(planned("resize", small, width=1080, height=1080, fit="pad")) == (640, 640)
    wish = {"width": 1080, "height": 1080, "fit": "pad", "upscale": True}
    assert planned_size(planned("resize", small, **wish)) == (1080, 1080)
    assert planned("resize", small, width=1280, height=720, fit="pad").streams[0].action == "copy"


def test_black_bars_are_found(clips: Clips, perform: Perform) -> None:
    """The first second is dark, which must not pass for bars."""
    source = clips.made(
        "bars", *picture(size="320x176"), *sound(),
        "-vf", f"drawbox=color=black:t=fill:enable='lt(t,1)',{BARS}", *H264, "-c:a", "aac", "-f", "mp4",
    )  # fmt: skip
    artifact = only(perform("crop", {"auto": True}, source))
    assert size(artifact.path) == (320, 176)
    report = {check.name: check.actual for check in artifact.verification.report}
    assert report["black bars"] == "kept 320x176 from 0 pixels right and 32 down"


@pytest.mark.parametrize("graph", ["testsrc2=s=320x180:d=1", "color=black:s=320x180:d=1"])
def test_no_bars_is_a_clear_answer(clips: Clips, perform: Perform, graph: str) -> None:
    source = clips.made(f"plain {graph[:5]}", "-f", "lavfi", "-i", graph, *H264, "-f", "mp4")
    with pytest.raises(Problem, match="black") as caught:
        perform("crop", {"auto": True}, source)
    assert caught.value.code == "parameters_do_not_fit"


@pytest.mark.parametrize(
    ("type_", "raw", "expected"),
    [
        ("crop", {}, {"/parameters/width": "required", "/parameters/height": "required"}),
        ("crop", {"width": 64}, {"/parameters/height": "required"}),
        ("crop", {"auto": True, "x": 2}, {"/parameters/x": "conflict"}),
        ("resize", {"width": 64, "fit": "pad"}, {"/parameters": "required"}),
        ("resize", {"width": 64, "color": "pink;"}, {"/parameters/color": "not_a_colour"}),
    ],
)
def test_half_a_wish_is_pointed_at(type_: str, raw: dict[str, object], expected: dict[str, str]) -> None:
    assert refusals(type_, raw) == expected
