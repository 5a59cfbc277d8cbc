"""Figures over the history of jobs: how many, how well, how long, how dear.

A `Scope` says whose jobs are counted, which of them and from when. A job belongs to the moment it was
asked for (`queued_at`), so the same job is never in two periods; failures alone are looked up by the
moment they failed. Inspections of uploads are left out unless their type is asked for.

Each query names the index that serves it. They read no row of the table where the index has it all. Periods
with many jobs are counted from roll-ups (`jobs.tallies`): the same figures, but for percentiles, which are
then a little off and say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.models import (
    Aggregate,
    Avg,
    Count,
    ExpressionWrapper,
    F,
    FloatField,
    Func,
    Max,
    Min,
    Q,
    QuerySet,
    Sum,
)
from django.db.models.fields import DateTimeField, DurationField
from django.db.models.functions import Greatest, Right, TruncDay
from django.utils import timezone

from jobs import tallies
from jobs.figures import DAY, Day, Figures, Period, Scope, Spread, Tally, TypeFigures, total_of
from jobs.models import Job
from problems import FieldError, Problem
from users.ids import public_id_is_valid
from users.models import User
from videos.models import Video

PERIOD_DEFAULT = timedelta(days=30)
PERIOD_MAX = timedelta(days=366)
TIMELINE_DAYS_MAX = PERIOD_MAX.days
LOG_TAIL_LINES = 20
_LOG_TAIL_CHARACTERS = 4000
# Outside of these a calculation with times would overflow; nothing was queued there either.
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


class PercentileCont(Aggregate):
    """PostgreSQL's percentile with linear interpolation between neighbours."""

    template = "percentile_cont(%(fraction)s) WITHIN GROUP (ORDER BY %(expressions)s)"

    def __init__(self, expression: Any, fraction: float, **extra: Any) -> None:
        super().__init__(expression, fraction=float(fraction), output_field=FloatField(), **extra)


# ------------------------------------------------------------------------------------------- scope


def period_of(start: datetime | None, end: datetime | None) -> Period:
    """The period asked for; it ends now and is 30 days long where nothing else is said.

    Raises `invalid_request` for one that is empty, longer than a year or beyond all calendars.
    """
    for name, moment in (("from", start), ("to", end)):
        if moment is not None and not _FIRST <= moment <= _LAST:
            raise _wrong(name, "out_of_range", "Take a time between the years 1970 and 9000.")
    end = end or timezone.now()
    start = start or max(end - PERIOD_DEFAULT, _FIRST)
    if start >= end:
        raise _wrong("from", "empty_period", "`from` must be earlier than `to`.")
    if end - start > PERIOD_MAX:
        raise _wrong("from", "period_too_long", f"A period has at most {PERIOD_MAX.days} days.")
    return Period(start, end)


def period_of_days(days: int, *, today: date | None = None) -> Period:
    """The last `days` days in UTC, `today` the last and whole."""
    last = today or timezone.now().astimezone(UTC).date()
    end = datetime(last.year, last.month, last.day, tzinfo=UTC) + DAY
    return Period(end - days * DAY, end)


def scope_for(
    viewer: User,
    *,
    user_id: str | None = None,
    everybody: bool = False,
    period: Period | None = None,
    type: str = "",  # noqa: A002 - the word of the API
    video_id: str | None = None,
) -> Scope:
    """What `viewer` may count: the own jobs, and for staff those of `user_id` or of `everybody`.

    Raises `permission_denied` for others than staff, `not_found` for an unknown user and for a video that
    is not there for the owner in question, and `invalid_request` for both a user and everybody.
    """
    if user_id is not None and everybody:
        raise _wrong("user", "ambiguous", "Ask for one user or for everybody.")
    owner_id = None if everybody else user_id or viewer.id
    if owner_id != viewer.id:
        if not viewer.is_staff:
            raise Problem("permission_denied")
        if owner_id is not None and not _user_exists(owner_id):
            raise Problem("not_found")
    if video_id is not None and not _video_exists(video_id, owner_id):
        raise Problem("not_found")
    return Scope(owner_id=owner_id, period=period, type=type, video_id=video_id)


def _user_exists(user_id: str) -> bool:
    return public_id_is_valid("usr", user_id) and User.objects.filter(pk=user_id).exists()


