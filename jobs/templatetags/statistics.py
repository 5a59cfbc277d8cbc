"""Charts drawn on the server."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import template

from jobs.figures import Day, Figures
from jobs.models import Job
from jobs.statistics import failure_log_tail

register = template.Library()

# In the units of the chart's viewBox, which is stretched to the width of the page.
_HEIGHT = 160
_SLOT = 10
_GAP = 2
_PARTS = ("completed", "failed", "cancelled", "open")


@dataclass(frozen=True, slots=True)
class _Piece:
    """One colour of a bar."""

    kind: str
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class _Bar:
    day: Day
    slot: int
    x: float
    pieces: list[_Piece]


@register.inclusion_tag("jobs/timeline.html")
def timeline_chart(days: Sequence[Day]) -> dict[str, Any]:
    """A bar for each day, its colours stacked from the bottom, and the same as a table."""
    top = _round_up(max((day.total for day in days), default=0))
    return {
        **_chart(days, [_pieces(day, top) for day in days]),
        "top": top,
        "middle": top // 2,
        "total": sum(day.total for day in days),
    }


@register.inclusion_tag("jobs/processor_chart.html")
def processor_chart(days: Sequence[Day]) -> dict[str, Any]:
    """A bar for the processor time of each day, and the same as a table."""
    most = max((day.cpu_seconds for day in days), default=0.0)
    unit = next((seconds for seconds in (3600, 60) if most > 2 * seconds), 1)
    top = _round_up(math.ceil(most / unit)) * unit
    heights = [round(day.cpu_seconds * _HEIGHT / top, 2) for day in days]
    pieces = [[_Piece("open", round(_HEIGHT - height, 2), height)] if height else [] for height in heights]
    return {
        **_chart(days, pieces),
        "top": top,
        "middle": top // 2,
        "total": sum(day.cpu_seconds for day in days),
    }


def _chart(days: Sequence[Day], pieces: Sequence[list[_Piece]]) -> dict[str, Any]:
    bars = [
        _Bar(day, number * _SLOT, number * _SLOT + _GAP / 2, parts)
        for number, (day, parts) in enumerate(zip(days, pieces, strict=True))
    ]
    return {
        "bars": bars,
        "days": days,
        "width": len(days) * _SLOT,
        "height": _HEIGHT,
        "slot": _SLOT,
        "bar_width": _SLOT - _GAP,
        "half": _HEIGHT // 2,
    }


@register.inclusion_tag("jobs/share_bar.html")
def share_bar(figures: Figures, whole: int) -> dict[str, Any]:
    """One bar of all jobs, as long as the share of `whole` that these have, in the colours of their ends.
    The table around it has the same in numbers."""
    counts = {kind: figures.by_status[kind] for kind in _PARTS[:-1]}
    counts["open"] = figures.total - sum(counts.values())
    pieces: list[dict[str, Any]] = []
    x = 0.0
    for kind, count in counts.items():
        width = count * 100 / whole if whole else 0.0
        if width:
            pieces.append({"kind": kind, "x": round(x, 2), "width": round(width, 2)})
            x += width
    return {"pieces": pieces}


def _pieces(day: Day, top: int) -> list[_Piece]:
    pieces = []
    bottom = float(_HEIGHT)
    for kind in _PARTS:
        height = getattr(day, kind) * _HEIGHT / top
        if height:
            bottom -= height
            pieces.append(_Piece(kind, round(bottom, 2), round(height, 2)))
    return pieces


def _round_up(number: int) -> int:
    """The next of 2, 4, 10, 20, 40, 100, …, all of which have a whole half."""
    step = 1
    while True:
        for first in (2, 4, 10):
            if number <= first * step:
                return first * step
        step *= 10


@register.filter
def per_cent(fraction: float | None) -> str:
    """`66 %`, rounded down: only all is 100 %. A dash where there is nothing to tell."""
    return "–" if fraction is None else f"{int(fraction * 100)} %"


@register.filter
def per_cent_exact(fraction: float) -> str:
    """`2.5 %`."""
    return f"{fraction * 100:g} %"


@register.filter
def whole_ms(milliseconds: float | None) -> int | None:
    """For `took`, which takes whole milliseconds."""
    return None if milliseconds is None else round(milliseconds)


@register.filter
def milliseconds(seconds: float) -> int:
    """For `took`."""
    return round(seconds * 1000)


@register.filter
def log_tail(job: Job) -> str:
    """The last lines of the log of a failed job."""
    return failure_log_tail(job)
