"""Whatever the schemas admit is planned, or refused with a reason: every operation, all sorts of videos."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.catalogue import operation_for, operations, parameters_for, plan_for
from engine.types.media import MediaInfo
from problems import Problem
from tests.engine.test_plans import PICTURE, SOUND, media

_REASONS = {"invalid_parameters", "parameters_do_not_fit", "no_audio_stream", "no_video_stream"}


def values(kind: dict[str, Any], schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What a field of this schema may hold."""
    if "anyOf" in kind:
        return st.one_of([values(item, schema) for item in kind["anyOf"] if item.get("type") != "null"])
    if "$ref" in kind:
        return values(schema["$defs"][kind["$ref"].rpartition("/")[2]], schema)
    if "enum" in kind:
        return st.sampled_from(kind["enum"])
    types = kind.get("type", "string")
    low, high = kind.get("minimum", kind.get("exclusiveMinimum")), kind.get("maximum")
    of_type: dict[str, st.SearchStrategy[Any]] = {
        "boolean": st.booleans(),
        "integer": st.integers(low, high),
        "number": st.floats(low, high),
        "array": st.lists(st.floats(0, 100), min_size=1, max_size=4),
        "string": st.sampled_from(["black", "#12ab34", "A text"]),
    }
    return of_type[types[0] if isinstance(types, list) else types]


def wishes(
    type_: str, known: Mapping[str, st.SearchStrategy[Any]] | None = None
) -> st.SearchStrategy[dict[str, Any]]:
    """Wishes of this operation; fields with names that are `known` hold what that says."""
    schema = operation_for(type_).Parameters.model_json_schema()
    fields = {name: values(kind, schema) for name, kind in schema["properties"].items()}
    fields |= {name: field for name, field in (known or {}).items() if name in fields}
    needed = {name: fields.pop(name) for name in schema.get("required", ())}
    return st.fixed_dictionaries(needed, optional=fields)


def videos() -> st.SearchStrategy[MediaInfo]:
    picture = st.fixed_dictionaries(
        {
            "codec": st.sampled_from(["h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "prores", "theora"]),
            "width": st.sampled_from([16, 321, 1920, 7680]),
            "height": st.sampled_from([16, 181, 1080, 4320]),
            "sample_aspect": st.sampled_from([(1, 1), (64, 45)]),
            "rotation": st.sampled_from([0, 90, 180]),
            "frame_rate": st.sampled_from([None, 1.0, 23.976, 60.0, 240.0]),
            "bit_depth": st.sampled_from([8, 10]),
            "color_transfer": st.sampled_from([None, "smpte2084", "arib-std-b67"]),
            "interlaced": st.booleans(),
            "preroll": st.booleans(),
            "key_frames": st.sampled_from([None, (0.0,), (0.0, 2.0, 7.5)]),
        }
    )
    track = st.fixed_dictionaries(
        {
            "codec": st.sampled_from(["aac", "opus", "flac", "pcm_s16le", "amr_nb", "vorbis"]),
            "channels": st.sampled_from([None, 1, 2, 6, 8]),
            "sample_rate": st.sampled_from([None, 8000, 44_100, 96_000]),
            "bit_rate": st.sampled_from([None, 12_000, 320_000]),
        }
    )
    return st.builds(
        lambda container, duration, first, tracks: media(
            container,
            duration=duration,
            video=(PICTURE.model_copy(update=first),),
            audio=tuple(
                SOUND.model_copy(update={**changes, "index": 1 + number})
                for number, changes in enumerate(tracks)
            ),
        ),
        st.sampled_from(["mp4", "mov", "mkv", "webm", "avi", "ts", "ogv"]),
        st.sampled_from([0.04, 1.0, 61.3, 7200.0]),
        picture,
        st.lists(track, max_size=3),
    )


@pytest.mark.parametrize("type_", list(operations()))
@given(data=st.data())
@settings(max_examples=25)
def test_every_wish_has_a_plan_or_a_reason(type_: str, data: st.DataObject) -> None:
    raw, source = data.draw(wishes(type_)), data.draw(videos())
    plan = None
    with contextlib.suppress(Problem):
        plan = _planned(type_, raw, source)
    if plan is None:
        return
    assert plan.outputs
    assert all(decision.why.endswith(".") for decision in plan.streams)
    assert (plan.estimated_size or 1) >= 1
    for output in plan.outputs:
        for stream in output.expectation.streams:
            assert min(stream.width or 2, stream.height or 2) >= 1


def _planned(type_: str, raw: dict[str, Any], source: MediaInfo) -> Any:
    try:
        return plan_for(type_, parameters_for(type_, raw), source)
    except Problem as problem:
        if problem.code not in _REASONS:
            raise AssertionError(problem.code) from problem
        raise