def _video_exists(video_id: str, owner_id: str | None) -> bool:
    if not public_id_is_valid("vid", video_id):
        return False
    videos = Video.objects.filter(pk=video_id, deleted_at=None)
    return (videos if owner_id is None else videos.filter(owner__pk=owner_id)).exists()


def _wrong(name: str, code: str, detail: str) -> Problem:
    return Problem("invalid_request", errors=[FieldError(f"/{name}", code, detail)])


def _jobs(scope: Scope, *, moment: str = "queued_at") -> QuerySet[Job]:
    """The rows in scope; `moment` is the column that the period is about."""
    jobs = Job.objects.filter(type=scope.type) if scope.type else Job.objects.exclude(type=Job.INTAKE)
    if scope.owner_id is not None:
        jobs = jobs.filter(owner__pk=scope.owner_id)
    if scope.video_id is not None:
        jobs = jobs.filter(video__pk=scope.video_id)
    if scope.period is not None:
        start, end = scope.period
        jobs = jobs.filter(**{f"{moment}__gte": start, f"{moment}__lt": end})
    return jobs


# ------------------------------------------------------------------------------------------- figures

_QUEUE_MS = Func(
    ExpressionWrapper(F("started_at") - F("queued_at"), output_field=DurationField()),
    template="(EXTRACT(EPOCH FROM %(expressions)s) * 1000)::double precision",
    output_field=FloatField(),
)
_COMPLETED = Q(status=Job.Status.COMPLETED)


def _spread(name: str, of: Any, condition: Q) -> dict[str, Aggregate]:
    return {
        f"{name}_average": Avg(of, filter=condition, output_field=FloatField()),
        f"{name}_minimum": Min(of, filter=condition),
        f"{name}_maximum": Max(of, filter=condition),
        f"{name}_p50": PercentileCont(of, 0.5, filter=condition),
        f"{name}_p95": PercentileCont(of, 0.95, filter=condition),
    }


def _aggregates() -> dict[str, Aggregate]:
    return {
        **{f"number_{status}": Count("pk", filter=Q(status=status)) for status in Job.Status.values},
        "retries": Sum(Greatest(F("attempt") - 1, 0)),
        "cpu": Sum("cpu_seconds"),
        "bytes": Sum("output_bytes"),
        **_spread("duration", F("duration_ms"), _COMPLETED),
        **_spread("queue", _QUEUE_MS, Q(started_at__isnull=False)),
    }


def job_figures(scope: Scope) -> Figures:
    """Everything in scope in one set of figures.

    Served by `job_owner_queued`, or `job_queued` for everybody, or the index of the video; long periods by
    `rollup_once`.
    """
    split = tallies.split_of(scope)
    if split is None:
        return _figures(_jobs(scope).aggregate(**_aggregates()))
    return tallies.tally_of(split).figures()


def job_figures_by_type(scope: Scope) -> list[TypeFigures]:
    """The figures of each type that has jobs in scope, the most frequent first. Served as `job_figures`."""
    split = tallies.split_of(scope)
    return _by_type_of_rows(scope) if split is None else _by_type_of(tallies.tallies_of(split))


def job_figures_and_types(scope: Scope) -> tuple[Figures, list[TypeFigures]]:
    """`job_figures` and `job_figures_by_type` at the cost of one of them where the period is long."""
    split = tallies.split_of(scope)
    if split is None:
        return _figures(_jobs(scope).aggregate(**_aggregates())), _by_type_of_rows(scope)
    found = tallies.tallies_of(split)
    return total_of(found.values()).figures(), _by_type_of(found)


def _by_type_of_rows(scope: Scope) -> list[TypeFigures]:
    rows = _jobs(scope).values("type").annotate(**_aggregates())
    return _sorted([TypeFigures(row["type"], _figures(dict(row))) for row in rows])


def _by_type_of(found: dict[str, Tally]) -> list[TypeFigures]:
    return _sorted([TypeFigures(type_, tally.figures()) for type_, tally in found.items()])


def _sorted(found: list[TypeFigures]) -> list[TypeFigures]:
    counted = [one for one in found if one.figures.total]
    return sorted(counted, key=lambda one: (-one.figures.total, one.type))


def _figures(row: dict[str, Any]) -> Figures:
    by_status = {status: row[f"number_{status}"] for status in Job.Status.values}
    return Figures(
        total=sum(by_status.values()),
        by_status=by_status,
        retries=row["retries"] or 0,
        cpu_seconds=row["cpu"] or 0.0,
        output_bytes=int(row["bytes"] or 0),
        duration_ms=_spread_of(row, "duration"),
        queue_ms=_spread_of(row, "queue"),
    )


