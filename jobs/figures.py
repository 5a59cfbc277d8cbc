"""What is counted, what comes out, and how parts of it are added up. Touches no database.

The spread of many lengths of time is kept as a histogram whose buckets grow by a twentieth each, so that
parts of it can be added. A percentile read from it is at most `PERCENTILE_ERROR` of its value off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from jobs.models import Job, Rollup

DAY = timedelta(days=1)
# Bucket 0 is below a millisecond, bucket n from GROWTH ** (n - 1) up to, but without, GROWTH ** n.
GROWTH = 1.05
# Half a bucket, (GROWTH - 1) / (GROWTH + 1) = 2.44 %, rounded up. Below a millisecond: half a millisecond.
PERCENTILE_ERROR = 0.025


class Period(NamedTuple):
    """From `start` up to, but without, `end`."""

    start: datetime
    end: datetime


class Span(NamedTuple):
    """Whole units of one grain, from `start` up to, but without, `end`."""

    grain: str
    start: date
    end: date


def unit_of(grain: str, day: date) -> Span:
    """The unit that a day is in. Dekads begin on the 1st, 11th and 21st; each unit lies in one of the next
    coarser grain."""
    first = day.replace(day=1)
    if grain == Rollup.Grain.DAY:
        return Span(grain, day, day + DAY)
    if grain == Rollup.Grain.MONTH:
        return Span(grain, first, _months_after(first, 1))
    if grain == Rollup.Grain.QUARTER:
        first = date(day.year, (day.month - 1) // 3 * 3 + 1, 1)
        return Span(grain, first, _months_after(first, 3))
    number = min((day.day - 1) // 10, 2)
    begin = first.replace(day=1 + 10 * number)
    return Span(grain, begin, _months_after(first, 1) if number == 2 else begin + 10 * DAY)  # noqa: PLR2004 - the third


def cover(first: date, end: date, grains: Sequence[str]) -> list[Span]:
    """The fewest spans that are all days from `first` up to, but without, `end`. `grains` go from the
    coarsest to days; the spans come in order."""
    if first >= end:
        return []
    grain, *finer = grains
    if not finer:
        return [Span(grain, first, end)]
    unit = unit_of(grain, first)
    start = first if unit.start == first else unit.end
    stop = unit_of(grain, end).start
    if start >= stop:
        return cover(first, end, finer)
    return [*cover(first, start, finer), Span(grain, start, stop), *cover(stop, end, finer)]


def _months_after(first: date, number: int) -> date:
    months = first.year * 12 + first.month - 1 + number
    return date(months // 12, months % 12 + 1, 1)


@dataclass(frozen=True, slots=True)
class Scope:
    """What is counted. No owner: everybody's jobs. No period: from the beginning."""

    owner_id: str | None
    period: Period | None = None
    type: str = ""
    video_id: str | None = None


@dataclass(frozen=True, slots=True)
class Spread:
    """How some lengths of time are spread, in milliseconds; all None where there was nothing to measure."""

    average: float | None
    minimum: float | None
    maximum: float | None
    p50: float | None
    p95: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """`retries` are the tries beyond the first of each job. `output_bytes` is what the jobs made, whether it
    is still stored or not.

    `duration_ms` is from the first start to the end, of completed jobs: what failed or was cancelled says
    nothing about how long the work takes. `queue_ms` is from the request to the first start, of all that
    started. Their percentiles are at most `percentile_error` of their value off; 0 says that they are exact.
    """

    total: int
    by_status: dict[str, int]
    retries: int
    cpu_seconds: float
    output_bytes: int
    duration_ms: Spread
    queue_ms: Spread
    percentile_error: float = 0.0

    @property
    def success_rate(self) -> float | None:
        """Completed of those that completed or failed, 0 to 1; None where there are none."""
        ended = self.by_status["completed"] + self.by_status["failed"]
        return self.by_status["completed"] / ended if ended else None


class TypeFigures(NamedTuple):
    """The figures of one type of jobs."""

    type: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class Day:
    """The jobs that were asked for on one day in UTC. `open` have not ended yet."""

    date: date
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    open: int = 0
    cpu_seconds: float = 0.0

    @property
    def total(self) -> int:
        return self.completed + self.failed + self.cancelled + self.open

    def __add__(self, other: Day) -> Day:
        """Both parts of the same day."""
        return Day(
            self.date,
            self.completed + other.completed,
            self.failed + other.failed,
            self.cancelled + other.cancelled,
            self.open + other.open,
            self.cpu_seconds + other.cpu_seconds,
        )


