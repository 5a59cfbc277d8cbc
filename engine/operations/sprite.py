"""sprite: small pictures of the whole video on one sheet, with a list of where each is (WebVTT)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from engine.operation import OperationType
from engine.parameters import ADVANCED, WHOLE, Parameters
from engine.pictures import Geometry, encodable, even
from engine.plan import main_video
from engine.ranges import clock, insist_on_clock
from engine.stills import ENCODERS, picture_decisions, still_output, still_size
from engine.types.media import MediaInfo, VideoStream
from engine.types.plan import Expectation, Lane, OutputPlan, Plan, StepPlan, StreamDecision
from engine.types.recipes import FileRecipe, Filter, Input, Run, StreamRecipe
from engine.types.value import Scalar
from problems import Problem

_USUAL_COUNT = 100
_LEAST_INTERVAL = 1.0
_MOST_TILES = 2_000
_MOST_ROWS = 10
_MOST_SHEET_PIXELS = 16e6
_MOST_HIGH = 16_000  # a WebP has at most 16383
_SHORT_WORK = 600.0  # seconds of video; beyond it the work is too long for the lane of short ones
_SPEED = 250e6


class SheetFormat(StrEnum):
    """Kinds of pictures a sheet can be."""

    JPG = "jpg"
    WEBP = "webp"
    PNG = "png"


class SpriteParameters(Parameters):
    """A player shows the tile of a moment while one moves along its timeline."""

    interval: Annotated[float, Field(ge=0.1, le=3600)] | None = Field(
        default=None,
        title="Seconds between pictures",
        description="Empty takes about 100 pictures, at least a second apart.",
        examples=[10],
    )
    count: Annotated[int, Field(ge=1, le=_MOST_TILES), WHOLE] | None = Field(
        default=None, title="Number of pictures", description="Or: so many, spread evenly.", examples=[100]
    )
    columns: Annotated[int, Field(ge=1, le=20), WHOLE] = Field(
        default=10, title="Columns", description="Pictures beside each other on a sheet.", examples=[10]
    )
    width: Annotated[int, Field(ge=16, le=640), WHOLE] = Field(
        default=160,
        title="Width",
        description="Width of one picture in pixels; the height follows. Never enlarged.",
        examples=[160],
    )
    thumbnails: Annotated[int, Field(ge=1, le=20), WHOLE] | None = Field(
        default=None,
        title="Still pictures",
        description="Also take so many pictures in the video's own size, spread evenly, in the same pass.",
        examples=[3],
        json_schema_extra=ADVANCED,
    )
    format: SheetFormat = Field(
        default=SheetFormat.JPG,
        title="Format",
        description="The kind of picture a sheet is.",
        examples=["jpg"],
        json_schema_extra=ADVANCED,
    )

    @field_validator("count")
    @classmethod
    def _one_way_to_choose(cls, count: int | None, info: ValidationInfo) -> int | None:
        if count is not None and info.data.get("interval") is not None:
            raise PydanticCustomError("conflict", "Give an interval or a number of pictures, not both.")
        return count


@dataclass(frozen=True, slots=True)
class _Layout:
    """`count` tiles of `tile` pixels, one each `interval` seconds, in `columns` and at most `rows`."""

    interval: float
    count: int
    tile: tuple[int, int]
    columns: int
    rows: int

    @property
    def sheets(self) -> int:
        return math.ceil(self.count / (self.columns * self.rows))

    def tiles_on(self, sheet: int) -> int:
        return min(self.columns * self.rows, self.count - sheet * self.columns * self.rows)

    def grid(self, sheet: int) -> tuple[int, int]:
        tiles = self.tiles_on(sheet)
        columns = min(self.columns, self.count)
        return columns, math.ceil(tiles / columns)

    def size(self, sheet: int) -> tuple[int, int]:
        columns, rows = self.grid(sheet)
        return columns * self.tile[0], rows * self.tile[1]


def _plan(parameters: SpriteParameters, media: MediaInfo) -> Plan:
    stream = main_video(media)
    length = max(0.001, min(media.duration, stream.duration or media.duration))
    layout = _layout(parameters, stream, length)
    if layout.sheets > 1:
        insist_on_clock(media)
    container = parameters.format.value
    numbers = range(layout.sheets)
    roles = ["sprite"] if layout.sheets == 1 else [f"sprite_{number + 1:02d}" for number in numbers]
    sheets = tuple(
        still_output(role, size=layout.size(number), container=container)
        for number, role in zip(numbers, roles, strict=True)
    )
    stills = _stills(parameters, stream, length)
    runs = tuple(
        _run(stream, layout, number, sheet, length, stills=stills) for number, sheet in enumerate(sheets)
    )
    across, down = layout.tile
    tiles = "1 picture" if layout.count == 1 else f"{layout.count} pictures"
    where = "one sheet" if layout.sheets == 1 else f"{layout.sheets} sheets"
    done = f"{tiles} of {across}x{down} on {where}, one every {layout.interval:.4g} s"
    done += f", and {len(stills)} of its own size" if stills else ""
    decision = StreamDecision(
        kind="video", source_index=stream.index, action="encode", codec=container, why=f"Drawn as {done}."
    )
    work = length * stream.width * stream.height * (stream.frame_rate or 25.0) / _SPEED
    return Plan(
        operation="sprite",
        summary=f"{done[0].upper()}{done[1:]}, and a list for players.",
        streams=picture_decisions(media, stream, decision),
        outputs=(
            *sheets,
            *(still.output for still in stills),
            _storyboard(layout, [sheet.filename for sheet in sheets], length),
        ),
        steps=(
            StepPlan(
                position=0,
                kind="sprite",
                lane=Lane.SHORT if length <= _SHORT_WORK else Lane.ENCODE,
                runs=runs,
            ),
        ),
        estimated_size=round(across * down * layout.count * 0.15) + 200,
        estimated_seconds=round(0.5 + work / 2, 1),
    )


def _layout(parameters: SpriteParameters, stream: VideoStream, length: float) -> _Layout:
    scale = min(1.0, parameters.width / stream.display_width)
    tile = even(stream.display_width * scale), even(stream.display_height * scale)
    if parameters.interval is not None:
        interval = parameters.interval
    elif parameters.count is not None:
        interval = length / parameters.count
    else:
        interval = max(_LEAST_INTERVAL, length / _USUAL_COUNT)
    # A picture more often than there are frames would show the same one twice.
    interval = max(interval, 1.0 / (stream.frame_rate or 25.0))
    count = max(1, math.ceil(round(length / interval, 6)))
    if count > _MOST_TILES:
        reason = (
            f"One picture every {interval:g} s makes {count}, and {_MOST_TILES} is the most: "
            f"take at least {math.ceil(length / _MOST_TILES)} s."
        )
        raise Problem("parameters_do_not_fit", reason=reason)
    sheet_width = tile[0] * min(parameters.columns, count)
    room = min(_MOST_HIGH / tile[1], _MOST_SHEET_PIXELS / (sheet_width * tile[1]))
    if room < 1:
        reason = f"A row of {parameters.columns} pictures of {tile[0]}x{tile[1]} is too large for one sheet."
        raise Problem("parameters_do_not_fit", reason=reason)
    return _Layout(interval, count, tile, parameters.columns, min(_MOST_ROWS, int(room)))


@dataclass(frozen=True, slots=True)
class _Still:
    """A picture in the video's own size, from the frame at or after `at` seconds."""

    at: float
    output: OutputPlan
    recipe: StreamRecipe

    def file(self, start: float) -> FileRecipe:
        """How it is written by a run that decodes from `start` on."""
        chosen = Filter(name="select", options={"expr": f"gte(t,{self.at - start:.4f})"})
        recipe = self.recipe.model_copy(update={"filters": (chosen, *self.recipe.filters)})
        options: dict[str, Scalar] = {"update": 1}
        return FileRecipe(role=self.output.role, muxer="image2", streams=(recipe,), options=options, frames=1)


