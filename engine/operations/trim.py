"""trim: a part of the video, cut exactly or without encoding."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Self

from pydantic import (
    BeforeValidator,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from engine import montage, smart_cut
from engine.assembly import video_plan
from engine.containers import VIDEO_CONTAINERS, Container
from engine.montage import left_by, merged, moved_by
from engine.operation import OperationType
from engine.parameters import SECONDS_SCHEMA, Parameters, Seconds
from engine.plan import Part, main_video, video_copied, video_encoded, video_obstacle
from engine.ranges import (
    Range,
    chosen_from,
    clock,
    copied_part,
    lead_of,
    of_part,
    range_of,
    shown_until,
    within,
)
from engine.tracks import audio_copied, audio_obstacle, audio_parts, dropped_words
from engine.types.media import MediaInfo, VideoStream
from engine.types.plan import OutputPlan, Plan
from engine.types.recipes import StreamRecipe
from problems import Problem

# ffmpeg looks nearly this much earlier in containers that store frames by decoding time.
_LOOKS_BACK = 0.135
# Frames are stored out of order and packets of sound have a length, so both ends are ragged.
_RAGGED = 0.3
_SHOWN = 0.001
_MOST_RANGES = 50
_SHOWN_RANGES = 5


class TrimMode(StrEnum):
    """How to cut."""

    EXACT = "exact"
    KEYFRAME = "keyframe"


class Keep(StrEnum):
    """What happens to the ranges."""

    KEEP = "keep"
    REMOVE = "remove"


class TrimRange(Parameters):
    """One part of the video."""

    start: Seconds
    end: Seconds

    @field_validator("end")
    @classmethod
    def _end_follows_start(cls, end: float, info: ValidationInfo) -> float:
        return after(info.data.get("start"), end)


def after(start: float | None, end: float) -> float:
    """The end of a range, if it comes after its start."""
    if end <= (start or 0.0):
        raise PydanticCustomError("too_small", "Must be after the start.")
    return end


def _parse_ranges(value: object) -> object:
    """Ranges as people write them: `0:10-0:20, 1:00-1:30`."""
    if isinstance(value, str):
        value = [part for part in value.split(",") if part.strip()]
    if not isinstance(value, list | tuple):
        return value
    return tuple(_parse_range(item) for item in value)


def _parse_range(item: object) -> object:
    if not isinstance(item, str):
        return item
    start, dash, end = item.partition("-")
    if not dash:
        raise PydanticCustomError("range", "Must be a start and an end, such as 0:10-0:20.")
    return {"start": start.strip(), "end": end.strip()}


_RANGE_SCHEMA = {"type": "object", "properties": {"start": SECONDS_SCHEMA, "end": SECONDS_SCHEMA}}

Ranges = Annotated[
    tuple[TrimRange, ...],
    Field(min_length=1, max_length=_MOST_RANGES),
    BeforeValidator(_parse_ranges),
    WithJsonSchema(
        {
            "type": ["array", "string"],
            "items": {**_RANGE_SCHEMA, "required": ["start", "end"], "additionalProperties": False},
            "minItems": 1,
            "maxItems": _MOST_RANGES,
            "examples": ["0:10-0:20, 1:00-1:30", [{"start": 10, "end": 20}, {"start": 60, "end": 90}]],
        }
    ),
]


class TrimParameters(Parameters):
    """A start, an end or a length, or several ranges; end and duration exclude each other."""

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
            "Exact cuts at the very frame and encodes no more than it has to. Keyframe copies without loss "
            "and in no time, but can begin only at certain frames: the plan says where."
        ),
    )
    ranges: Ranges | None = Field(
        default=None,
        title="Several parts",
        description="Parts of the video instead of one start and end, with commas between them.",
        examples=["0:10-0:20, 1:00-1:30"],
    )
    action: Keep = Field(
        default=Keep.KEEP,
        title="The parts",
        description="Keep makes a video of the parts, one after the other; remove makes one of all the rest.",
    )

    @field_validator("end")
    @classmethod
    def _end_follows_start(cls, end: float | None, info: ValidationInfo) -> float | None:
        return None if end is None else after(info.data.get("start"), end)

    @field_validator("duration")
    @classmethod
    def _one_way_to_end(cls, duration: float | None, info: ValidationInfo) -> float | None:
        if duration is not None and info.data.get("end") is not None:
            raise PydanticCustomError("conflict", "Give an end or a duration, not both.")
        if duration == 0:
            raise PydanticCustomError("too_small", "Must be more than 0.")
        return duration

    @field_validator("ranges")
    @classmethod
    def _one_way_to_say_where(
        cls, ranges: tuple[TrimRange, ...] | None, info: ValidationInfo
    ) -> tuple[TrimRange, ...] | None:
        if ranges is not None and any(
            info.data.get(name) is not None for name in ("start", "end", "duration")
        ):
            raise PydanticCustomError("conflict", "Give ranges or one start and end, not both.")
        return ranges

    @model_validator(mode="after")
    def _needs_a_cut(self) -> Self:
        if self.start is None and self.end is None and self.duration is None and self.ranges is None:
            raise PydanticCustomError("required", "Give a start, an end, a duration or ranges.")
        if self.mode is TrimMode.KEYFRAME and (self.ranges is not None or self.action is Keep.REMOVE):
            raise PydanticCustomError("conflict", "Several parts can only be cut exactly.")
        return self


def _plan(parameters: TrimParameters, media: MediaInfo) -> Plan:
    stream = main_video(media)
    container = VIDEO_CONTAINERS.get(media.container, VIDEO_CONTAINERS["mp4"])
    parts = _parts(parameters, media)
    if parameters.mode is TrimMode.KEYFRAME:
        return _copied(media, stream, container, parts[0])
    whole = _encoded(media, container, parts)
    obstacle = smart_cut.obstacle(media, stream, container)
    if obstacle is not None:
        return whole
    cut = smart_cut.cut(media, stream, parts)
    return whole if cut is None else _smart(media, container, cut, whole)


def _parts(parameters: TrimParameters, media: MediaInfo) -> tuple[Range, ...]:
    """What the result is made of. Raises Problem("parameters_do_not_fit")."""
    if parameters.ranges is None:
        asked = [range_of(media, start=parameters.start, end=parameters.end, length=parameters.duration)]
    else:
        asked = [range_of(media, start=item.start, end=item.end) for item in parameters.ranges]
    parts = merged(asked) if parameters.action is Keep.KEEP else left_by(asked, media)
    if not parts:
        raise Problem("parameters_do_not_fit", reason="Nothing would be left of the video.")
    begins, ends = main_video(media).start_time, shown_until(media)
    if not any(part.start < ends - _SHOWN and part.end > begins + _SHOWN for part in parts):
        reason = (
            f"Nothing would be left of the picture, which is there from {clock(begins)} to {clock(ends)}."
        )
        raise Problem("parameters_do_not_fit", reason=reason)
    return parts


def _encoded(media: MediaInfo, container: Container, parts: tuple[Range, ...]) -> Plan:
    """Everything encoded: right for any source, and slow."""
    if len(parts) > 1:
        return _montage(media, container, parts)
    (part,) = parts
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


def _montage(media: MediaInfo, container: Container, parts: tuple[Range, ...]) -> Plan:
    """Several parts, one after the other. Words and chapters of the source do not fit to them any more."""
    length = sum(part.length for part in parts)
    span = Range(parts[0].start, parts[-1].end)
    clip, _ = within(media.model_copy(update={"chapters": ()}), span)
    moved = moved_by(parts, lead_of(span, media) - span.start)
    picture = video_encoded(
        clip,
        main_video(clip),
        container,
        why=f"Encoded, because {len(parts)} parts are joined",
    )
    select = montage.picture_filters(moved, early=smart_cut.BEFORE)
    recipe = picture.recipe.model_copy(update={"filters": (*select, *picture.recipe.filters)})
    sound, mute = audio_parts(
        clip,
        container,
        why="Encoded, so that it is cut where the picture is.",
        filters=montage.sound_filters(moved),
    )
    short = clip.model_copy(update={"duration": round(length, 3)})
    dropped = [
        dropped_words(track, "Its lines would not fit to the parts any more.") for track in media.subtitles
    ]
    plan = video_plan(
        "trim",
        short,
        container,
        replace(picture, recipe=recipe),
        summary=_several(parts),
        audio=(sound, mute),
        subtitles=([], dropped),
    )
    return chosen_from(plan, span, media)


def _several(parts: tuple[Range, ...]) -> str:
    shown = ", ".join(f"{clock(part.start)}–{clock(part.end)}" for part in parts[:_SHOWN_RANGES])
    more = f" and {len(parts) - _SHOWN_RANGES} more" if len(parts) > _SHOWN_RANGES else ""
    length = sum(part.length for part in parts)
    return f"{len(parts)} parts, {shown}{more}, together {clock(length)} long, cut exactly."


def _smart(media: MediaInfo, container: Container, cut: smart_cut.Cut, whole: Plan) -> Plan:
    """The same result with most of the picture copied; `whole` is what happens where that fails."""
    (step,) = whole.steps
    (run,) = step.runs
    (recipe,) = run.files
    beside = {part.recipe.source_index: part for part in _beside(media, container, cut, whole)}
    wanted = [
        beside[stream.source_index].recipe if stream.source_index in beside else stream
        for stream in recipe.streams
        if stream.kind != "video"
    ]
    others = [_from_source(media, stream, cut) for stream in wanted]
    runs = smart_cut.runs(media, cut, container, others, chapters=recipe.chapters)
    why = (
        f"{clock(cut.copied)} are copied without loss; only {clock(cut.encoded)} at the cuts are encoded."
        if cut.encoded
        else "Copied without loss: the cuts fall on frames that stand on their own."
    )
    told: dict[int, tuple[str, str | None, str]] = {
        cut.stream.index: ("encode" if cut.encoded else "copy", "h264", why)
    }
    told |= {
        index: ("copy", part.decision.codec, "Copied as it is, to the nearest packet.")
        for index, part in beside.items()
    }
    streams = tuple(
        decision.model_copy(
            update=dict(zip(("action", "codec", "why"), told[decision.source_index], strict=True))
            if decision.source_index in told
            else {}
        )
        for decision in whole.streams
    )
    seconds = cut.encoded / max(cut.encoded + cut.copied, 0.001) * (whole.estimated_seconds or 0.0)
    smart = step.model_copy(update={"kind": "cut", "runs": runs, "otherwise": step.runs})
    (output,) = whole.outputs
    expected = output.expectation.model_copy(update={"seams": smart_cut.seams(cut)})
    return whole.model_copy(
        update={
            "outputs": (output.model_copy(update={"expectation": expected}),),
            "streams": streams,
            "steps": (smart,),
            "estimated_seconds": round(max(0.5, seconds), 1),
        }
    )


def _beside(media: MediaInfo, container: Container, cut: smart_cut.Cut, whole: Plan) -> list[Part]:
    """Sound that can be copied as well: one stretch of it, to the nearest packet."""
    if len(cut.ranges) > 1:
        return []
    clip, _ = within(media, cut.ranges[0])
    kept = {decision.source_index for decision in whole.streams if decision.action != "drop"}
    return [
        audio_copied(clip, track, container)
        for track in clip.audio
        if track.index in kept
        and track.codec in smart_cut.PACKETS
        and audio_obstacle(clip, track, container) is None
    ]


def _from_source(media: MediaInfo, stream: StreamRecipe, cut: smart_cut.Cut) -> StreamRecipe:
    """A stream that is not the picture, cut by itself: the run reads the source with its own times."""
    length = sum(part.length for part in cut.ranges)
    if stream.kind == "audio" and stream.action == "encode":
        if len(cut.ranges) > 1:  # `_montage` has done it
            return stream
        moved = moved_by(cut.ranges, cut.shifts[0])
        return stream.model_copy(update={"filters": (*montage.sound_filters(moved), *stream.filters)})
    early = 0.0
    if stream.kind == "audio":
        early = (
            smart_cut.packet_seconds(
                next(track for track in media.audio if track.index == stream.source_index)
            )
            / 2
        )
    window = smart_cut.outside(-early, length - early)
    return stream.model_copy(update={"options": {**stream.options, "bsf": window}})


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
