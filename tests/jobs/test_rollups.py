"""The roll-ups against a count of the rows: days that ended, late changes, and rows that are gone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs import statistics, tallies
from jobs.figures import PERCENTILE_ERROR, Figures, Lengths, Period, Scope, Spread
from jobs.housekeeping import history_clean
from jobs.models import Job, Rollup, RollupProgress, RollupTouch
from jobs.rollups import rolled_through, rollups_update
from tests.jobs.history import FINISHED, LIVE, JobSpec, history_make
from tests.jobs.test_statistics import naive_day, naive_figures, naive_jobs, percentile
from users.models import User

# Over the end of a year, with a whole month and parts of two.
START = datetime(2024, 11, 20, tzinfo=UTC)
DAYS = 60
HALF_A_DAY = timedelta(hours=12)
WHOLE = Period(START - timedelta(days=3), START + timedelta(days=DAYS + 3))
RAGGED = Period(START + HALF_A_DAY, START + timedelta(days=DAYS - 2) + HALF_A_DAY)

MOMENTS = st.builds(
    lambda day, step: START + timedelta(days=day, microseconds=step),
    st.sampled_from([0, 1, 10, 11, 12, 25, 41, 42, 43, 58, 59]),
    st.sampled_from([-1, 0, 1, 43_200_000_000]) | st.integers(0, 86_399_999_999),
)
SPECS = st.builds(
    JobSpec,
    owner=st.integers(0, 1),
    type=st.sampled_from(["resize", "convert", "intake"]),
    status=st.sampled_from([*LIVE, *FINISHED]),
    queued_at=MOMENTS,
    waited=st.none() | st.integers(0, 10**10).map(lambda step: timedelta(microseconds=step)),
    duration_ms=st.integers(0, 10**8),
    attempt=st.integers(0, 4),
    cpu_seconds=st.floats(0, 10**4),
    outputs=st.lists(st.integers(1, 10**12), max_size=2).map(tuple),
)


@pytest.fixture(autouse=True)
def _always_from_rollups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "ROWS_MAX", -1)


@pytest.fixture(autouse=True)
def _the_past_ends_after_the_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds would go on, day by day, up to today."""
    monkeypatch.setattr("jobs.rollups.today", lambda _later=None: WHOLE.end.date())
    monkeypatch.setattr("jobs.housekeeping.today", WHOLE.end.date)


def make(owners: Sequence[User], specs: Sequence[JobSpec]) -> None:
    """A history without roll-ups."""
    history_make(owners, specs)
    for model in (Rollup, RollupTouch, RollupProgress):
        model.objects.all().delete()


def scopes(owners: Sequence[User]) -> list[Scope]:
    return [
        Scope(None, WHOLE),
        Scope(None, RAGGED),
        Scope(None, RAGGED, type="intake"),
        Scope(owners[0].id, WHOLE),
        Scope(owners[0].id, RAGGED, type="resize"),
        Scope(owners[1].id, RAGGED),
    ]


def assert_near(found: Spread, wanted: Spread) -> None:
    for part in ("average", "minimum", "maximum"):
        expected = getattr(wanted, part)
        assert getattr(found, part) == (None if expected is None else pytest.approx(expected)), part
    for part in ("p50", "p95"):
        expected = getattr(wanted, part)
        near = None if expected is None else pytest.approx(expected, rel=PERCENTILE_ERROR, abs=0.5)
        assert getattr(found, part) == near, part


def assert_figures(found: Figures, naive: dict[str, Any]) -> None:
    for name, expected in naive.items():
        if isinstance(expected, Spread):
            assert_near(getattr(found, name), expected)
        else:
            assert getattr(found, name) == pytest.approx(expected), name


Expected = list[tuple[Scope, dict[str, Any], dict[str, dict[str, Any]], list[Any]]]


def naive(owners: Sequence[User]) -> Expected:
    """Per scope: the figures, those of each type, and the days of its timeline."""
    last = (START + timedelta(days=DAYS)).date()
    dates = [last - timedelta(days=back) for back in reversed(range(DAYS))]
    expected = []
    for scope in scopes(owners):
        jobs = naive_jobs(scope)
        types = {job.type for job in jobs}
        anytime = naive_jobs(Scope(scope.owner_id, None, scope.type))
        expected.append(
            (
                scope,
                naive_figures(jobs),
                {type_: naive_figures(job for job in jobs if job.type == type_) for type_ in types},
                [naive_day(day, anytime) for day in dates],
            )
        )
    return expected


