"""What people may ask for, what they are told when it is wrong, and when two wishes are the same."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import operations as operations_package
from engine.catalogue import fingerprint, normalised, operation_for, operations, parameters_for
from problems import Problem


def refusals(type_: str, raw: dict[str, object]) -> dict[str, str]:
    with pytest.raises(Problem) as caught:
        parameters_for(type_, raw)
    assert caught.value.code == "invalid_parameters"
    return {error.pointer: error.code for error in caught.value.errors}


def test_the_catalogue_is_the_folder() -> None:
    folder = Path(operations_package.__path__[0])
    files = sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
    assert list(operations()) == files
    assert {"convert", "resize", "trim", "thumbnail"} <= set(files)


def test_an_unknown_operation_is_named() -> None:
    with pytest.raises(Problem, match="no operation called explode") as caught:
        operation_for("explode")
    assert caught.value.code == "unknown_operation"


@pytest.mark.parametrize(
    ("width", "code"),
    [
        (0, "too_small"),
        (-1, "too_small"),
        (1e9, "too_large"),
        ("abc", "not_an_integer"),
        (640.5, "not_an_integer"),
        (True, "not_an_integer"),
        ([640], "not_an_integer"),
        (math.nan, "not_a_number"),
        (math.inf, "not_a_number"),
        ("9" * 5000, "not_an_integer"),
    ],
)
def test_a_nonsense_width_is_refused(width: object, code: str) -> None:
    assert refusals("resize", {"width": width}) == {"/parameters/width": code}


@pytest.mark.parametrize(
    ("type_", "raw", "expected"),
    [
        ("resize", {}, {"/parameters": "required"}),
        ("resize", {"short_side": 720, "height": 720}, {"/parameters": "conflict"}),
        ("resize", {"width": 640, "colour": "red"}, {"/parameters/colour": "unknown"}),
        ("resize", {"width": 640, "a/b~c": 1}, {"/parameters/a~1b~0c": "unknown"}),
        ("resize", {"width": 640, "fit": "squeeze"}, {"/parameters/fit": "not_a_choice"}),
        ("convert", {}, {"/parameters/format": "required"}),
        ("convert", {"format": "exe"}, {"/parameters/format": "not_a_choice"}),
        ("convert", {"format": "avi", "video_codec": "h264"}, {"/parameters/video_codec": "not_a_choice"}),
        ("extract_audio", {"format": "wav", "bitrate": 128}, {"/parameters/bitrate": "not_applicable"}),
        ("extract_audio", {"format": "mp3", "track": 0}, {"/parameters/track": "too_small"}),
        ("thumbnail", {"at": 1, "count": 2}, {"/parameters/count": "conflict"}),
        ("thumbnail", {"at": "1:99"}, {"/parameters/at": "not_a_time"}),
        ("thumbnail", {"at": "soon"}, {"/parameters/at": "not_a_time"}),
        ("thumbnail", {"at": -1}, {"/parameters/at": "too_small"}),
        ("thumbnail", {"at": math.inf}, {"/parameters/at": "not_a_number"}),
    ],
)
def test_a_wrong_field_is_pointed_at(type_: str, raw: dict[str, object], expected: dict[str, str]) -> None:
    assert refusals(type_, raw) == expected


def test_every_wrong_field_is_told_at_once_in_words() -> None:
    with pytest.raises(Problem) as caught:
        parameters_for("resize", {"width": 8, "height": 9000, "fit": "x"})
    assert [error.detail for error in caught.value.errors] == [
        "Must be at least 16.",
        "Must be at most 8192.",
        "Must be one of 'contain', 'cover', 'stretch' or 'pad'.",
    ]


@pytest.mark.parametrize(
    ("type_", "one", "other"),
    [
        ("resize", {"width": 640}, {"width": "640", "fit": "contain", "upscale": False, "height": None}),
        ("thumbnail", {"at": 90}, {"at": "00:01:30", "format": "jpg"}),
        ("thumbnail", {"at": "1:30.5"}, {"at": 90.5}),
        ("extract_audio", {"format": "mp3", "bitrate": "128k"}, {"bitrate": 128, "format": "mp3"}),
        ("convert", {"format": "mp4"}, {"format": "mp4", "quality": None}),
        ("hls", {"rungs": [720, 480]}, {"rungs": "480, 720, 480", "codecs": "h264"}),
        (
            "pipeline",
            {"steps": [{"type": "resize", "parameters": {"width": 640}}]},
            {"steps": [{"type": "resize", "parameters": {"width": "640", "fit": "contain", "height": None}}]},
        ),
    ],
)
def test_equal_wishes_have_one_fingerprint(
    type_: str, one: dict[str, object], other: dict[str, object]
) -> None:
    assert fingerprint(type_, parameters_for(type_, one)) == fingerprint(type_, parameters_for(type_, other))


@given(
    st.fixed_dictionaries(
        {"width": st.integers(16, 8192)},
        optional={
            "height": st.integers(16, 8192),
            "fit": st.sampled_from(["contain", "cover", "stretch"]),
            "upscale": st.booleans(),
        },
    ),
    st.randoms(),
)
def test_fingerprints_survive_storage_and_order(raw: dict[str, object], random: object) -> None:
    """What is stored as JSON, in whatever order of keys, reads back as the same wish."""
    first = parameters_for("resize", raw)
    items = list(normalised(first).items())
    random.shuffle(items)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    again = parameters_for("resize", json.loads(json.dumps(dict(items))))
    assert fingerprint("resize", again) == fingerprint("resize", first)


@given(st.integers(0, 86_399_999))
def test_a_time_reads_the_same_in_every_notation(milliseconds: int) -> None:
    seconds, rest = divmod(milliseconds, 1000)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"
    plain = parameters_for("thumbnail", {"at": milliseconds / 1000})
    assert parameters_for("thumbnail", {"at": clock}) == plain


@given(st.integers(16, 8192), st.integers(16, 8192))
def test_different_wishes_have_different_fingerprints(one: int, other: int) -> None:
    prints = {fingerprint("resize", parameters_for("resize", {"width": width})) for width in (one, other)}
    assert len(prints) == len({one, other})


@pytest.mark.parametrize("type_", list(operations()))
def test_a_form_can_be_made_from_the_schema(type_: str) -> None:
    schema = operation_for(type_).Parameters.model_json_schema()
    assert schema["additionalProperties"] is False
    for name, field in schema["properties"].items():
        assert field["title"], name
        assert field["description"], name
    assert schema["properties"].get("width", {}).get("anyOf", [{"minimum": 16}])[0]["minimum"] == 16