def _spread_of(row: dict[str, Any], name: str) -> Spread:
    return Spread(*(row[f"{name}_{part}"] for part in ("average", "minimum", "maximum", "p50", "p95")))


def jobs_active_count(scope: Scope) -> int:
    """How many jobs of the scope run at this moment, whenever they were asked for.

    Served by `job_owner_running`, which holds nothing but running jobs.
    """
    now = Scope(owner_id=scope.owner_id, type=scope.type, video_id=scope.video_id)
    return _jobs(now).filter(status=Job.Status.ACTIVE).count()


def job_timeline(scope: Scope, *, days: int, today: date | None = None) -> list[Day]:
    """One entry for each of the last `days` days in UTC, `today` the last, days without jobs included.

    The scope's own period does not matter. Served as `job_figures`.
    """
    period = period_of_days(days, today=today)
    within = replace(scope, period=period)
    split = tallies.split_of(within)
    found = {} if split is None else tallies.days_of(split)
    for edge in [period] if split is None else split.edges:
        for day in _days(replace(within, period=edge)):
            found[day.date] = found[day.date] + day if day.date in found else day
    dates = [(period.start + number * DAY).date() for number in range(days)]
    return [found.get(one) or Day(one) for one in dates]


def _days(scope: Scope) -> list[Day]:
    rows = (
        _jobs(scope)
        .annotate(day=TruncDay("queued_at", tzinfo=UTC, output_field=DateTimeField()))
        .values("day")
        .annotate(
            completed=Count("pk", filter=_COMPLETED),
            failed=Count("pk", filter=Q(status=Job.Status.FAILED)),
            cancelled=Count("pk", filter=Q(status=Job.Status.CANCELLED)),
            open=Count("pk", filter=Q(status__in=Job.LIVE)),
            cpu=Sum("cpu_seconds"),
        )
    )
    return [
        Day(
            date=row["day"].date(),
            completed=row["completed"],
            failed=row["failed"],
            cancelled=row["cancelled"],
            open=row["open"],
            cpu_seconds=row["cpu"],
        )
        for row in rows
    ]


# ------------------------------------------------------------------------------------------- single jobs


def jobs_slow(scope: Scope, *, threshold_ms: int) -> QuerySet[Job, Any]:
    """`id` and `queued_at` of the ended jobs that took longer than the threshold, newest first.

    Only the keys, so that the walk stays inside the index; `jobs_in_order` fetches a page of them. Served
    by `job_owner_slow` and `job_slow` from a threshold of `SLOW_MS` upwards, below as `job_figures`. The
    walk does not begin before the first day that has such a job, nor after the last.
    """
    if scope.period is not None:
        period = tallies.period_slower(scope, than_ms=threshold_ms)
        if period is None:
            return Job.objects.none().values("id", "queued_at")
        scope = replace(scope, period=period)
    slow = _jobs(scope).filter(duration_ms__gt=threshold_ms)
    return slow.order_by("-queued_at", "-id").values("id", "queued_at")


def jobs_failed(scope: Scope) -> QuerySet[Job, Any]:
    """`id` and `finished_at` of the jobs that failed within the scope's period, the last first.

    Only the keys, as `jobs_slow`. Served by `job_owner_failed`, or `job_failed_recent` for everybody.
    """
    failed = _jobs(scope, moment="finished_at").filter(status=Job.Status.FAILED)
    return failed.order_by("-finished_at", "-id").values("id", "finished_at")


def jobs_in_order(ids: Sequence[str]) -> list[Job]:
    """The jobs of these ids in the same order, with owner, operation and video, without their logs but for
    the end that `failure_log_tail` reads."""
    jobs = Job.objects.filter(id__in=ids).select_related("owner", "operation", "video")
    jobs = jobs.defer("log", "plan", "video__media_info").annotate(log_end=Right("log", _LOG_TAIL_CHARACTERS))
    found = {job.id: job for job in jobs}
    return [found[one] for one in ids if one in found]


def failure_log_tail(job: Job) -> str:
    """The last lines of the log of a row of `jobs_in_order`."""
    log: str = vars(job)["log_end"]
    return "\n".join(log.rstrip().splitlines()[-LOG_TAIL_LINES:])
