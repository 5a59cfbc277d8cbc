"""How much longer a running step takes: what was learned before, and what its own progress tells. Pure.

At the start only the learned time is known. The further the step is, the more its own pace counts. After the
tools come the looks at the result, of which nothing is told while they go on: their time is learned.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from engine.types.results import Progress
from jobs.eta_pace import Span

# Where the engine's progress stands once its tools are done.
RUNS_END = 0.97
# Without anything learned, a step's own progress says something from here on.
_TELLING = 0.02
_TELLING_SECONDS = 0.5
# At this share of the tools' work the own pace counts as much as what was learned.
_EVEN = 0.08
# The pace of the first part is that of the whole within so much, as a logarithm.
_UNEVEN = 0.3
_OVERDUE = 0.15
_BAND = 1.3  # of deviations: about four of five end within


class Left(NamedTuple):
    """Seconds to the end, and between which it will probably be."""

    seconds: float
    low: float
    high: float


def left_of(seconds: float, doubt: float) -> Left:
    """With the band that this much doubt makes."""
    factor = math.exp(_BAND * doubt)
    return Left(seconds, seconds / factor, seconds * factor)


class Forecast:
    """One step on its way. Times are seconds since its claim, without pauses."""

    def __init__(self, span: Span | None, crowd: float = 1.0) -> None:
        self._span = span
        self._crowd = crowd
        self._share = 0.0
        self._share_at = 0.0
        self._runs_end_at: float | None = None

    def progressed(self, progress: Progress, at: float) -> None:
        """Takes a figure of progress."""
        share = min(1.0, progress.fraction / RUNS_END)
        if share > self._share:
            self._share, self._share_at = share, at
        if progress.fraction >= RUNS_END and self._runs_end_at is None:
            self._runs_end_at = at

    def tail(self, at: float) -> float:
        """Seconds since the tools were done; for steps that tell no progress, 0."""
        return 0.0 if self._runs_end_at is None else max(0.0, at - self._runs_end_at)

    def left(self, at: float) -> Left | None:
        """What is left now; None where nobody can tell yet."""
        span = self._span
        tail = 0.0 if span is None else span.tail
        if self._runs_end_at is not None:
            return None if span is None else left_of(_remaining(tail, self.tail(at)), 2 * span.doubt)
        telling = self._share >= _TELLING and self._share_at >= _TELLING_SECONDS
        own = self._share_at / self._share if telling else None
        if span is None:
            return None if own is None else left_of(_remaining(own, at), _UNEVEN)
        learned = max(0.05, span.among(self._crowd) - tail)
        if own is None:
            return left_of(_remaining(learned + tail, at), span.doubt)
        weight = self._share / (self._share + _EVEN)
        whole = math.exp(weight * math.log(own) + (1 - weight) * math.log(learned))
        doubt = math.hypot((1 - weight) * span.doubt, weight * _UNEVEN * (1 - self._share))
        return left_of(_remaining(whole, at) + tail, max(doubt, 0.03))


def _remaining(whole: float, at: float) -> float:
    """What is overdue will take a little longer still."""
    return max(whole - at, _OVERDUE * whole)