# ------------------------------------------------------------------------------------------- adding up


@dataclass(slots=True)
class Lengths:
    """Lengths of time in milliseconds, in a form that can be added to."""

    count: int = 0
    sum: float = 0.0
    minimum: float | None = None
    maximum: float | None = None
    buckets: dict[int, int] = field(default_factory=dict)

    def add(self, count: int, sum_: float, minimum: float | None, maximum: float | None) -> None:
        """Everything but the buckets, which `add_bucket` takes."""
        self.count += count
        self.sum += sum_
        if minimum is not None and maximum is not None:
            self.minimum = minimum if self.minimum is None else min(self.minimum, minimum)
            self.maximum = maximum if self.maximum is None else max(self.maximum, maximum)

    def add_bucket(self, bucket: int, count: int) -> None:
        self.buckets[bucket] = self.buckets.get(bucket, 0) + count

    def add_all(self, other: Lengths) -> None:
        self.add(other.count, other.sum, other.minimum, other.maximum)
        for bucket, count in other.buckets.items():
            self.add_bucket(bucket, count)

    def spread(self) -> Spread:
        if not self.count or self.minimum is None or self.maximum is None:
            return Spread(None, None, None, None, None)
        return Spread(
            self.sum / self.count, self.minimum, self.maximum, self._percentile(0.5), self._percentile(0.95)
        )

    def _percentile(self, fraction: float) -> float:
        """With linear interpolation between neighbours, as percentile_cont; each of them is known to half a
        bucket, and so is what lies between them."""
        assert self.minimum is not None  # noqa: S101 - for the type checker: `spread` asks only where there are some
        assert self.maximum is not None  # noqa: S101 - as above
        place = (self.count - 1) * fraction
        below = int(place)
        low = self._at(below)
        high = self._at(min(below + 1, self.count - 1))
        return min(max(low + (high - low) * (place - below), self.minimum), self.maximum)

    def _at(self, place: int) -> float:
        """The estimate of the length at this place in the order, from 0."""
        passed = 0
        bucket = 0
        for bucket in sorted(self.buckets):
            passed += self.buckets[bucket]
            if passed > place:
                break
        return 0.5 if bucket == 0 else 2 * GROWTH**bucket / (GROWTH + 1)


@dataclass(slots=True)
class Tally:
    """Figures that can be added to; the percentiles come out approximate."""

    by_status: dict[str, int] = field(default_factory=lambda: dict.fromkeys(Job.Status.values, 0))
    retries: int = 0
    cpu_seconds: float = 0.0
    output_bytes: int = 0
    duration: Lengths = field(default_factory=Lengths)
    queue: Lengths = field(default_factory=Lengths)

    def add_row(self, row: Mapping[str, Any]) -> None:
        """A row of sums with the names of `Rollup`."""
        for status in self.by_status:
            self.by_status[status] += row[status]
        self.retries += row["retries"]
        self.cpu_seconds += row["cpu_seconds"]
        self.output_bytes += int(row["output_bytes"])
        for name, lengths in (("duration", self.duration), ("queue", self.queue)):
            lengths.add(*(row[f"{name}_{part}"] for part in ("count", "sum", "min", "max")))

    def add_all(self, other: Tally) -> None:
        for status, count in other.by_status.items():
            self.by_status[status] += count
        self.retries += other.retries
        self.cpu_seconds += other.cpu_seconds
        self.output_bytes += other.output_bytes
        self.duration.add_all(other.duration)
        self.queue.add_all(other.queue)

    def figures(self) -> Figures:
        return Figures(
            total=sum(self.by_status.values()),
            by_status=self.by_status,
            retries=self.retries,
            cpu_seconds=self.cpu_seconds,
            output_bytes=self.output_bytes,
            duration_ms=self.duration.spread(),
            queue_ms=self.queue.spread(),
            percentile_error=PERCENTILE_ERROR,
        )


def total_of(tallies: Iterable[Tally]) -> Tally:
    """All of them in one."""
    total = Tally()
    for tally in tallies:
        total.add_all(tally)
    return total
