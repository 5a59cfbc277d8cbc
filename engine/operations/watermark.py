"""watermark: a line of text, or a small picture, over the picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from engine.assembly import video_plan
from engine.containers import VIDEO_CONTAINERS, Container
from engine.operation import Holds, OperationType
from engine.overlay import with_picture
from engine.parameters import ADVANCED, PICTURES, WHOLE, AssetId, Colour, Parameters, Seconds
from engine.pictures import natural, paper_white
from engine.plan import Part, main_video, video_encoded
from engine.ranges import clock, range_of
from engine.types.media import MediaInfo, VideoStream
from engine.types.plan import Plan
from engine.types.recipes import FONT, Filter
from engine.types.value import Scalar

_TEXT_FILE = "watermark.txt"
_LONGEST = 120
# Widths of letters differ; a line of usual words is about this many times its size per letter.
_LETTER = 0.62
_SMALLEST = 8
_PICTURE_FILE = "watermark.png"
# In percent of the video's height.
_USUAL_LETTERS, _USUAL_PICTURE = 5, 15
_SMALLER = ", smaller than asked so that it fits"


class Position(StrEnum):
    """Nine places in a picture."""

    TOP_LEFT = "top_left"
    TOP = "top"
    TOP_RIGHT = "top_right"
    LEFT = "left"
    CENTER = "center"
    RIGHT = "right"
    BOTTOM_LEFT = "bottom_left"
    BOTTOM = "bottom"
    BOTTOM_RIGHT = "bottom_right"


Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=_LONGEST)]


class WatermarkParameters(Parameters):
    """Sizes are shares of the picture, so that one wish suits videos of every size."""

    image: AssetId | None = Field(
        default=None,
        title="Picture",
        description="A picture of yours, such as a logo; it may be transparent. Empty writes the text.",
        json_schema_extra={**PICTURES, "x-empty": "No picture: the text"},
    )
    text: Words | None = Field(
        default=None,
        title="Text",
        description="One line in Latin, Greek, Cyrillic or Hebrew letters, shown as it is written here.",
        examples=["© My Studio"],
    )
    position: Position = Field(
        default=Position.BOTTOM_RIGHT, title="Place", description="Where in the video it stands."
    )
    size: Annotated[int, Field(ge=1, le=50), WHOLE] | None = Field(
        default=None,
        title="Size",
        description="Height of letters or picture, in percent of the video's height. Empty is 5 for letters, "
        "15 for a picture.",
    )
    opacity: Annotated[int, Field(ge=1, le=100), WHOLE] = Field(
        default=80, title="Opacity", description="In percent: 100 is solid, small numbers are hardly seen."
    )
    color: Colour = Field(
        default="white",
        title="Colour",
        description="The colour of the letters: #rrggbb, or a name such as white or yellow.",
        examples=["white"],
        json_schema_extra=ADVANCED,
    )
    margin: Annotated[int, Field(ge=0, le=40), WHOLE] = Field(
        default=3,
        title="Margin",
        description="Distance to the edges, in percent of the picture's height.",
        json_schema_extra=ADVANCED,
    )
    start: Seconds | None = Field(
        default=None,
        title="From",
        description="When it appears: seconds, or HH:MM:SS.mmm. Empty shows it from the beginning.",
        examples=["00:00:05"],
    )
    end: Seconds | None = Field(
        default=None,
        title="Until",
        description="When it goes away, counted from the video's beginning. Empty keeps it to the end.",
        examples=["00:00:15"],
    )

    @field_validator("text")
    @classmethod
    def _can_be_drawn(cls, text: str | None, info: ValidationInfo) -> str | None:
        image = info.data.get("image")
        if text is None and image is None and "image" in info.data:
            raise PydanticCustomError("required", "Write a text, or choose a picture.")
        if text is not None and image is not None:
            raise PydanticCustomError("not_wanted", "Choose either a text or a picture.")
        if text is not None and not text.isprintable():
            raise PydanticCustomError("not_a_text", "Must be one line without control characters.")
        return text

    @field_validator("end")
    @classmethod
    def _end_follows_start(cls, end: float | None, info: ValidationInfo) -> float | None:
        if end is not None and end <= (info.data.get("start") or 0.0):
            raise PydanticCustomError("too_small", "Must be after the moment it appears.")
        return end


_ACROSS: Mapping[str, str] = {"left": "{margin}", "right": "max(0,w-text_w-{margin})"}
_DOWN: Mapping[str, str] = {"top": "{margin}", "bottom": "max(0,h-text_h-{margin})"}


@dataclass(frozen=True, slots=True)
class _Shown:
    """Where and when it is seen, as filters and people say it."""

    margin: int
    room: tuple[int, int]
    enable: str | None
    words: str


def _shown(parameters: WatermarkParameters, media: MediaInfo, size: tuple[int, int]) -> _Shown:
    width, height = size
    margin = round(height * parameters.margin / 100)
    room = (max(1, width - 2 * margin), max(1, height - 2 * margin))
    place = f"at the {parameters.position.value.replace('_', ' ')}"
    if parameters.start is None and parameters.end is None:
        return _Shown(margin, room, None, place)
    seen = range_of(media, start=parameters.start, end=parameters.end)
    enable = f"gte(t,{seen.start:.3f})*lt(t,{seen.end:.3f})"
    return _Shown(margin, room, enable, f"{place} from {clock(seen.start)} to {clock(seen.end)}")


def _others(parameters: WatermarkParameters) -> Mapping[str, Holds]:
    return {} if parameters.image is None else {parameters.image: Holds.IMAGE}


def _plan(parameters: WatermarkParameters, media: MediaInfo, others: Mapping[str, MediaInfo]) -> Plan:
    shown = _shown(parameters, media, natural(main_video(media)).size)
    if parameters.image is None:
        return _with_text(parameters, str(parameters.text), media, shown)
    return _with_picture(parameters, parameters.image, main_video(others[parameters.image]), media, shown)


def _finished(media: MediaInfo, container: Container, picture: Part, summary: str, **needs: object) -> Plan:
    """`needs` is what the run's filters read."""
    plan = video_plan("watermark", media, container, picture, summary=summary)
    (step,) = plan.steps
    runs = tuple(run.model_copy(update=needs) for run in step.runs)
    return plan.model_copy(update={"steps": (step.model_copy(update={"runs": runs}),)})


