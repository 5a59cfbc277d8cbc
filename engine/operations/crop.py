"""crop: a rectangle of the picture."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from engine.assembly import carried_out, video_plan
from engine.containers import VIDEO_CONTAINERS, Container
from engine.operation import OperationType
from engine.parameters import WHOLE, Parameters, Pixels
from engine.pictures import Geometry
from engine.plan import main_video, video_encoded
from engine.ranges import insist_on_clock
from engine.types.media import MediaInfo, VideoStream
from engine.types.plan import Plan
from problems import Problem

Offset = Annotated[int, Field(ge=0, le=8192), WHOLE]


class CropParameters(Parameters):
    """The rectangle is given in pixels of the picture as it is seen and must lie inside, or is found."""

    auto: bool = Field(
        default=False,
        title="Find black bars",
        description="Look at samples of the whole video and cut away the bars that are black in all of them.",
        examples=[True],
    )
    width: Pixels | None = Field(
        default=None,
        title="Width",
        description="Width of the rectangle in pixels. Odd numbers are made even.",
        examples=[640],
    )
    height: Pixels | None = Field(
        default=None,
        title="Height",
        description="Height of the rectangle in pixels. Odd numbers are made even.",
        examples=[360],
    )
    x: Offset | None = Field(
        default=None,
        title="From the left",
        description="Pixels from the picture's left edge to the rectangle. Empty takes the middle.",
        examples=[0],
    )
    y: Offset | None = Field(
        default=None,
        title="From the top",
        description="Pixels from the picture's top edge to the rectangle. Empty takes the middle.",
        examples=[0],
    )

    @field_validator("width", "height", "x", "y")
    @classmethod
    def _rectangle_or_bars(cls, value: int | None, info: ValidationInfo) -> int | None:
        auto = info.data.get("auto", False)
        if auto and value is not None:
            raise PydanticCustomError("conflict", "Give a rectangle or have the bars found, not both.")
        if not auto and value is None and info.field_name in ("width", "height"):
            raise PydanticCustomError("required", "Give a width and a height, or have black bars found.")
        return value


def _plan(parameters: CropParameters, media: MediaInfo) -> Plan:
    stream = main_video(media)
    container = VIDEO_CONTAINERS.get(media.container, VIDEO_CONTAINERS["mp4"])
    if parameters.width is None or parameters.height is None:
        return _without_bars(media, stream, container)
    across, down = stream.display_width, stream.display_height
    width, x = _side(parameters.width, parameters.x, across, "wide")
    height, y = _side(parameters.height, parameters.y, down, "high")
    geometry = Geometry(scaled=(across, down), size=(width, height), offset=(x, y))
    place = f"{width}x{height} from {x} pixels right and {y} down"
    picture = video_encoded(
        media,
        stream,
        container,
        why=f"A picture of {across}x{down} is cut to {place}",
        geometry=geometry,
    )
    return video_plan("crop", media, container, picture, summary=f"From {across}x{down}, the {place}.")


def _without_bars(media: MediaInfo, stream: VideoStream, container: Container) -> Plan:
    insist_on_clock(media)
    why = "Black bars are looked for first, then the picture is encoded without them"
    picture = video_encoded(media, stream, container, why=why)
    summary = "Without the black bars, which are found when it runs."
    return carried_out(video_plan("crop", media, container, picture, summary=summary), "bars")


def _side(wished: int, offset: int | None, whole: int, word: str) -> tuple[int, int]:
    """A side of the rectangle and where it begins, both even, as colours are stored for pairs of pixels."""
    begin = (whole - wished) // 2 if offset is None else offset
    if begin < 0 or begin + wished > whole:
        end = f"{wished} pixels" if offset is None else f"{offset} and {wished} pixels"
        reason = f"The rectangle leaves the picture, which is {whole} pixels {word}: {end} is too much."
        raise Problem("parameters_do_not_fit", reason=reason)
    begin -= begin % 2
    side = wished - wished % 2
    return side, begin


OPERATION = OperationType(
    type="crop",
    title="Crop",
    description="Keep only a rectangle of the picture.",
    icon="crop",
    Parameters=CropParameters,
    plan=_plan,
)
