"""The statistics of jobs against a computation that a child could follow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs import statistics
from jobs.figures import Day, Figures, Period, Scope, Spread
from jobs.models import Job
from tests.jobs.history import FINISHED, LIVE, JobSpec, history_make
from users.models import User
from videos.models import Video

START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 5
ALL = Period(START - timedelta(days=1), START + timedelta(days=DAYS + 1))


# Moments on and around the borders of days come up as often as all others together.
MOMENTS = st.one_of(
    st.sampled_from(
        [START + timedelta(days=day, microseconds=step) for day in range(DAYS) for step in (-1, 0, 1)]
    ),
    st.integers(0, DAYS * 86_400_000_000 - 1).map(lambda step: START + timedelta(microseconds=step)),
)
SPECS = st.builds(
    JobSpec,
    owner=st.integers(0, 1),
    video=st.integers(0, 1),
    type=st.sampled_from(["resize", "convert", "intake"]),
    status=st.sampled_from([*LIVE, *FINISHED]),
    queued_at=MOMENTS,
    waited=st.none() | st.integers(0, 10**10).map(lambda step: timedelta(microseconds=step)),
    duration_ms=st.integers(0, 10**7),
    attempt=st.integers(0, 4),
    cpu_seconds=st.floats(0, 10**4),
    outputs=st.lists(st.integers(1, 10**12), max_size=2).map(tuple),
)


def percentile(values: Sequence[float], fraction: float) -> float | None:
    if not values:
        return None
    ordered = sorted(values)
    place = (len(ordered) - 1) * fraction
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def naive_spread(values: Sequence[float]) -> Spread:
    if not values:
        return Spread(None, None, None, None, None)
    return Spread(
        average=sum(values) / len(values),
        minimum=min(values),
        maximum=max(values),
        p50=percentile(values, 0.5),
        p95=percentile(values, 0.95),
    )


def naive_jobs(scope: Scope) -> list[Job]:
    """Every row there is, narrowed down one by one."""
    return [
        job
        for job in Job.objects.all()
        if (job.type == scope.type if scope.type else job.type != "intake")
        and scope.owner_id in {None, job.owner_id}
        and scope.video_id in {None, job.video_id}
        and (scope.period is None or scope.period.start <= job.queued_at < scope.period.end)
    ]


def naive_figures(jobs: Iterable[Job]) -> dict[str, Any]:
    jobs = list(jobs)
    done = [job for job in jobs if job.status == "completed"]
    failed = [job for job in jobs if job.status == "failed"]
    waits = [
        (job.started_at - job.queued_at) / timedelta(milliseconds=1)
        for job in jobs
        if job.started_at is not None
    ]
    return {
        "total": len(jobs),
        "by_status": {status: sum(job.status == status for job in jobs) for status in Job.Status.values},
        "success_rate": len(done) / (len(done) + len(failed)) if done or failed else None,
        "retries": sum(max(job.attempt - 1, 0) for job in jobs),
        "cpu_seconds": sum(job.cpu_seconds for job in jobs),
        "output_bytes": sum(job.output_bytes for job in jobs),
        "duration_ms": naive_spread([job.duration_ms for job in done if job.duration_ms is not None]),
        "queue_ms": naive_spread(waits),
    }


def assert_same(figures: Figures, naive: dict[str, Any]) -> None:
    for name, expected in naive.items():
        found = getattr(figures, name)
        if isinstance(expected, Spread):
            for part in ("average", "minimum", "maximum", "p50", "p95"):
                wanted = getattr(expected, part)
                assert getattr(found, part) == (None if wanted is None else pytest.approx(wanted)), part
        elif isinstance(expected, float):
            assert found == pytest.approx(expected), name
        else:
            assert found == expected, name


def naive_day(day: date, jobs: Iterable[Job]) -> Day:
    """Its processor time is left out: sums of floats depend on their order."""
    mine = [job for job in jobs if job.queued_at.astimezone(UTC).date() == day]
    return Day(
        date=day,
        completed=sum(job.status == "completed" for job in mine),
        failed=sum(job.status == "failed" for job in mine),
        cancelled=sum(job.status == "cancelled" for job in mine),
        open=sum(job.finished_at is None for job in mine),
    )


def scopes(owners: Sequence[User], videos: Sequence[Video]) -> list[Scope]:
    narrow = Period(START + timedelta(days=1), START + timedelta(days=3))
    return [
        Scope(owners[0].id, ALL),
        Scope(owners[0].id, narrow),
        Scope(owners[1].id, ALL, type="intake"),
        Scope(owners[0].id, ALL, type="resize", video_id=videos[0].id),
        Scope(owners[1].id, video_id=videos[1].id),
        Scope(None, narrow),
        Scope(None, ALL, type="convert"),
    ]


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(specs=st.lists(SPECS, max_size=12), threshold=st.integers(0, 10**7))
def test_every_figure_equals_a_naive_computation(
    alice: User, bob: User, specs: list[JobSpec], threshold: int
) -> None:
    owners = [alice, bob]
    videos = history_make(owners, specs)
    last = (START + timedelta(days=DAYS - 1)).date()
    for scope in scopes(owners, videos):
        jobs = naive_jobs(scope)
        assert_same(statistics.job_figures(scope), naive_figures(jobs))

        by_type = {one.type: one.figures for one in statistics.job_figures_by_type(scope)}
        assert set(by_type) == {job.type for job in jobs}
        for type_, figures in by_type.items():
            assert_same(figures, naive_figures(job for job in jobs if job.type == type_))

        anytime = naive_jobs(Scope(scope.owner_id, None, scope.type, scope.video_id))
        assert statistics.jobs_active_count(scope) == sum(job.status == "active" for job in anytime)

        timeline = statistics.job_timeline(scope, days=DAYS, today=last)
        dates = [last - timedelta(days=back) for back in reversed(range(DAYS))]
        assert [replace(day, cpu_seconds=0) for day in timeline] == [naive_day(day, anytime) for day in dates]
        spent = sum(job.cpu_seconds for job in anytime if job.queued_at.astimezone(UTC).date() in dates)
        assert sum(day.cpu_seconds for day in timeline) == pytest.approx(spent)

        slow = [job for job in jobs if job.duration_ms is not None and job.duration_ms > threshold]
        slow.sort(key=lambda job: (job.queued_at, job.id), reverse=True)
        keys = [key["id"] for key in statistics.jobs_slow(scope, threshold_ms=threshold)]
        assert keys == [job.id for job in slow]
        assert statistics.jobs_in_order(keys) == slow

        failed = [
            job
            for job in anytime
            if job.status == "failed"
            and job.finished_at is not None
            and (scope.period is None or scope.period.start <= job.finished_at < scope.period.end)
        ]
        failed.sort(key=lambda job: (job.finished_at or START, job.id), reverse=True)
        assert [key["id"] for key in statistics.jobs_failed(scope)] == [job.id for job in failed]


def test_without_jobs_there_is_nothing_but_zeros(alice: User) -> None:
    scope = Scope(alice.id, ALL)
    figures = statistics.job_figures(scope)

    assert (figures.total, figures.retries, figures.cpu_seconds, figures.output_bytes) == (0, 0, 0.0, 0)
    assert figures.by_status == dict.fromkeys(Job.Status.values, 0)
    assert figures.success_rate is None
    assert figures.duration_ms == figures.queue_ms == Spread(None, None, None, None, None)
    assert statistics.job_figures_by_type(scope) == []
    assert statistics.job_timeline(scope, days=2, today=date(2026, 3, 1)) == [
        Day(date(2026, 2, 28)),
        Day(date(2026, 3, 1)),
    ]


def test_one_job_is_its_own_average_and_percentile(alice: User) -> None:
    history_make([alice], [JobSpec(queued_at=START, waited=timedelta(milliseconds=1500), duration_ms=2000)])
    figures = statistics.job_figures(Scope(alice.id, ALL))

    assert figures.success_rate == 1
    assert figures.duration_ms == Spread(2000.0, 2000, 2000, 2000.0, 2000.0)
    assert figures.queue_ms == Spread(1500.0, 1500.0, 1500.0, 1500.0, 1500.0)


def test_what_failed_or_was_cancelled_tells_no_duration(alice: User) -> None:
    history_make([alice], [JobSpec(status="failed", queued_at=START, duration_ms=7000)])
    history_make([alice], [JobSpec(status="cancelled", queued_at=START, duration_ms=9000)], keep=True)
    figures = statistics.job_figures(Scope(alice.id, ALL))

    assert figures.duration_ms == Spread(None, None, None, None, None)
    assert figures.success_rate == 0


def test_a_day_begins_at_midnight_in_utc(alice: User) -> None:
    instant = timedelta(microseconds=1)
    moments = [START - instant, START, START + timedelta(days=1) - instant, START + timedelta(days=1)]
    history_make([alice], [JobSpec(queued_at=moment) for moment in moments])

    timeline = statistics.job_timeline(Scope(alice.id), days=3, today=date(2026, 3, 2))
    assert [(day.date.isoformat(), day.total) for day in timeline] == [
        ("2026-02-28", 1),
        ("2026-03-01", 2),
        ("2026-03-02", 1),
    ]
    whole_day = Period(START, START + timedelta(days=1))
    assert statistics.job_figures(Scope(alice.id, whole_day)).total == 2


def the_failed(scope: Scope) -> Job:
    (job,) = statistics.jobs_in_order([key["id"] for key in statistics.jobs_failed(scope)])
    return job


def test_an_empty_log_has_an_empty_end(alice: User) -> None:
    history_make([alice], [JobSpec(status="failed", queued_at=START)])
    assert statistics.failure_log_tail(the_failed(Scope(alice.id))) == ""


def test_a_log_ends_with_its_last_lines(alice: User) -> None:
    lines = [f"line {number}" for number in range(50)]
    history_make([alice], [JobSpec(status="failed", queued_at=START, log="\n".join(lines) + "\n")])
    failed = the_failed(Scope(alice.id, Period(START, ALL.end)))

    assert statistics.failure_log_tail(failed).splitlines() == lines[-20:]
    assert "log" in failed.get_deferred_fields()