def assert_statistics(expected: Expected) -> None:
    last = (START + timedelta(days=DAYS)).date()
    for scope, figures, types, days in expected:
        assert statistics.job_figures(scope).percentile_error == PERCENTILE_ERROR
        assert_figures(statistics.job_figures(scope), figures)
        by_type = {one.type: one.figures for one in statistics.job_figures_by_type(scope)}
        assert set(by_type) == set(types)
        for type_, found in by_type.items():
            assert_figures(found, types[type_])
        total, same = statistics.job_figures_and_types(scope)
        assert total == statistics.job_figures(scope)
        assert same == statistics.job_figures_by_type(scope)
        timeline = statistics.job_timeline(scope, days=DAYS, today=last)
        assert [replace(day, cpu_seconds=0) for day in timeline] == days


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(specs=st.lists(SPECS, min_size=1, max_size=12), late=st.randoms(use_true_random=False))
def test_every_figure_from_rollups_equals_a_naive_computation(
    alice: User, bob: User, specs: list[JobSpec], late: Any
) -> None:
    owners = [alice, bob]
    make(owners, specs)
    rollups_update()
    assert_statistics(naive(owners))

    # Late changes: the next round counts those days anew.
    jobs = list(Job.objects.order_by("id"))
    for job in late.sample(jobs, len(jobs) // 3):
        job.delete()
    for job in late.sample(list(Job.objects.exclude(status="failed")), Job.objects.count() // 3):
        job.status, job.error_code, job.paused_at = "failed", "worker_lost", None
        job.finished_at, job.duration_ms = job.queued_at, late.randint(0, 10**6)
        job.save()
    history_make(owners, [replace(spec, status="completed") for spec in specs[:2]], keep=True)
    rollups_update()
    expected = naive(owners)
    assert_statistics(expected)
    assert not RollupTouch.objects.exists()

    # The rows go, the figures stay; but of a day whose rows are gone no half can be told.
    kept = [one for one in expected if one[0].period == WHOLE]
    days = (WHOLE.end - START).days
    history_clean(older_than_days=days - 30)
    assert_statistics(kept)
    history_clean(older_than_days=1)
    assert not Job.objects.filter(status__in=FINISHED).exists()
    assert_statistics(kept)
    rollups_update()
    assert_statistics(kept)


LENGTHS = st.lists(st.integers(0, 10**12) | st.floats(0, 10**9), min_size=1, max_size=40)


@given(LENGTHS, st.integers(0, 40))
def test_percentiles_of_histograms_are_within_their_bound(values: list[float], cut: int) -> None:
    whole = Lengths()
    for part in (values[:cut], values[cut:]):
        lengths = Lengths()
        for value in part:
            lengths.add(1, value, value, value)
            lengths.add_bucket(bucket_of(value), 1)
        whole.add_all(lengths)
    spread = whole.spread()
    for fraction, found in ((0.5, spread.p50), (0.95, spread.p95)):
        assert found == pytest.approx(percentile(values, fraction), rel=PERCENTILE_ERROR, abs=0.5)


def bucket_of(value: float) -> int:
    """As the SQL has it, with a loop instead of a logarithm."""
    bucket, border = 0, 1.0
    while value >= border:
        bucket, border = bucket + 1, border * 1.05
    return bucket


def test_few_jobs_are_counted_from_rows_and_exact(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    make([alice], [JobSpec(queued_at=START, duration_ms=1234)])
    rollups_update()
    monkeypatch.setattr(tallies, "ROWS_MAX", 1)
    figures = statistics.job_figures(Scope(alice.id, WHOLE))
    assert (figures.duration_ms.p50, figures.percentile_error) == (1234, 0)
    monkeypatch.setattr(tallies, "ROWS_MAX", 0)
    figures = statistics.job_figures(Scope(alice.id, WHOLE))
    assert figures.percentile_error == PERCENTILE_ERROR


def test_days_that_are_gone_are_never_counted_from_rows(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    make([alice], [JobSpec(queued_at=START)])
    monkeypatch.setattr(tallies, "ROWS_MAX", 1000)
    assert history_clean(older_than_days=1) == 1
    assert statistics.job_figures(Scope(alice.id, WHOLE)).total == 1
    assert statistics.job_figures(Scope(None, WHOLE)).total == 1


def test_a_note_is_kept_until_its_day_is_counted(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    make([alice], [JobSpec(queued_at=START)])
    rollups_update()
    Job.objects.all().delete()

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("jobs.rollups._day_recount", dies)
        with pytest.raises(KeyboardInterrupt):
            rollups_update()
    assert statistics.job_figures(Scope(None, WHOLE)).total == 1
    rollups_update()
    assert statistics.job_figures(Scope(None, WHOLE)).total == 0


def test_what_the_roll_up_does_not_count_leaves_no_note(alice: User) -> None:
    make([alice], [JobSpec(queued_at=START, status="active")])
    rollups_update()
    Job.objects.update(progress=50, speed=2, seq=7)
    assert not RollupTouch.objects.exists()
    Job.objects.update(attempt=2)
    assert RollupTouch.objects.count() == 1


def test_todays_jobs_leave_no_note(alice: User) -> None:
    history_make([alice], [JobSpec(queued_at=datetime.now(UTC))])
    RollupTouch.objects.all().delete()
    Job.objects.update(attempt=2)
    assert not RollupTouch.objects.exists()


def test_a_round_takes_only_so_many_days_and_the_next_goes_on(alice: User) -> None:
    make([alice], [JobSpec(queued_at=START), JobSpec(queued_at=START + timedelta(days=9))])
    assert rollups_update(days=3).days_ended == 3
    assert rolled_through() == (START + timedelta(days=3)).date()
    assert statistics.job_figures(Scope(None, WHOLE)).total == 2
    rollups_update()
    assert rolled_through() == WHOLE.end.date()
    assert rollups_update().days_ended == 0


def test_two_rounds_at_once_are_one(alice: User, second_connection: Any) -> None:
    make([alice], [JobSpec(queued_at=START)])
    with second_connection.transaction():
        second_connection.execute("SELECT pg_advisory_xact_lock(%s)", [0x76_69_64_65_6F_02])
        assert rollups_update().days_ended == 0
    assert rollups_update().days_ended > 0


@pytest.fixture
def second_connection() -> Iterator[Any]:
    other = connection.copy()
    other.ensure_connection()
    yield other.connection
    other.close()


def test_live_jobs_outlive_the_clean_up(alice: User) -> None:
    make([alice], [JobSpec(queued_at=START, status=status) for status in (*LIVE, *FINISHED)])
    assert history_clean(older_than_days=1) == len(FINISHED)
    assert set(Job.objects.values_list("status", flat=True)) == set(LIVE)
    Job.objects.filter(status="queued").update(status="cancelled", finished_at=START)
    rollups_update()
    figures = statistics.job_figures(Scope(alice.id, WHOLE))
    assert figures.by_status == {
        "queued": 0, "active": 1, "paused": 1, "completed": 1, "failed": 1, "cancelled": 2
    }  # fmt: skip
    assert history_clean(older_than_days=1) == 1
    assert statistics.job_figures(Scope(alice.id, WHOLE)).by_status == figures.by_status


def test_a_job_that_is_locked_stays_for_the_next_time(alice: User, second_connection: Any) -> None:
    make([alice], [JobSpec(queued_at=START)])
    with second_connection.transaction():
        second_connection.execute("SELECT FROM jobs_job FOR UPDATE")
        assert history_clean(older_than_days=1) == 0
    assert history_clean(older_than_days=1) == 1


def test_an_account_takes_its_figures_along(alice: User, bob: User) -> None:
    make([alice, bob], [JobSpec(queued_at=START, owner=0), JobSpec(queued_at=START, owner=1)])
    rollups_update()
    with transaction.atomic():
        bob.delete()
    rollups_update()
    assert statistics.job_figures(Scope(None, WHOLE)).total == 1
    assert set(Rollup.objects.values_list("owner", flat=True)) == {None, alice.id}


def test_the_command_cleans(alice: User, capsys: pytest.CaptureFixture[str]) -> None:
    make([alice], [JobSpec(queued_at=START), JobSpec(queued_at=START + timedelta(days=50))])
    call_command("clean_history", older_than_days=30)
    assert capsys.readouterr().out == "1 job removed.\n"
    with pytest.raises(CommandError, match="at least the last day"):
        call_command("clean_history", older_than_days=0)
    assert Job.objects.count() == 1


@pytest.mark.parametrize("threshold", [500, 60_000, 90_000])
def test_slow_jobs_are_found_whatever_is_rolled_up(alice: User, threshold: int) -> None:
    moments = [START + timedelta(days=day, hours=6) for day in (0, 5, 20, 40)]
    specs = [JobSpec(queued_at=one, duration_ms=took) for one, took in zip(moments, TOOK, strict=True)]
    make([alice], specs)
    expected = {one for one, took in zip(moments, TOOK, strict=True) if took > threshold}
    rollups_update(days=30)
    for start in (WHOLE.start, START, START + HALF_A_DAY, START + timedelta(days=20, hours=7)):
        for end in (WHOLE.end, moments[3], moments[1] + timedelta(hours=1), START + timedelta(days=6)):
            if start >= end:
                continue
            for scope in (Scope(None, Period(start, end)), Scope(alice.id, Period(start, end))):
                found = {key["queued_at"] for key in statistics.jobs_slow(scope, threshold_ms=threshold)}
                assert found == {one for one in expected if start <= one < end}


TOOK = (1000, 70_000, 400, 100_000)


def test_no_period_is_cut_while_a_day_of_it_is_to_be_counted_anew(alice: User) -> None:
    make([alice], [JobSpec(queued_at=START, duration_ms=10)])
    rollups_update()
    assert not statistics.jobs_slow(Scope(None, WHOLE), threshold_ms=1000).exists()
    Job.objects.update(duration_ms=2000)
    assert statistics.jobs_slow(Scope(None, WHOLE), threshold_ms=1000).exists()