def _stills(parameters: SpriteParameters, stream: VideoStream, length: float) -> list[_Still]:
    count, container = parameters.thumbnails or 0, parameters.format.value
    encoder, pixel_format, quality = ENCODERS[container]
    size = still_size(stream, None)
    recipe = StreamRecipe(
        kind="video",
        source_index=stream.index,
        action="encode",
        encoder=encoder,
        options=quality,
        filters=encodable(stream, Geometry(scaled=size, size=size), pixel_format=pixel_format),
    )
    # The last frame begins one frame before the end; half of one more is for rounding.
    last = max(0.0, length - 1.5 / (stream.frame_rate or 25.0))
    return [
        _Still(
            min(last, length * (number + 0.5) / count),
            still_output(f"thumbnail_{number + 1:02d}", size=size, container=container),
            recipe,
        )
        for number in range(count)
    ]


def _run(
    stream: VideoStream,
    layout: _Layout,
    sheet: int,
    output: OutputPlan,
    length: float,
    *,
    stills: list[_Still],
) -> Run:
    """One sheet and the pictures from its own part of the video, so that all together decode it once."""
    encoder, pixel_format, options = ENCODERS[output.container]
    columns, rows = layout.grid(sheet)
    tiles = layout.tiles_on(sheet)
    start = sheet * layout.columns * layout.rows * layout.interval
    wanted = min(tiles * layout.interval, length - start)
    # Frames are picked before they are scaled, and the last is held, or the last tile could stay empty.
    picked = (
        Filter(name="fps", options={"fps": _rate(layout.interval), "start_time": 0, "round": "up"}),
        Filter(name="tpad", options={"stop_mode": "clone", "stop": tiles}),
    )
    shape = encodable(stream, Geometry(scaled=layout.tile, size=layout.tile), pixel_format=pixel_format)
    fields = tuple(item for item in shape if item.name == "bwdif")
    grid = Filter(name="tile", options={"layout": f"{columns}x{rows}", "nb_frames": tiles})
    recipe = StreamRecipe(
        kind="video",
        source_index=stream.index,
        action="encode",
        encoder=encoder,
        options=options,
        filters=(*fields, *picked, *shape[len(fields) :], grid),
    )
    return Run(
        inputs=(Input(start=round(start, 3) if start else None, length=round(wanted, 3)),),
        expected_duration=max(wanted, 0.04),
        files=(
            FileRecipe(role=output.role, muxer="image2", streams=(recipe,), options={"update": 1}, frames=1),
            *(still.file(start) for still in stills if start <= still.at < start + wanted),
        ),
    )


def _rate(interval: float) -> str:
    return f"1000000/{round(interval * 1_000_000)}"


def _storyboard(layout: _Layout, names: list[str], length: float) -> OutputPlan:
    """Each tile with its time, as players read it: `sprite.jpg#xywh=160,0,160,90`."""
    across, down = layout.tile
    lines = ["WEBVTT", ""]
    for number in range(layout.count):
        sheet, place = divmod(number, layout.columns * layout.rows)
        columns, _ = layout.grid(sheet)
        row, column = divmod(place, columns)
        begin, end = number * layout.interval, min(length, (number + 1) * layout.interval)
        lines += [
            f"{clock(begin)} --> {clock(end)}",
            f"{names[sheet]}#xywh={column * across},{row * down},{across},{down}",
            "",
        ]
    return OutputPlan(
        role="storyboard",
        container="vtt",
        extension="vtt",
        content_type="text/vtt",
        expectation=Expectation(container="vtt", streams=()),
        text="\n".join(lines),
    )


OPERATION = OperationType(
    type="sprite",
    title="Sprite sheet",
    description="Put small pictures of the whole video on a sheet, for previews on a timeline.",
    icon="layout-grid",
    Parameters=SpriteParameters,
    plan=_plan,
)
