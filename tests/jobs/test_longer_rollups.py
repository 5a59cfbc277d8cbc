"""Dekads, months and quarters: they cover every day once, equal a count of the rows, and come late too."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

import jobs.migrations
from jobs import statistics, tallies
from jobs.figures import DAY, Period, Scope, cover, unit_of
from jobs.housekeeping import history_clean
from jobs.models import Job, Rollup, RollupProgress, RollupTouch
from jobs.rollups import rollups_update
from tests.jobs.history import JobSpec, history_make
from users.models import User

START = datetime(2024, 9, 5, tzinfo=UTC)
END = datetime(2025, 1, 23, tzinfo=UTC)
GRAINS = ["quarter", "month", "dekad", "day"]
# Of each kind of place: in a whole quarter, in a whole month alone, in a dekad alone, in a day alone.
DAYS = (0, 6, 18, 30, 60, 100, 117, 118, 128, 138)


@given(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(0, 400))
def test_spans_cover_each_day_once(first: date, length: int) -> None:
    end = first + length * DAY
    for grains in (GRAINS, ["quarter", "month", "day"]):
        spans = cover(first, end, grains)
        at, units = first, 0
        for span in spans:
            assert span.start == at
            while at < span.end:
                unit = unit_of(span.grain, at)
                assert unit.start == at
                at, units = unit.end, units + 1
            assert at == span.end
        assert at == end
        assert units <= (31 if "dekad" in grains else 70)


@pytest.fixture
def history(alice: User, bob: User, monkeypatch: pytest.MonkeyPatch) -> Sequence[User]:
    monkeypatch.setattr(tallies, "ROWS_MAX", -1)
    monkeypatch.setattr("jobs.rollups.today", lambda _later=None: END.date())
    monkeypatch.setattr("jobs.housekeeping.today", END.date)
    specs = [
        JobSpec(
            owner=number % 2,
            type=("resize", "convert")[number % 3 == 0],
            status=("completed", "completed", "failed")[number % 3],
            queued_at=START + timedelta(days=day, hours=number),
            duration_ms=10**number % 10**7 + number,
            outputs=(number + 1,),
        )
        for number, day in enumerate(DAYS * 2)
    ]
    history_make([alice, bob], specs)
    for model in (Rollup, RollupTouch, RollupProgress):
        model.objects.all().delete()
    rollups_update()
    return [alice, bob]


def assert_equal_to_days(owners: Sequence[User]) -> None:
    """What the longest spans say is what days alone say, which other tests compare with the rows."""
    period = Period(START - 2 * DAY, END + DAY)
    for owner_id in (None, *(owner.id for owner in owners)):
        scope = Scope(owner_id, period)
        longest = statistics.job_figures_by_type(scope)
        with pytest.MonkeyPatch.context() as patch:
            for name in ("_GRAINS", "_GRAINS_OF_ALL"):
                patch.setattr(tallies, name, ("day",))
            assert statistics.job_figures_by_type(scope) == longest
        assert longest


def rows() -> set[tuple[Any, ...]]:
    names = [field.name for field in Rollup._meta.concrete_fields if field.name != "id"]
    found = Rollup.objects.exclude(grain__in=["day", "month"]).values_list(*names)
    return {tuple(tuple(value) if isinstance(value, list) else value for value in row) for row in found}


def test_a_year_is_read_from_the_longest(history: Sequence[User]) -> None:
    assert set(Rollup.objects.values_list("grain", flat=True)) == set(GRAINS)
    assert not Rollup.objects.filter(grain="dekad").exclude(owner=None).exists()
    split = tallies.split_of(Scope(None, Period(START, END)))
    assert split is not None
    assert [span.grain for span in split.spans] == ["day", "dekad", "quarter", "dekad", "day"]
    assert_equal_to_days(history)


def test_late_changes_reach_them(history: Sequence[User]) -> None:
    Job.objects.filter(queued_at__gte=START + 60 * DAY, queued_at__lt=START + 61 * DAY).delete()
    Job.objects.filter(type="convert").update(cpu_seconds=9)
    before = rows()
    rollups_update()
    assert rows() != before
    assert_equal_to_days(history)
    assert history_clean(older_than_days=30) > 0
    rollups_update()
    assert_equal_to_days(history)


def test_the_migration_makes_them_of_what_is_there(history: Sequence[User]) -> None:
    expected = rows()
    Rollup.objects.exclude(grain__in=["day", "month"]).delete()
    (file,) = Path(jobs.migrations.__path__[0]).glob("*_longer_rollups.py")
    migration = import_module(f"jobs.migrations.{file.stem}")
    with connection.cursor() as cursor:
        cursor.execute(migration.DEKADS)
        cursor.execute(migration.QUARTERS)
    assert rows() == expected
