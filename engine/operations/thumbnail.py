"""thumbnail: still pictures out of a video."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator
from pydantic_core import PydanticCustomError

from engine.operation import OperationType
from engine.parameters import WHOLE, Parameters, Pixels, Seconds
from engine.plan import main_video
from engine.ranges import lead_at
from engine.stills import picture_decisions, still_output, still_run, still_size
from engine.types.media import MediaInfo, VideoStream
from engine.types.plan import Lane, Plan, StepPlan, StreamDecision
from problems import Problem

# Key frames are hardly ever further apart.
_LEAD = 10.0
_DEFAULT_POSITION = 0.1
_MOST = 50


class PictureFormat(StrEnum):
    """Kinds of still pictures that can be written."""

    JPG = "jpg"
    PNG = "png"
    WEBP = "webp"


PictureCount = Annotated[int, Field(ge=1, le=_MOST), WHOLE]


def _listed(value: object) -> object:
    """Forms send one text."""
    return [part for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Moments = Annotated[
    tuple[Seconds, ...],
    Field(min_length=1, max_length=_MOST),
    BeforeValidator(_listed),
    WithJsonSchema(
        {
            "type": ["array", "string"],
            "items": {"type": ["number", "string"], "format": "timecode", "minimum": 0},
            "minItems": 1,
            "maxItems": _MOST,
            "examples": [[1, 2.5, "00:01:30"], "1, 2.5, 00:01:30"],
        }
    ),
]


class ThumbnailParameters(Parameters):
    """Pictures at moments, or several spread evenly; without either, one from the tenth part."""

    at: Seconds | None = Field(
        default=None,
        title="Moment",
        description="Seconds from the start, or HH:MM:SS.mmm.",
        examples=["00:00:05"],
    )
    times: Moments | None = Field(
        default=None,
        title="Moments",
        description="Several moments, separated by commas; in the API also as a list.",
        examples=["1, 2.5, 00:01:30"],
    )
    count: PictureCount | None = Field(
        default=None, title="Number", description="Take this many pictures, spread evenly.", examples=[5]
    )
    width: Pixels | None = Field(
        default=None,
        title="Width",
        description="Width in pixels; the height follows. Never enlarged. Empty keeps the size.",
        examples=[640],
    )
    format: PictureFormat = Field(
        default=PictureFormat.JPG, title="Format", description="The kind of picture to make."
    )

    @field_validator("times", "count")
    @classmethod
    def _one_way_to_choose(
        cls, value: tuple[float, ...] | int | None, info: ValidationInfo
    ) -> tuple[float, ...] | int | None:
        earlier = [
            name for name in ("at", "times") if name != info.field_name and info.data.get(name) is not None
        ]
        if value is not None and earlier:
            raise PydanticCustomError(
                "conflict", "Give one moment, several moments or a number of pictures, not two of them."
            )
        return value


def _plan(parameters: ThumbnailParameters, media: MediaInfo) -> Plan:
    stream = main_video(media)
    moments = _moments(parameters, media, stream)
    size = still_size(stream, parameters.width)
    roles = (
        ["thumbnail"]
        if len(moments) == 1
        else [f"thumbnail_{number:02d}" for number in range(1, len(moments) + 1)]
    )
    container = parameters.format.value
    runs = tuple(
        still_run(
            stream,
            role=role,
            at=moment,
            size=size,
            container=container,
            lead=lead_at(moment, media, _LEAD),
        )
        for role, moment in zip(roles, moments, strict=True)
    )
    pictures = "one picture" if len(moments) == 1 else f"{len(moments)} pictures"
    decision = StreamDecision(
        kind="video",
        source_index=stream.index,
        action="encode",
        codec=container,
        why=f"Drawn as {pictures} of {size[0]}x{size[1]}.",
    )
    return Plan(
        operation="thumbnail",
        summary=f"{pictures.capitalize()} of {size[0]}x{size[1]} as {container.upper()}.",
        streams=picture_decisions(media, stream, decision),
        outputs=tuple(still_output(role, size=size, container=container) for role in roles),
        steps=(StepPlan(position=0, kind="thumbnail", lane=Lane.SHORT, runs=runs),),
        estimated_size=round(size[0] * size[1] * 0.2 * len(moments)),
        estimated_seconds=round(0.3 + 0.3 * len(moments), 1),
    )


def _moments(parameters: ThumbnailParameters, media: MediaInfo, stream: VideoStream) -> list[float]:
    length = min(media.duration, stream.duration or media.duration)
    # The last frame begins one frame before the end; half of one more is for rounding.
    last = max(0.0, length - 1.5 / (stream.frame_rate or 25.0))
    wished = parameters.times or (() if parameters.at is None else (parameters.at,))
    for moment in wished:
        if moment > media.duration:
            reason = f"The moment {moment:g} s was asked for; the video ends at {media.duration:.3f} s."
            raise Problem("parameters_do_not_fit", reason=reason)
    if wished:
        return [min(moment, last) for moment in wished]
    if parameters.count is not None:
        return [min(length * (number + 0.5) / parameters.count, last) for number in range(parameters.count)]
    return [min(length * _DEFAULT_POSITION, last)]


OPERATION = OperationType(
    type="thumbnail",
    title="Thumbnail",
    description="Take still pictures out of the video.",
    icon="image",
    Parameters=ThumbnailParameters,
    plan=_plan,
)
