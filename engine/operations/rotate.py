"""rotate: the picture turned by quarters, or mirrored."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from engine.assembly import video_plan
from engine.containers import VIDEO_CONTAINERS
from engine.operation import OperationType
from engine.parameters import Parameters
from engine.pictures import natural
from engine.plan import main_video, video_encoded
from engine.types.media import MediaInfo
from engine.types.plan import Plan
from engine.types.recipes import Filter


class Flip(StrEnum):
    """Ways to mirror a picture."""

    HORIZONTAL = "horizontal"
    VERTICAL = "vertical"


def _number(value: object) -> object:
    """Forms send numbers as text."""
    return int(value) if isinstance(value, str) and value.strip() in ("90", "180", "270") else value


Quarters = Annotated[Literal[90, 180, 270], BeforeValidator(_number)]

# vflip only turns the order of the lines around; x265 crashes on that with more than 8 bits.
_UPSIDE_DOWN = (Filter(name="vflip"), Filter(name="copy"))

_TURNS: Mapping[int, tuple[Filter, ...]] = {
    90: (Filter(name="transpose", options={"dir": "clock"}),),
    180: (Filter(name="hflip"), *_UPSIDE_DOWN),
    270: (Filter(name="transpose", options={"dir": "cclock"}),),
}
_FLIPS = {Flip.HORIZONTAL: (Filter(name="hflip"),), Flip.VERTICAL: _UPSIDE_DOWN}
_WORDS = {Flip.HORIZONTAL: "left and right are exchanged", Flip.VERTICAL: "top and bottom are exchanged"}


class RotateParameters(Parameters):
    """At least one of the two is needed; with both, the picture is turned first."""

    degrees: Quarters | None = Field(
        default=None,
        title="Turn",
        description="Degrees to turn the picture clockwise: 90, 180 or 270.",
        examples=[90],
        json_schema_extra={"x-empty": "Not turned"},
    )
    flip: Flip | None = Field(
        default=None,
        title="Mirror",
        description=(
            "Mirror the picture: horizontal exchanges left and right, vertical exchanges top and bottom."
        ),
        json_schema_extra={"x-empty": "Not mirrored"},
    )

    @model_validator(mode="after")
    def _needs_something(self) -> Self:
        if self.degrees is None and self.flip is None:
            raise PydanticCustomError("required", "Give degrees to turn, a way to mirror, or both.")
        return self


def _plan(parameters: RotateParameters, media: MediaInfo) -> Plan:
    stream = main_video(media)
    container = VIDEO_CONTAINERS.get(media.container, VIDEO_CONTAINERS["mp4"])
    geometry = natural(stream)
    width, height = geometry.size
    words = []
    filters: list[Filter] = []
    if parameters.degrees is not None:
        filters += _TURNS[parameters.degrees]
        words.append(f"turned by {parameters.degrees} degrees clockwise")
        if parameters.degrees != 180:  # noqa: PLR2004 - half a turn, the only one that keeps the sides
            width, height = height, width
    if parameters.flip is not None:
        filters += _FLIPS[parameters.flip]
        words.append(f"mirrored: {_WORDS[parameters.flip]}")
    done = " and ".join(words)
    picture = video_encoded(
        media,
        stream,
        container,
        why=f"The picture is {done}",
        filters=tuple(filters),
        size=(width, height),
    )
    return video_plan("rotate", media, container, picture, summary=f"{done.capitalize()}; {width}x{height}.")


OPERATION = OperationType(
    type="rotate",
    title="Rotate",
    description="Turn the picture by quarters, or mirror it.",
    icon="rotate-cw",
    Parameters=RotateParameters,
    plan=_plan,
)
