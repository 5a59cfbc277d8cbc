"""crop and rotate: which part of the picture is where afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.types.media import VideoStream
from problems import Problem
from tests.engine.clips import H264, Clips
from tests.engine.conftest import Perform
from tests.engine.results import frames, only, raw_probe, size
from tests.engine.test_parameters import refusals
from tests.engine.test_plans import PICTURE, decisions, media, planned

BLACK, DARK, LIGHT, WHITE = 0, 1, 2, 3


def quarters(clips: Clips, name: str = "quarters", *options: str) -> Path:
    """A picture of four greys: black, dark; light, white."""
    grey = "geq=lum='16+73*(gte(X,W/2)+2*gte(Y,H/2))':cb=128:cr=128"
    scene = f"color=s=320x180:r=10:d=1,format=yuv420p,{grey}"
    return clips.made(name, "-f", "lavfi", "-i", scene, *options, *H264, "-f", "mp4")


def greys(path: Path) -> list[int]:
    """The greys of the four corners: left and right of the top, then of the bottom."""
    first = frames(path, width=8, height=8)[0]
    return [round(first[at] / 85) for at in (9, 14, 49, 54)]


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({"width": 100, "height": 60, "x": 0, "y": 0}, [BLACK] * 4),
        ({"width": 101, "height": 61, "x": 201, "y": 101}, [WHITE] * 4),
        ({"width": 100, "height": 60}, [BLACK, DARK, LIGHT, WHITE]),
        ({"width": 160, "height": 180, "x": 160}, [DARK, DARK, WHITE, WHITE]),
    ],
)
def test_crop(clips: Clips, perform: Perform, wish: dict[str, int], expected: list[int]) -> None:
    path = only(perform("crop", wish, quarters(clips))).path
    assert size(path) == (wish["width"] // 2 * 2, wish["height"] // 2 * 2)
    assert greys(path) == expected


def test_a_turned_picture_is_cropped_as_it_is_seen(clips: Clips, perform: Perform) -> None:
    flat = quarters(clips)
    turned = clips.made("quarters-t", "-display_rotation:v:0", "-90", "-i", flat, "-c", "copy", "-f", "mp4")
    wish = {"width": 180, "height": 160, "x": 0, "y": 0}
    assert greys(only(perform("crop", wish, turned)).path) == [LIGHT, BLACK, LIGHT, BLACK]


@pytest.mark.parametrize(
    ("wish", "side"),
    [
        ({"width": 1921, "height": 100}, "1920 pixels wide"),
        ({"width": 100, "height": 1000, "y": 100}, "1080 pixels high"),
        ({"width": 16, "height": 16, "x": 1910}, "1920 pixels wide"),
    ],
)
def test_a_rectangle_outside_does_not_fit(wish: dict[str, object], side: str) -> None:
    with pytest.raises(Problem, match=side) as caught:
        planned("crop", media(), **wish)
    assert caught.value.code == "parameters_do_not_fit"


def test_wide_pixels_are_counted_as_seen() -> None:
    anamorphic = PICTURE.model_copy(update={"width": 720, "height": 576, "sample_aspect": (64, 45)})
    plan = planned("crop", media(video=(anamorphic,)), width=512, height=576, x=512)
    names = [(item.name, item.options) for item in plan.steps[0].runs[0].files[0].streams[0].filters]
    assert names[0] == ("scale", {"w": 1024, "h": 576, "flags": "bicubic"})
    assert names[1] == ("crop", {"w": 512, "h": 576, "x": 512, "y": 0})


@pytest.mark.parametrize(
    ("wish", "expected", "shape"),
    [
        ({"degrees": 90}, [LIGHT, BLACK, WHITE, DARK], (180, 320)),
        ({"degrees": "180"}, [WHITE, LIGHT, DARK, BLACK], (320, 180)),
        ({"degrees": 270}, [DARK, WHITE, BLACK, LIGHT], (180, 320)),
        ({"flip": "horizontal"}, [DARK, BLACK, WHITE, LIGHT], (320, 180)),
        ({"flip": "vertical"}, [LIGHT, WHITE, BLACK, DARK], (320, 180)),
        ({"degrees": 90, "flip": "horizontal"}, [BLACK, LIGHT, DARK, WHITE], (180, 320)),
    ],
)
def test_rotate(
    clips: Clips, perform: Perform, wish: dict[str, object], expected: list[int], shape: tuple[int, int]
) -> None:
    path = only(perform("rotate", wish, quarters(clips))).path
    assert size(path) == shape
    assert greys(path) == expected


def test_a_turned_picture_is_turned_from_how_it_is_seen(clips: Clips, perform: Perform) -> None:
    flat = quarters(clips)
    turned = clips.made("quarters-t", "-display_rotation:v:0", "-90", "-i", flat, "-c", "copy", "-f", "mp4")
    path = only(perform("rotate", {"degrees": 270}, turned)).path
    assert greys(path) == [BLACK, DARK, LIGHT, WHITE]
    assert not raw_probe(path)["streams"][0].get("side_data_list")


@pytest.mark.parametrize(
    ("type_", "raw", "expected"),
    [
        ("rotate", {}, {"/parameters": "required"}),
        ("rotate", {"degrees": 45}, {"/parameters/degrees": "not_a_choice"}),
        ("rotate", {"degrees": "around"}, {"/parameters/degrees": "not_a_choice"}),
        ("rotate", {"degrees": True}, {"/parameters/degrees": "not_a_choice"}),
        ("rotate", {"flip": "over"}, {"/parameters/flip": "not_a_choice"}),
        ("crop", {"width": 100}, {"/parameters/height": "required"}),
        ("crop", {"width": 100, "height": 100, "x": -1}, {"/parameters/x": "too_small"}),
        ("crop", {"width": 10**9, "height": 100}, {"/parameters/width": "too_large"}),
        ("crop", {"width": float("nan"), "height": 100}, {"/parameters/width": "not_a_number"}),
        ("crop", {"width": 4, "height": 100}, {"/parameters/width": "too_small"}),
    ],
)
def test_nonsense_is_pointed_at(type_: str, raw: dict[str, object], expected: dict[str, str]) -> None:
    assert refusals(type_, raw) == expected


def test_mute_copies_the_picture(clips: Clips, perform: Perform) -> None:
    source = clips.container("mp4")
    artifact = only(perform("mute", {}, source))
    assert [stream["codec_name"] for stream in raw_probe(artifact.path)["streams"]] == ["h264"]
    assert frames(artifact.path) == frames(source)
    assert decisions(planned("mute", media())) == {0: ("copy", "h264"), 1: ("drop", "aac")}
    assert decisions(planned("mute", media("wmv", video=(VideoStream(
        index=0, codec="wmv2", width=320, height=180),))))[0] == ("encode", "h264")  # fmt: skip
    with pytest.raises(Problem) as caught:
        planned("mute", media(audio=()))
    assert caught.value.code == "no_audio_stream"
