"""trim: a part of the video, cut exactly or without encoding."""

from __future__ import annotations

from bisect import bisect_right
from enum import StrEnum
from typing import Self

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from engine.assembly import video_plan
from engine.containers import VIDEO_CONTAINERS, Container
from engine.operation import OperationType
from engine.parameters import Parameters, Seconds
from engine.plan import main_video, video_copied, video_encoded, video_obstacle
from engine.ranges import Range, clock, copied_part, of_part, range_of, within
from engine.tracks import audio_parts
from engine.types import MediaInfo, OutputPlan, Plan, VideoStream
from problems import Problem

# ffmpeg looks nearly this much earlier in containers that store frames by decoding time.
_LOOKS_BACK = 0.135
# Frames are stored out of order and packets of sound have a length, so both ends are ragged.
_RAGGED = 0.3
_SHOWN = 0.001


class TrimMode(StrEnum):
    """How to cut."""

    EXACT = "exact"
    KEYFRAME = "keyframe"


class TrimParameters(Parameters):
    """At least one of start, end and duration is needed; end and duration exclude each other."""

    start: Seconds | None = Field(
        default=None,
        title="Start",
        description="Where the result begins: seconds, or HH:MM:SS.mmm. Empty begins with the video.",
        examples=["00:00:05"],
    )
    end: Seconds | None = Field(
        default=None,
        title="End",
        description="Where the result ends, counted from the video's beginning. Empty ends with the video.",
        examples=["00:00:15"],
    )
    duration: Seconds | None = Field(
        default=None,
        title="Duration",
        description="How long the result is, instead of an end.",
        examples=["00:00:10"],
    )
    mode: TrimMode = Field(
        default=TrimMode.EXACT,
        title="Cut",
        description=(
            "Exact cuts at the very frame and encodes again. Keyframe copies without loss and in no time, "
            "but can begin only at certain frames: the plan says where."
        ),
    )

    @field_validator("end")
    @classmethod
    def _end_follows_start(cls, end: float | None, info: ValidationInfo) -> float | None:
        if end is not None and end <= (info.data.get("start") or 0.0):
            raise PydanticCustomError("too_small", "Must be after the start.")
        return end

    @field_validator("duration")
    @classmethod
    def _one_way_to_end(cls, duration: float | None, info: ValidationInfo) -> float | None:
        if duration is not None and info.data.get("end") is not None:
            raise PydanticCustomError("conflict", "Give an end or a duration, not both.")
        if duration == 0:
            raise PydanticCustomError("too_small", "Must be more than 0.")
        return duration

    @model_validator(mode="after")
    def _needs_a_cut(self) -> Self:
        if self.start is None and self.end is None and self.duration is None:
            raise PydanticCustomError("required", "Give a start, an end or a duration.")
        return self


def _plan(parameters: TrimParameters, media: MediaInfo) -> Plan:
    stream = main_video(media)
    container = VIDEO_CONTAINERS.get(media.container, VIDEO_CONTAINERS["mp4"])
    part = range_of(media, start=parameters.start, end=parameters.end, length=parameters.duration)
    if parameters.mode is TrimMode.KEYFRAME:
        return _copied(media, stream, container, part)
    clip, silent = within(media, part)
    why = "Encoded, because an exact cut can fall between the frames that stand on their own"
    plan = video_plan(
        "trim",
        clip,
        container,
        video_encoded(clip, main_video(clip), container, why=why),
        summary=f"From {clock(part.start)} to {clock(part.end)}, {clock(part.length)} long, cut exactly.",
        audio=audio_parts(clip, container, why="Encoded, so that it is cut where the picture is."),
    )
    return of_part(plan, part, media, left_out=silent)


def _copied(media: MediaInfo, stream: VideoStream, container: Container, part: Range) -> Plan:
    obstacle = video_obstacle(media, stream, container)
    if stream.preroll:
        obstacle = "it begins with frames that are to stay hidden"
    moments = stream.key_frames
    if obstacle is None and moments is None:
        obstacle = "the frames where that is possible are not known"
    if obstacle is not None or not moments:
        reason = f"This video cannot be cut without encoding: {obstacle}. The exact mode can cut it."
        raise Problem("parameters_do_not_fit", reason=reason)
    position = max(0, bisect_right(moments, part.start) - 1)
    begin = moments[position] if moments[position] <= part.start else 0.0
    following = moments[position + 1] if position + 1 < len(moments) else media.duration
    # Ask for a place safely after the key frame, and before the next.
    ask = min(begin + _LOOKS_BACK, (begin + following) / 2) if begin else 0.0
    real = Range(start=begin, end=part.end)
    clip, silent = within(media, real)
    why = f"Copied without loss, from the key frame at {clock(begin)} on."
    plan = video_plan(
        "trim",
        clip,
        container,
        video_copied(clip, main_video(clip), container, why=why),
        summary=_where(part, begin, following, media),
    )
    output = _loosened(plan.outputs[0])
    plan = plan.model_copy(update={"outputs": (output,)})
    ask = round(ask, 3)
    return copied_part(plan, ask, round(part.end - ask, 3), lead=ask - begin, left_out=silent)


def _where(part: Range, begin: float, following: float, media: MediaInfo) -> str:
    text = f"Cut without encoding, from {clock(begin)} to about {clock(part.end)}"
    if part.start - begin < _SHOWN:
        return f"{text}."
    text += f": {part.start - begin:.3f} s before the start that was asked for, at the last key frame"
    return f"{text}; the next is at {clock(following)}." if following < media.duration else f"{text}."


def _loosened(output: OutputPlan) -> OutputPlan:
    expected = output.expectation
    tolerance = round(expected.duration_tolerance + _RAGGED, 3)
    return output.model_copy(
        update={"expectation": expected.model_copy(update={"duration_tolerance": tolerance})}
    )


OPERATION = OperationType(
    type="trim",
    title="Trim",
    description="Keep only a part of the video.",
    icon="scissors",
    Parameters=TrimParameters,
    plan=_plan,
)
