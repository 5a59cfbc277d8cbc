"""resize: the same video in another picture size."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from engine.assembly import video_plan
from engine.containers import VIDEO_CONTAINERS
from engine.operation import OperationType
from engine.parameters import Parameters, Pixels
from engine.pictures import Fit, Geometry, fitted
from engine.plan import main_video, video_copied, video_encoded, video_obstacle
from engine.types import MediaInfo, Plan


class ResizeParameters(Parameters):
    """At least one side is needed; the other then follows the shape of the picture."""

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
    fit: Fit = Field(
        default=Fit.CONTAIN,
        title="Fitting",
        description=(
            "How the picture meets a box of another shape: contain keeps all of it, cover fills the box and "
            "cuts what stands out, stretch changes its shape."
        ),
    )
    upscale: bool = Field(
        default=False,
        title="Enlarge",
        description="Allow a result larger than the source; it gains no detail.",
    )

    @model_validator(mode="after")
    def _needs_a_side(self) -> Self:
        if self.width is None and self.height is None:
            raise PydanticCustomError("required", "Give a width, a height or both.")
        return self


def _plan(parameters: ResizeParameters, media: MediaInfo) -> Plan:
    stream = main_video(media)
    container = VIDEO_CONTAINERS.get(media.container, VIDEO_CONTAINERS["mp4"])
    geometry = fitted(
        stream,
        width=parameters.width,
        height=parameters.height,
        fit=parameters.fit,
        upscale=parameters.upscale,
    )
    before = (stream.display_width, stream.display_height)
    if geometry.size == before and video_obstacle(media, stream, container) is None:
        picture = video_copied(
            media, stream, container, why="The picture has this size already, so it is kept."
        )
    else:
        why = f"A picture of {before[0]}x{before[1]} is drawn again at {geometry.size[0]}x{geometry.size[1]}"
        picture = video_encoded(media, stream, container, why=why, geometry=geometry)
    return video_plan("resize", media, container, picture, summary=_summary(parameters, before, geometry))


def _summary(parameters: ResizeParameters, before: tuple[int, int], geometry: Geometry) -> str:
    width, height = geometry.size
    text = f"From {before[0]}x{before[1]} to {width}x{height}"
    asked = (parameters.width or width, parameters.height or height)
    larger = asked[0] > before[0] + 1 or asked[1] > before[1] + 1
    return f"{text}; the source is not enlarged." if larger and not parameters.upscale else f"{text}."


OPERATION = OperationType(
    type="resize",
    title="Resize",
    description="Make a copy in another picture size.",
    icon="scaling",
    Parameters=ResizeParameters,
    plan=_plan,
)
