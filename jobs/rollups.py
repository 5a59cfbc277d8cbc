"""Keeps the roll-ups of the history right: days that ended, days that changed afterwards, clean-up.

Triggers note each change of a job of a past day (`RollupTouch`) in the transaction that makes it. A round
counts the noted days anew, from the rows, in the transaction that takes the notes away; then the days that
ended since the last round. So nothing is lost where a worker dies, and nothing is counted twice.

Whoever writes roll-ups holds an advisory lock until the transaction ends.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from jobs import rollup_sql
from jobs.figures import DAY, Span, unit_of
from jobs.models import Job, Rollup, RollupProgress, RollupTouch
from users.ids import raw_id

# A job's time is that of its transaction's begin. Whoever asks just before midnight commits just after it,
# and no trigger notes that; so a day counts as ended a while later.
SETTLE = timedelta(minutes=10)
ROUND_DAYS = 200
_LOCK = 0x76_69_64_65_6F_02  # any number of our own
_DELETE_BATCH = 1000
# What the longer ones are the sums of; the shorter first.
_SHORTER: Mapping[str, str] = {
    Rollup.Grain.DEKAD: Rollup.Grain.DAY,
    Rollup.Grain.MONTH: Rollup.Grain.DAY,
    Rollup.Grain.QUARTER: Rollup.Grain.MONTH,
}


@dataclass(frozen=True, slots=True)
class RolledUp:
    """How much one round had to do."""

    days_changed: int = 0
    days_ended: int = 0


def rollups_update(*, days: int = ROUND_DAYS) -> RolledUp:
    """One round: all days that changed, and at most `days` of those that ended.

    Safe to repeat and to be cut short anywhere. Does nothing where another process is at it.
    """
    changed = 0
    for month in _months_touched():
        counted = _month_recount(month)
        if counted is None:
            return RolledUp(changed, 0)
        changed += counted
    ended = 0
    while ended < days and _next_day():
        ended += 1
    return RolledUp(changed, ended)


def rolled_through() -> date | None:
    """All days before it are rolled up; None before the first round."""
    return RollupProgress.objects.values_list("through", flat=True).first()


def today(later: timedelta = timedelta()) -> date:
    """The day in UTC by PostgreSQL's clock; with `later` it begins so long after midnight."""
    ((now,),) = _rows("SELECT clock_timestamp()")
    moment: datetime = now - later
    return moment.astimezone(UTC).date()


# ------------------------------------------------------------------------------------------- rounds


def _months_touched() -> list[date]:
    months = RollupTouch.objects.dates("day", "month")
    return list(months)


@transaction.atomic
def _month_recount(month: date) -> int | None:
    """Counts the touched days of a month anew; how many, or None where another process is at it."""
    if not _lock_try():
        return None
    through = rolled_through()
    owners_of: dict[date, set[uuid.UUID]] = defaultdict(set)
    following = _month_after(month)
    for day, owner in _rows(
        "DELETE FROM jobs_rolluptouch WHERE day >= %s AND day < %s RETURNING day, owner_id", month, following
    ):
        owners_of[day].add(owner)
    # A day that is not rolled up yet will be, with the change.
    days = {day: owners for day, owners in owners_of.items() if through is not None and day < through}
    for day, owners in days.items():
        _day_recount(day, list(owners))
    if through is not None:
        everyone = list(set().union(*days.values()))
        for unit in _longer(days):
            if unit.end <= through:
                _longer_rebuild(unit, everyone)
    return len(days)


@transaction.atomic
def _next_day() -> bool:
    """Rolls up the first day that is not yet; False where there is none or another process is at it."""
    if not _lock_try():
        return False
    progress = RollupProgress.objects.first()
    day = _first_day() if progress is None else progress.through
    if day is None or day >= today(SETTLE):
        return False
    _day_recount(day, None)
    following = day + DAY
    RollupProgress.objects.update_or_create(id=1, defaults={"through": following})
    for unit in _longer([day]):
        if unit.end == following:
            _longer_rebuild(unit, None)
    return True


def _first_day() -> date | None:
    """The day of the first job; served by `job_queued`."""
    first = Job.objects.order_by("queued_at").values_list("queued_at", flat=True).first()
    return None if first is None else first.astimezone(UTC).date()


