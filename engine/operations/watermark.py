"""watermark: a line of text over the picture."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from engine.assembly import video_plan
from engine.containers import VIDEO_CONTAINERS
from engine.operation import OperationType
from engine.parameters import ADVANCED, WHOLE, Colour, Parameters, Seconds
from engine.pictures import natural
from engine.plan import main_video, video_encoded
from engine.ranges import clock, range_of
from engine.types import FONT, Filter, MediaInfo, Plan, Scalar, VideoStream

_TEXT_FILE = "watermark.txt"
_LONGEST = 120
# Widths of letters differ; a line of usual words is about this many times its size per letter.
_LETTER = 0.62
_SMALLEST = 8


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

    text: Words = Field(
        title="Text",
        description="One line in Latin, Greek, Cyrillic or Hebrew letters, shown as it is written here.",
        examples=["© My Studio"],
    )
    position: Position = Field(
        default=Position.BOTTOM_RIGHT, title="Place", description="Where in the picture the text stands."
    )
    size: Annotated[int, Field(ge=1, le=50), WHOLE] = Field(
        default=5, title="Size", description="Height of the letters, in percent of the picture's height."
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
        description="When the text appears: seconds, or HH:MM:SS.mmm. Empty shows it from the beginning.",
        examples=["00:00:05"],
    )
    end: Seconds | None = Field(
        default=None,
        title="Until",
        description="When the text goes away, counted from the video's beginning. Empty keeps it to the end.",
        examples=["00:00:15"],
    )

    @field_validator("text")
    @classmethod
    def _can_be_drawn(cls, text: str) -> str:
        if not text.isprintable():
            raise PydanticCustomError("not_a_text", "Must be one line without control characters.")
        return text

    @field_validator("end")
    @classmethod
    def _end_follows_start(cls, end: float | None, info: ValidationInfo) -> float | None:
        if end is not None and end <= (info.data.get("start") or 0.0):
            raise PydanticCustomError("too_small", "Must be after the beginning of the text.")
        return end


_ACROSS: Mapping[str, str] = {"left": "{margin}", "right": "max(0,w-text_w-{margin})"}
_DOWN: Mapping[str, str] = {"top": "{margin}", "bottom": "max(0,h-text_h-{margin})"}


def _plan(parameters: WatermarkParameters, media: MediaInfo) -> Plan:
    stream = main_video(media)
    container = VIDEO_CONTAINERS.get(media.container, VIDEO_CONTAINERS["mp4"])
    width, height = natural(stream).size
    margin = round(height * parameters.margin / 100)
    wished = max(_SMALLEST, round(height * parameters.size / 100))
    room = max(1.0, width - 2 * margin)
    size = max(_SMALLEST, min(wished, int(room / (_LETTER * len(parameters.text)))))
    smaller = ", smaller than asked so that it fits" if size < wished else ""
    place = parameters.position.value.replace("_", " ")
    when = ""
    options = _drawing(parameters, stream, size, margin)
    if parameters.start is not None or parameters.end is not None:
        shown = range_of(media, start=parameters.start, end=parameters.end)
        options["enable"] = f"gte(t,{shown.start:.3f})*lt(t,{shown.end:.3f})"
        when = f" from {clock(shown.start)} to {clock(shown.end)}"
    picture = video_encoded(
        media,
        stream,
        container,
        why=f"A text is drawn over the picture, {size} pixels high{smaller}",
        filters=(Filter(name="drawtext", options=options),),
    )
    summary = f"“{parameters.text}” at the {place}{when}, {size} pixels high{smaller}."
    plan = video_plan("watermark", media, container, picture, summary=summary)
    steps = tuple(
        step.model_copy(
            update={
                "runs": tuple(
                    run.model_copy(update={"texts": {_TEXT_FILE: parameters.text}, "font": True})
                    for run in step.runs
                )
            }
        )
        for step in plan.steps
    )
    return plan.model_copy(update={"steps": steps})


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
        "fontcolor": f"{_shown(parameters.color, stream)}@{opacity:.2f}",
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


def _shown(colour: str, stream: VideoStream) -> str:
    """The colour as the picture's transfer function needs it."""
    full = int(_NAMES.get(colour, colour)[1:], 16)
    share = _PAPER_WHITE.get(stream.color_transfer or "", 1.0)
    parts = [round((full >> shift & 255) * share) for shift in (16, 8, 0)]
    return "0x" + "".join(f"{part:02x}" for part in parts)


OPERATION = OperationType(
    type="watermark",
    title="Watermark",
    description="Write a line of text over the picture.",
    icon="stamp",
    Parameters=WatermarkParameters,
    plan=_plan,
)