def _with_text(parameters: WatermarkParameters, text: str, media: MediaInfo, shown: _Shown) -> Plan:
    stream = main_video(media)
    container = VIDEO_CONTAINERS.get(media.container, VIDEO_CONTAINERS["mp4"])
    height = natural(stream).size[1]
    wished = max(_SMALLEST, round(height * (parameters.size or _USUAL_LETTERS) / 100))
    size = max(_SMALLEST, min(wished, int(shown.room[0] / (_LETTER * len(text)))))
    smaller = _SMALLER if size < wished else ""
    options = _drawing(parameters, stream, size, shown.margin)
    if shown.enable is not None:
        options["enable"] = shown.enable
    picture = video_encoded(
        media,
        stream,
        container,
        why=f"A text is drawn over the picture, {size} pixels high{smaller}",
        filters=(Filter(name="drawtext", options=options),),
    )
    summary = f"“{text}” {shown.words}, {size} pixels high{smaller}."
    return _finished(media, container, picture, summary, texts={_TEXT_FILE: text}, font=True)


def _with_picture(
    parameters: WatermarkParameters, image: str, mark: VideoStream, media: MediaInfo, shown: _Shown
) -> Plan:
    stream = main_video(media)
    container = VIDEO_CONTAINERS.get(media.container, VIDEO_CONTAINERS["mp4"])
    size, smaller = _mark_size(parameters, mark, natural(stream).size[1], shown.room)
    picture = video_encoded(
        media,
        stream,
        container,
        why=f"A picture is laid over it, {size[0]}x{size[1]} pixels large{smaller}",
    )
    marked = with_picture(
        picture,
        stream,
        file=_PICTURE_FILE,
        size=size,
        at=_corner(parameters.position, natural(stream).size, size, shown.margin),
        opacity=parameters.opacity / 100,
        brightness=paper_white(stream, str(picture.recipe.filters[-1].options["pix_fmts"])),
        enable=shown.enable,
    )
    summary = f"A picture {shown.words}, {size[0]}x{size[1]} pixels large{smaller}."
    return _finished(media, container, marked, summary, pictures={_PICTURE_FILE: image})


def _mark_size(
    parameters: WatermarkParameters, mark: VideoStream, height: int, room: tuple[int, int]
) -> tuple[tuple[int, int], str]:
    """As high as asked, in the picture's own shape, but inside the margins."""
    wished = height * (parameters.size or _USUAL_PICTURE) / 100
    scale = min(wished / mark.height, room[0] / mark.width, room[1] / mark.height)
    size = (max(1, round(mark.width * scale)), max(1, round(mark.height * scale)))
    return size, _SMALLER if scale < wished / mark.height else ""


def _corner(
    position: Position, video: tuple[int, int], size: tuple[int, int], margin: int
) -> tuple[int, int]:
    sides = position.value.split("_")
    free = (video[0] - size[0], video[1] - size[1])
    x = margin if "left" in sides else free[0] - margin if "right" in sides else free[0] // 2
    y = margin if "top" in sides else free[1] - margin if "bottom" in sides else free[1] // 2
    return max(0, x), max(0, y)


def _drawing(
    parameters: WatermarkParameters, stream: VideoStream, size: int, margin: int
) -> dict[str, Scalar]:
    """The text itself is read from a file and taken as it is, so nothing in it can act as a filter."""
    sides = parameters.position.value.split("_")
    across = next((_ACROSS[side] for side in sides if side in _ACROSS), "max(0,(w-text_w)/2)")
    down = next((_DOWN[side] for side in sides if side in _DOWN), "max(0,(h-text_h)/2)")
    opacity = parameters.opacity / 100
    return {
        "fontfile": FONT,
        "textfile": _TEXT_FILE,
        "expansion": "none",
        "fontsize": size,
        "fontcolor": f"{_colour(parameters.color, stream)}@{opacity:.2f}",
        # A dark edge keeps bright letters readable on white.
        "borderw": max(1, round(size / 20)),
        "bordercolor": f"black@{opacity * 0.6:.2f}",
        "x": across.format(margin=margin),
        "y": down.format(margin=margin),
    }


# Full white would be as bright as the sun where a picture keeps its high dynamic range.
_PAPER_WHITE = {"smpte2084": 0.58, "arib-std-b67": 0.75}
_NAMES = {
    "black": "#000000", "white": "#ffffff", "gray": "#808080", "grey": "#808080", "red": "#ff0000",
    "green": "#008000", "blue": "#0000ff", "yellow": "#ffff00",
}  # fmt: skip


def _colour(colour: str, stream: VideoStream) -> str:
    """The colour as the picture's transfer function needs it."""
    full = int(_NAMES.get(colour, colour)[1:], 16)
    share = _PAPER_WHITE.get(stream.color_transfer or "", 1.0)
    parts = [round((full >> shift & 255) * share) for shift in (16, 8, 0)]
    return "0x" + "".join(f"{part:02x}" for part in parts)


OPERATION = OperationType(
    type="watermark",
    title="Watermark",
    description="Put a line of text or a picture, such as a logo, over the video.",
    icon="stamp",
    Parameters=WatermarkParameters,
    plan=_plan,
    others=_others,
)
