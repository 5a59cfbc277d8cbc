"""One picture in several sizes: which ones, and which of them are made from one decode.

Sizes are called by their short side: 720 is 1280x720 for a wide video, 720x1280 for an upright one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, TypeVar

from pydantic import BeforeValidator, Field, WithJsonSchema

from engine.parameters import WHOLE
from engine.pictures import Fit, Geometry, fitted
from engine.plan import Part
from engine.types.media import VideoStream

_USUAL = (2160, 1440, 1080, 720, 480, 360)
_MOST = 8
_LEAST_SIDE, _LARGEST_SIDE = 64, 4320
# Pixels of all pictures that are encoded at the same time; some encoders hold more frames in memory.
_MOST_PIXELS = 26e6
_WEIGHT = {"av1": 3.0, "hevc": 1.5, "vp9": 1.5}

_Made = TypeVar("_Made")


def listed(value: object) -> object:
    """A list, also as people type it: `1080, 720`."""
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return value


Rung = Annotated[int, Field(ge=_LEAST_SIDE, le=_LARGEST_SIDE), WHOLE]
Rungs = Annotated[
    tuple[Rung, ...],
    Field(max_length=_MOST),
    BeforeValidator(listed),
    WithJsonSchema(
        {
            "type": ["array", "string"],
            "items": {"type": "integer", "minimum": _LEAST_SIDE, "maximum": _LARGEST_SIDE},
            "minItems": 1,
            "maxItems": _MOST,
            "examples": ["1080, 720, 480"],
        }
    ),
]


def rungs_of(stream: VideoStream, wished: Sequence[int] | None) -> tuple[dict[int, Geometry], list[int]]:
    """The sizes by what they are called, in their order; and those wished for that the source is below.

    Without a wish they are the usual ones; where none is left, the source's own size is the only one.
    """
    across, down = stream.display_width, stream.display_height
    source = min(across, down)
    fitting = [rung for rung in wished or _USUAL if rung <= source]
    too_large = [rung for rung in wished or () if rung > source]
    rungs: dict[int, Geometry] = {}
    for rung in fitting or [source]:
        upright = across < down
        geometry = fitted(
            stream,
            width=rung if upright else None,
            height=None if upright else rung,
            fit=Fit.CONTAIN,
            upscale=False,
        )
        rungs.setdefault(min(geometry.size), geometry)
    return rungs, too_large


def together(files: Iterable[_Made], parts_of: Callable[[_Made], Iterable[Part]]) -> list[list[_Made]]:
    """Files that are made from one decode: all of them, unless their encoders would need too much memory."""
    runs: list[list[_Made]] = [[]]
    held = 0.0
    for one in files:
        encoded = [part for part in parts_of(one) if part.recipe.action == "encode"]
        weight = sum(
            _WEIGHT.get(part.expected.codec, 1.0) * (part.expected.width or 0) * (part.expected.height or 0)
            for part in encoded
        )
        if held and held + weight > _MOST_PIXELS:
            runs.append([])
            held = 0.0
        # What needs next to none goes with the first.
        runs[-1 if weight else 0].append(one)
        held += weight
    return runs
