"""Charts drawn on the server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import template

from jobs.figures import Day
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
    bars = [
        _Bar(day, number * _SLOT, number * _SLOT + _GAP / 2, _pieces(day, top))
        for number, day in enumerate(days)
    ]
    return {
        "bars": bars,
        "days": days,
        "top": top,
        "middle": top // 2,
        "width": len(days) * _SLOT,
        "height": _HEIGHT,
        "slot": _SLOT,
        "bar_width": _SLOT - _GAP,
        "half": _HEIGHT // 2,
        "total": sum(day.total for day in days),
    }


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
