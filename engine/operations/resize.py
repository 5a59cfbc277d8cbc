"""resize: the same video in another picture size."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from engine.assembly import scored, video_plan
from engine.containers import VIDEO_CONTAINERS
from engine.operation import OperationType
from engine.parameters import ADVANCED, Colour, Parameters, Pixels, Score
from engine.pictures import Fit, box_around, fitted, padded
from engine.plan import main_video, video_copied, video_encoded, video_obstacle
from engine.types.media import MediaInfo
from engine.types.plan import Plan
from engine.types.recipes import Filter


class Background(StrEnum):
    """What is around a picture that does not fill its box."""

    COLOR = "color"
    BLUR = "blur"


class ResizeParameters(Parameters):
    """One side is needed at least; the other then follows the shape of the picture."""

    width: Pixels | None = Field(
        default=None,
        title="Width",
        description="Width in pixels. Odd numbers are made even.",
        examples=[1280],
    )
    height: Pixels | None = Field(
        default=None,
        title="Height",
        description="Height in pixels. Odd numbers are made even.",
        examples=[720],
    )
    short_side: Pixels | None = Field(
        default=None,
        title="Short side",
        description="Or: the shorter side in pixels. 720 is 1280x720 for a wide video, 720x1280 upright.",
        examples=[720],
    )
    fit: Fit = Field(
        default=Fit.CONTAIN,
        title="Fitting",
        description=(
            "How the picture meets a box of another shape: contain keeps all of it, cover fills the box and "
            "cuts what stands out, stretch changes its shape, pad keeps all of it and fills the rest."
        ),
        examples=["contain"],
    )
    background: Background = Field(
        default=Background.COLOR,
        title="Behind the picture",
        description="What pad fills the rest of the box with: a colour, or a blurred copy of the picture.",
        examples=["blur"],
        json_schema_extra=ADVANCED,
    )
    color: Colour = Field(
        default="black",
        title="Colour",
        description="The colour that pad fills with: #rrggbb, or a name such as black or white.",
        examples=["#1e293b"],
        json_schema_extra=ADVANCED,
    )
    upscale: bool = Field(
        default=False,
        title="Enlarge",
        description="Allow a result larger than the source; it gains no detail.",
    )
    score: Score = None

    @model_validator(mode="after")
    def _needs_a_side(self) -> Self:
        if self.short_side is not None:
            if self.width is not None or self.height is not None:
                raise PydanticCustomError("conflict", "Give a short side, or width and height, not both.")
        elif self.width is None and self.height is None:
            raise PydanticCustomError("required", "Give a width, a height or both, or a short side.")
        if self.fit is Fit.PAD and (self.width is None or self.height is None):
            raise PydanticCustomError("required", "To pad, give a width and a height.")
        return self


def _plan(parameters: ResizeParameters, media: MediaInfo) -> Plan:
    stream = main_video(media)
    container = VIDEO_CONTAINERS.get(media.container, VIDEO_CONTAINERS["mp4"])
    width, height = parameters.width, parameters.height
    if parameters.short_side is not None:
        wide = stream.display_width >= stream.display_height
        width, height = (None, parameters.short_side) if wide else (parameters.short_side, None)
    geometry = fitted(
        stream,
        width=width,
        height=height,
        fit=parameters.fit,
        upscale=parameters.upscale,
    )
    before = (stream.display_width, stream.display_height)
    size = geometry.size
    filters: tuple[Filter, ...] = ()
    if parameters.fit is Fit.PAD:
        size = box_around(stream, parameters.width or 0, parameters.height or 0, upscale=parameters.upscale)
        colour = parameters.color if parameters.background is Background.COLOR else None
        filters = padded(geometry.size, size, colour) if size != geometry.size else ()
    if size == before and video_obstacle(media, stream, container) is None:
        picture = video_copied(
            media, stream, container, why="The picture has this size already, so it is kept."
        )
    else:
        why = f"A picture of {before[0]}x{before[1]} is drawn again at {geometry.size[0]}x{geometry.size[1]}"
        if filters:
            why += f" in a box of {size[0]}x{size[1]}"
        picture = video_encoded(
            media, stream, container, why=why, geometry=geometry, filters=filters, size=size
        )
    plan = video_plan("resize", media, container, picture, summary=_summary(parameters, before, size))
    return scored(plan, parameters.score, media)


def _summary(parameters: ResizeParameters, before: tuple[int, int], size: tuple[int, int]) -> str:
    width, height = size
    text = f"From {before[0]}x{before[1]} to {width}x{height}"
    asked = (parameters.width or width, parameters.height or height)
    larger = asked[0] > before[0] + 1 or asked[1] > before[1] + 1
    larger = larger or (parameters.short_side or 0) > min(before) + 1
    if parameters.fit is Fit.PAD:
        larger = asked[0] > width + 1
    return f"{text}; the source is not enlarged." if larger and not parameters.upscale else f"{text}."


OPERATION = OperationType(
    type="resize",
    title="Resize",
    description="Make a copy in another picture size.",
    icon="scaling",
    Parameters=ResizeParameters,
    plan=_plan,
)
