"""Finds the black bars around a picture by looking at many moments, then encodes without them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from engine import commands
from engine.procedure import Bench, Findings
from engine.types.recipes import Filter, Run, StreamRecipe
from engine.types.results import Check

# One dark scene would pass for bars: many short looks, and nothing goes that was bright in any of them.
_LOOKS = 12
_LOOK_SECONDS = 0.5
_DETECT = Filter(name="cropdetect", options={"limit": "24/255", "round": 2, "reset": 0, "skip": 0})
_LOOKED = 0.1
_SMALLEST_BAR = 4  # pixels; less is the soft edge of a picture
_SMALLEST_PICTURE = 16


@dataclass(frozen=True, slots=True)
class _Rectangle:
    left: int
    top: int
    right: int
    bottom: int

    def joined(self, other: _Rectangle | None) -> _Rectangle:
        if other is None:
            return self
        return _Rectangle(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )


def carry_out(run: Run, bench: Bench) -> Findings:
    """Raises RunFailed("parameters_do_not_fit") where there are no bars, or nothing but black."""
    (file,) = run.files
    expected = bench.expectation(file.role)
    picture = next(stream for stream in file.streams if stream.kind == "video")
    wide, high = next(
        (item.width or 0, item.height or 0) for item in expected.streams if item.kind == "video"
    )
    found = _bright(run, picture, bench)
    if found is None or min(found.right - found.left, found.bottom - found.top) < _SMALLEST_PICTURE:
        raise bench.failure("parameters_do_not_fit", reason="Everything that was looked at is black.")
    width, height = found.right - found.left, found.bottom - found.top
    if wide - width < _SMALLEST_BAR and high - height < _SMALLEST_BAR:
        raise bench.failure("parameters_do_not_fit", reason="There are no black bars around the picture.")
    cut = Filter(name="crop", options={"w": width, "h": height, "x": found.left, "y": found.top})
    kept = f"{width}x{height} from {found.left} pixels right and {found.top} down"
    bench.note(f"black bars: the picture is {kept}")
    streams = tuple(
        stream.model_copy(update={"filters": _with(stream.filters, cut)}) if stream == picture else stream
        for stream in file.streams
    )
    files = (file.model_copy(update={"streams": streams}),)
    bench.encode(run.model_copy(update={"files": files}), _LOOKED, 1.0)
    sized = tuple(
        item.model_copy(update={"width": width, "height": height}) if item.kind == "video" else item
        for item in expected.streams
    )
    check = Check(name="black bars", passed=True, expected="found at all samples", actual=f"kept {kept}")
    return Findings(
        expectations={file.role: expected.model_copy(update={"streams": sized})},
        checks={file.role: (check,)},
    )


def _bright(run: Run, picture: StreamRecipe, bench: Bench) -> _Rectangle | None:
    """The smallest rectangle around everything that is not black; None when all is."""
    duration = run.expected_duration
    before, _ = _halves(picture.filters)
    bright: _Rectangle | None = None
    path, reading = bench.opened(run.inputs[picture.input])
    for number in range(_LOOKS):
        argv = commands.look_argv(
            path,
            picture.source_index,
            (*before, _DETECT),
            reading=reading,
            limits=bench.limits,
            start=max(0.0, duration * (number + 0.5) / _LOOKS - _LOOK_SECONDS / 2),
            length=_LOOK_SECONDS,
        )
        share = _LOOKED / _LOOKS
        outcome = bench.start(argv, _LOOK_SECONDS, number * share, (number + 1) * share)
        for match in re.finditer(r"crop=(-?\d+):(-?\d+):(\d+):(\d+)", outcome.log):
            width, height, x, y = map(int, match.groups())
            if width > 0 and height > 0:
                bright = _Rectangle(x, y, x + width, y + height).joined(bright)
    return bright


def _halves(filters: tuple[Filter, ...]) -> tuple[tuple[Filter, ...], tuple[Filter, ...]]:
    """What brings the picture to its shape, and what does things to its pixels, which is dear."""
    at = next(
        (number for number, item in enumerate(filters) if item.name in ("zscale", "setsar")), len(filters)
    )
    return filters[:at], filters[at:]


def _with(filters: tuple[Filter, ...], cut: Filter) -> tuple[Filter, ...]:
    before, after = _halves(filters)
    return (*before, cut, *after)
