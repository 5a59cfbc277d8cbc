"""What to ask for instead: the change of a wish that would get round a failure.

Pure. Every proposal is planned before it is made, so nobody is sent from one refusal to the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from engine.catalogue import operation_for, operations, others_for, parameters_for, plan_for
from engine.pictures import even
from engine.types.media import MediaInfo
from engine.types.value import Value
from problems import Problem

_COPYING = frozenset(
    {"copy_impossible", "timestamps_unusable", "output_invalid", "encoder_failed", "input_corrupt"}
)
_TOO_MUCH = frozenset({"output_too_large", "out_of_memory"})
_LEAST_SIDE = 16
_SMALLER = (0.75, 0.5, 0.25)

Wish = Mapping[str, Any]


class Fix(Value):
    """Another wish: the operation's type and its parameters, and what a button with it says."""

    type: str
    parameters: dict[str, Any] = Field(description="As they would be sent with the operation")
    words: str


def fix_for(
    problem: Problem,
    type_: str,
    parameters: Wish,
    media: MediaInfo,
    others: Mapping[str, MediaInfo] | None = None,
) -> Fix | None:
    """The change that would have avoided the problem; None where no parameter would.

    `others` are what further files hold that the wish speaks of, as for `plan_for`.
    """
    if type_ not in operations():  # retired since
        return None
    for fix in _proposals(problem, type_, dict(parameters), media):
        if (fix.type, fix.parameters) != (type_, dict(parameters)) and _works(fix, media, others or {}):
            return fix
    return None


def _works(fix: Fix, media: MediaInfo, others: Mapping[str, MediaInfo]) -> bool:
    try:
        parameters = parameters_for(fix.type, fix.parameters)
        if not set(others_for(fix.type, parameters)) <= set(others):
            return False
        plan_for(fix.type, parameters, media, others)
    except Problem:
        return False
    return True


def _proposals(problem: Problem, type_: str, wish: dict[str, Any], media: MediaInfo) -> Iterator[Fix]:
    code = problem.code
    fields = operation_for(type_).Parameters.model_fields

    def changed(words: str, **values: object) -> Fix:
        """The wish with these values; None takes one out."""
        merged = {key: value for key, value in {**wish, **values}.items() if value is not None}
        return Fix(type=type_, parameters=merged, words=words)

    if code == "input_ends_early":
        end = float(problem.data["readable"])
        yield Fix(type="trim", parameters={"end": end}, words=f"Keep the {end:g} s that can be read")
    if code in _COPYING | {"parameters_do_not_fit"} and wish.get("mode") == "keyframe":
        yield changed("Cut exactly, by encoding", mode="exact")
    if code in _COPYING and "quality" in fields and wish.get("quality") is None:
        yield changed("Encode the picture instead of copying it", quality="medium")
    if code == "subtitles_not_convertible" and "format" in fields:
        yield changed("Make an MKV file", format="mkv")
    if code == "parameters_do_not_fit":
        yield from _fitting(type_, wish, media, changed)
    if code in {"picture_not_encodable", "tool_lacks"} and wish.get("video_codec") not in (None, "h264"):
        yield changed("Use H.264", video_codec="h264")
    if code == "sound_not_encodable" and wish.get("bitrate") is not None:
        yield changed("Use the usual bit rate", bitrate=None)
    if code in _TOO_MUCH:
        yield from _lesser(wish, fields, media, changed)


def _fitting(type_: str, wish: dict[str, Any], media: MediaInfo, changed: Any) -> Iterator[Fix]:
    stream = media.main_video
    if type_ == "crop" and stream is not None and {"width", "height"} <= set(wish):
        rectangle: dict[str, Any] = {}
        for side, offset, whole in (
            ("width", "x", stream.display_width),
            ("height", "y", stream.display_height),
        ):
            length = min(wish[side], whole)
            rectangle[side] = length
            if wish.get(offset) is not None:
                rectangle[offset] = max(0, min(wish[offset], whole - length))
        size = f"{rectangle['width']}x{rectangle['height']}"
        yield changed(f"Crop to {size}, inside the picture", **rectangle)
    for name in ("track", "audio_track", "subtitle_track"):
        if name in wish:
            yield changed("Take the main track", **{name: None})
            yield changed("Take the first track", **{name: 1})
    if wish.get("format", "gif") == "gif" and type_ == "gif":
        yield changed("Make an MP4 instead of a GIF", format="mp4")


def _lesser(wish: dict[str, Any], fields: Mapping[str, Any], media: MediaInfo, changed: Any) -> Iterator[Fix]:
    """Fewer bytes: a lower quality first, then fewer pixels."""
    if "quality" in fields and wish.get("quality") != "low":
        yield changed("Use low quality", quality="low")
    sides = [name for name in ("width", "height") if isinstance(wish.get(name), int)]
    stream = media.main_video
    if not sides and "width" in fields and stream is not None:
        wish, sides = {**wish, "width": stream.display_width}, ["width"]
    for share in _SMALLER:
        smaller = {name: even(wish[name] * share) for name in sides}
        if smaller and min(smaller.values()) >= _LEAST_SIDE:
            size = " and ".join(f"{name} {value}" for name, value in smaller.items())
            yield changed(f"Make it smaller: {size}", **smaller)