def _day_recount(day: date, owners: list[uuid.UUID] | None) -> None:
    """Counts part 0 of a day from the rows, for these owners (None: for all) and for everybody."""
    begin, end = _bounds(day)
    grain = Rollup.Grain.DAY
    gone = "DELETE FROM jobs_rollup WHERE grain = 'day' AND part = 0 AND start = %s"
    where = "queued_at >= %s AND queued_at < %s"
    if owners is None:
        _run(gone, day)
        _run(rollup_sql.insert_from_jobs(owner="owner_id", where=where), begin, end, grain, day, 0)
    else:
        _run(f"{gone} AND (owner_id IS NULL OR owner_id = ANY(%s))", day, owners)
        sql = rollup_sql.insert_from_jobs(owner="owner_id", where=f"{where} AND owner_id = ANY(%s)")
        _run(sql, begin, end, owners, grain, day, 0)
    _run(rollup_sql.insert_from_jobs(owner=rollup_sql.EVERYBODY, where=where), begin, end, grain, day, 0)


def _longer(days: Iterable[date]) -> list[Span]:
    """The dekads, months and quarters that the days are in; each comes after those that it is the sum of."""
    days = list(days)
    return [unit for grain in _SHORTER for unit in sorted({unit_of(grain, day) for day in days})]


def _longer_rebuild(unit: Span, owners: list[uuid.UUID] | None) -> None:
    """Adds up what a unit is the sum of, for these owners (None: for all) and for everybody."""
    grain, start, end = unit
    whose = ""
    chosen: list[list[uuid.UUID]] = []
    if grain == Rollup.Grain.DEKAD:
        # Of single owners there would be nearly as many as days.
        whose = " AND owner_id IS NULL"
    elif owners is not None:
        whose, chosen = " AND (owner_id IS NULL OR owner_id = ANY(%s))", [owners]
    _run(f"DELETE FROM jobs_rollup WHERE grain = %s AND start = %s{whose}", grain, start, *chosen)  # noqa: S608 - from constants
    sql = rollup_sql.insert_longer(where=f"grain = %s AND start >= %s AND start < %s{whose}")
    _run(sql, _SHORTER[grain], start, end, *chosen, grain, start, 0)


# ------------------------------------------------------------------------------------------- clean-up


def history_first_day(before: date, after: date) -> date | None:
    """The first day from `after` up to, but without, `before` that has ended jobs. Served by `job_queued`."""
    begin, end = _bounds(after)[0], _bounds(before)[0]
    ended = Job.objects.filter(queued_at__gte=begin, queued_at__lt=end, status__in=Job.FINISHED)
    first = ended.order_by("queued_at").values_list("queued_at", flat=True).first()
    return None if first is None else first.astimezone(UTC).date()


@transaction.atomic
def history_day_clean(day: date) -> int:
    """Turns the ended jobs of a day into a part of its roll-up that stays, and removes their rows; how many.

    One transaction for each day: it holds locks on those old rows alone. A job that somebody has locked is
    left for the next time, and so is one that has not ended. The day must be rolled up.
    """
    _run("SELECT pg_advisory_xact_lock(%s)", _LOCK)
    begin, end = _bounds(day)
    ended = Job.objects.filter(queued_at__gte=begin, queued_at__lt=end, status__in=Job.FINISHED)
    locked = ended.select_for_update(skip_locked=True, of=("self",)).order_by("id")
    ids = [str(job_id) for job_id in locked.values_list("id", flat=True)]
    if not ids:
        return 0
    part = 1 + max(Rollup.objects.filter(start=day, grain="day").values_list("part", flat=True), default=0)
    raw = [raw_id(job_id) for job_id in ids]
    for owner in ("owner_id", rollup_sql.EVERYBODY):
        sql = rollup_sql.insert_from_jobs(owner=owner, where="id = ANY(%s)")
        _run(sql, raw, Rollup.Grain.DAY, day, part)
    for start in range(0, len(ids), _DELETE_BATCH):
        Job.objects.filter(id__in=ids[start : start + _DELETE_BATCH]).delete()
    # What is longer stays as it is: the parts moved within it, their sum did not change.
    _day_recount(day, None)
    return len(ids)


# ------------------------------------------------------------------------------------------- SQL


def _lock_try() -> bool:
    ((alone,),) = _rows("SELECT pg_try_advisory_xact_lock(%s)", _LOCK)
    return bool(alone)


def _run(sql: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def _rows(sql: str, *parameters: Any) -> Sequence[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def _bounds(day: date) -> tuple[datetime, datetime]:
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return begin, begin + DAY


def _month_after(month: date) -> date:
    return (month.replace(day=1) + timedelta(days=31)).replace(day=1)
