"""Long periods from roll-ups: whole past days, and months and more, from there, and what is left from rows.

A period with few jobs is not worth it. `split_of` says so, and the caller counts the rows: the percentiles
are exact then. A year is at most 71 months and days for each type, whatever the number of jobs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from django.db import connection

from jobs import rollup_sql
from jobs.figures import DAY, Day, Period, Scope, Span, Tally, cover, total_of
from jobs.models import Job, Rollup, RollupTouch
from jobs.rollups import rolled_through
from users.ids import raw_id

# Up to so many jobs in whole past days are counted from rows: about 20 ms.
ROWS_MAX = 10_000
_GRAINS = (Rollup.Grain.QUARTER, Rollup.Grain.MONTH, Rollup.Grain.DAY)
_GRAINS_OF_ALL = (Rollup.Grain.QUARTER, Rollup.Grain.MONTH, Rollup.Grain.DEKAD, Rollup.Grain.DAY)


@dataclass(frozen=True, slots=True)
class Split:
    """A scope whose period falls into spans of roll-ups and edges of rows. `sums` is what the spans have of
    each type, without the spread."""

    scope: Scope
    spans: list[Span]
    edges: list[Period]
    sums: list[Mapping[str, Any]]


def split_of(scope: Scope) -> Split | None:
    """How to count the scope from roll-ups; None where its rows are to be counted.

    A video's jobs are always counted from rows. So are few jobs, unless some of their rows are gone.
    """
    through = rolled_through()
    if scope.period is None or scope.video_id is not None or through is None:
        return None
    spans, edges = _parts(scope, scope.period, through)
    if not spans:
        return None
    where, parameters = _in_rollups(scope, spans)
    sums = list(_named(rollup_sql.SUM_ROLLUPS.format(where=where), parameters))
    jobs = sum(row[status] for row in sums for status in Job.Status.values)
    if jobs <= ROWS_MAX and not _rows_are_gone(scope, spans):
        return None
    return Split(scope, spans, edges, sums)


def _rows_are_gone(scope: Scope, spans: list[Span]) -> bool:
    """Whether the clean-up has removed jobs of these spans. Only days say it."""
    days = [Span("day", spans[0].start, spans[-1].end)]
    where, parameters = _in_rollups(scope, days)
    sql = f"SELECT EXISTS (SELECT FROM jobs_rollup WHERE {where} AND part > 0)"  # noqa: S608 - from constants
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return bool(cursor.fetchone()[0])


def tally_of(split: Split) -> Tally:
    """What all types have together."""
    return total_of(_tallies(split, by_type=False).values())


def tallies_of(split: Split) -> dict[str, Tally]:
    """What each type has."""
    return _tallies(split, by_type=True)


def _tallies(split: Split, *, by_type: bool) -> dict[str, Tally]:
    """Without `by_type` the tally without a type has the histograms of all."""
    tallies: defaultdict[str, Tally] = defaultdict(Tally)
    for row in split.sums:
        tallies[row["type"]].add_row(row)
    where, parameters = _in_rollups(split.scope, split.spans)
    histograms = rollup_sql.HISTOGRAMS_BY_TYPE if by_type else rollup_sql.HISTOGRAM_OF_ALL
    for name in ("duration", "queue"):
        with connection.cursor() as cursor:
            cursor.execute(histograms.format(name=name, where=where), parameters)
            for type_, bucket, count in cursor:
                getattr(tallies[type_], name).add_bucket(bucket, count)
    _add_rows(tallies, split.scope, split.edges)
    return dict(tallies)


def days_of(split: Split) -> dict[date, Day]:
    """The whole past days of the split's period, from roll-ups; days without jobs are left out."""
    days = [Span("day", split.spans[0].start, split.spans[-1].end)]
    where, parameters = _in_rollups(split.scope, days)
    with connection.cursor() as cursor:
        cursor.execute(rollup_sql.DAYS_OF_ROLLUPS.format(where=where), parameters)
        return {row[0]: Day(*row) for row in cursor}


def period_slower(scope: Scope, *, than_ms: int) -> Period | None:
    """The scope's period without the days at both of its ends in which no job took longer, as far as they
    are rolled up; None where nothing is left of it."""
    through = rolled_through()
    if scope.period is None or scope.video_id is not None or through is None:
        return scope.period
    start, end = scope.period
    first = start.astimezone(UTC).date()
    last = min(_day_from(end), through)
    if first >= last or RollupTouch.objects.filter(day__gte=first, day__lt=last).exists():
        return scope.period
    where, parameters = _in_rollups(scope, [Span("day", first, last)])
    sql = f"SELECT min(start), max(start) FROM jobs_rollup WHERE {where} AND longest_ms > %s"  # noqa: S608 - from constants
    with connection.cursor() as cursor:
        cursor.execute(sql, [*parameters, than_ms])
        low, high = cursor.fetchone()
    start = max(start, _midnight(low or last))
    if end <= _midnight(last):
        end = start if high is None else min(end, _midnight(high + DAY))
    return Period(start, end) if start < end else None


# ------------------------------------------------------------------------------------------- parts


def _parts(scope: Scope, period: Period, through: date) -> tuple[list[Span], list[Period]]:
    first = _day_from(period.start)
    last = min(period.end.astimezone(UTC).date(), through)
    if first >= last:
        return [], [period]
    edges = [Period(period.start, _midnight(first)), Period(_midnight(last), period.end)]
    spans = cover(first, last, _GRAINS_OF_ALL if scope.owner_id is None else _GRAINS)
    return spans, [edge for edge in edges if edge.start < edge.end]


def _day_from(moment: datetime) -> date:
    """The first day that is whole after it."""
    day = moment.astimezone(UTC).date()
    return day if moment == _midnight(day) else day + DAY


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _in_rollups(scope: Scope, spans: list[Span]) -> tuple[str, list[Any]]:
    """Served by `rollup_once`."""
    conditions, parameters = _whose(scope)
    ranges = " OR ".join("(grain = %s AND start >= %s AND start < %s)" for _ in spans)
    for span in spans:
        parameters += [span.grain, span.start, span.end]
    return f"{conditions} AND ({ranges})", parameters


def _add_rows(tallies: defaultdict[str, Tally], scope: Scope, edges: list[Period]) -> None:
    """Served by `job_owner_queued`, or `job_queued` for everybody."""
    if not edges:
        return
    conditions, whose = _whose(scope)
    if scope.owner_id is None:
        # Everybody is no owner in roll-ups, and no condition among rows.
        conditions = conditions.partition(" AND ")[2]
    sql = rollup_sql.sum_of_jobs([f"{conditions} AND queued_at >= %s AND queued_at < %s"] * len(edges))
    for row in _named(sql, [value for edge in edges for value in (*whose, *edge)]):
        tally = tallies[row["type"]]
        tally.add_row(row)
        for name, lengths in (("duration", tally.duration), ("queue", tally.queue)):
            for bucket, count in zip(row[f"{name}_buckets"], row[f"{name}_counts"], strict=True):
                lengths.add_bucket(bucket, count)


def _whose(scope: Scope) -> tuple[str, list[Any]]:
    parameters: list[Any] = []
    owner = "owner_id IS NULL"
    if scope.owner_id is not None:
        owner = "owner_id = %s"
        parameters.append(raw_id(scope.owner_id))
    parameters.append(scope.type or Job.INTAKE)
    return f"{owner} AND type {'=' if scope.type else '<>'} %s", parameters


def _named(sql: str, parameters: list[Any]) -> Iterator[Mapping[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        names = [column.name for column in cursor.description or ()]
        for row in cursor.fetchall():
            yield dict(zip(names, row, strict=True))
