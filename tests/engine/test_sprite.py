"""sprite: every tile is the frame of its moment, and the list points at it."""

from __future__ import annotations

import re

import pytest

from problems import Problem
from tests.engine.clips import H264, Clips
from tests.engine.conftest import Perform
from tests.engine.results import frames, size
from tests.engine.test_parameters import refusals
from tests.engine.test_plans import PICTURE, media, planned

# Each second is brighter than the one before.
STEPS = "nullsrc=s=160x90:r=10:d=12,geq=lum='16+18*floor(T)':cb=128:cr=128"


@pytest.mark.parametrize("suffix", ["jpg", "webp", "png"])
def test_tiles_are_the_frames_of_their_moments(clips: Clips, perform: Perform, suffix: str) -> None:
    source = clips.made("shades", "-f", "lavfi", "-i", STEPS, *H264, "-f", "mp4")
    wish = {"interval": 1, "columns": 4, "width": 40, "format": suffix}
    result = perform("sprite", wish, source)
    sheet, storyboard = result.artifacts
    assert (sheet.role, sheet.extension, storyboard.role) == ("sprite", suffix, "storyboard")
    assert storyboard.content_type == "text/vtt"
    tile = (40, 22)
    assert size(sheet.path) in {(4 * tile[0], 3 * tile[1]), (0, 0)}  # the probe cannot size every PNG
    lines = storyboard.path.read_text().split("\n\n")
    assert lines[0] == "WEBVTT"
    shades = []
    for line in lines[1:13]:
        found = re.search(r"xywh=(\d+),(\d+),(\d+),(\d+)", line)
        assert found
        x, y, width, height = map(int, found.groups())
        (picture,) = frames(sheet.path, f"crop={width}:{height}:{x}:{y}", width=2, height=2)
        shades.append(sum(picture) / 4)
    assert shades == pytest.approx([18 * number * 255 / 219 for number in range(12)], abs=8)
    assert f"00:00:11.000 --> 00:00:12.000\nsprite.{suffix}#xywh=120,44,40,22" in lines[12]


def test_a_long_list_goes_over_several_sheets(clips: Clips, perform: Perform) -> None:
    source = clips.made("shades", "-f", "lavfi", "-i", STEPS, *H264, "-f", "mp4")
    result = perform("sprite", {"interval": 1, "columns": 1, "width": 32}, source)
    assert [artifact.role for artifact in result.artifacts] == ["sprite_01", "sprite_02", "storyboard"]
    (last,) = frames(result.artifacts[1].path, "crop=32:18:0:18", width=2, height=2)
    assert sum(last) / 4 == pytest.approx(18 * 11 * 255 / 219, abs=8)
    assert "sprite_02.jpg#xywh=0,18,32,18" in result.artifacts[2].path.read_text()


def test_thumbnails_at_several_moments(clips: Clips, perform: Perform) -> None:
    source = clips.made("shades", "-f", "lavfi", "-i", STEPS, *H264, "-f", "mp4")
    result = perform("thumbnail", {"times": "0.5, 00:00:07.5", "width": 32}, source)
    shades = [sum(frames(item.path, width=2, height=2)[0]) / 4 for item in result.artifacts]
    assert shades == pytest.approx([0, 18 * 7 * 255 / 219], abs=8)


def test_without_a_wish_about_a_hundred() -> None:
    plan = planned("sprite", media(duration=3600.0))
    assert plan.summary.startswith("100 pictures of 160x90 on one sheet, one every 36 s")
    assert len(plan.steps[0].runs) == 1


@pytest.mark.parametrize(
    ("raw", "reason"),
    [({"interval": 0.1}, "take at least 2 s"), ({"columns": 20, "width": 640}, "too large")],
)
def test_too_much_is_told(raw: dict[str, object], reason: str) -> None:
    tall = PICTURE.model_copy(update={"width": 700, "height": 8000})
    with pytest.raises(Problem, match=reason):
        planned("sprite", media(duration=3600.0, video=(tall,)), **raw)


@pytest.mark.parametrize(
    ("type_", "raw", "expected"),
    [
        ("sprite", {"interval": 2, "count": 3}, {"/parameters/count": "conflict"}),
        ("sprite", {"columns": 0}, {"/parameters/columns": "too_small"}),
        ("thumbnail", {"times": "1, x"}, {"/parameters/times/1": "not_a_time"}),
        ("thumbnail", {"times": []}, {"/parameters/times": "too_short"}),
        ("thumbnail", {"times": [1], "at": 2}, {"/parameters/times": "conflict"}),
    ],
)
def test_nonsense_is_pointed_at(type_: str, raw: dict[str, object], expected: dict[str, str]) -> None:
    assert refusals(type_, raw) == expected
