"""The page of statistics and its chart."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.template.loader import render_to_string
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from jobs.figures import Day
from jobs.models import Job, Step
from jobs.templatetags.statistics import per_cent, processor_chart, timeline_chart
from tests.jobs.history import JobSpec, history_make
from users.models import User
from videos.models import Video

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


def page_of(browser: Client) -> str:
    return browser.get(reverse("statistics")).content.decode()


def words_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_without_jobs_it_says_what_will_be_here(browser: Client) -> None:
    page = page_of(browser)
    assert "Nothing to count yet" in page
    assert "<svg viewBox" not in page
    assert 'href="/statistics/" aria-current="page"' in page


def test_it_shows_the_own_figures(browser: Client, alice: User, bob: User) -> None:
    specs = [
        JobSpec(queued_at=NOW - HOUR, duration_ms=2000, outputs=(3_000_000,)),
        JobSpec(queued_at=NOW - HOUR, duration_ms=125_000),
        JobSpec(queued_at=NOW - HOUR, status="failed", log="<b>bad</b>\nthe last line\n"),
        JobSpec(queued_at=NOW - HOUR, type="intake"),
        *[JobSpec(queued_at=NOW - HOUR, owner=1, type="convert", status="failed")] * 3,
    ]
    history_make([alice, bob], specs)
    Video.objects.filter(owner=alice).update(name="<Harbour>")
    page = page_of(browser)
    words = words_of(page)

    assert "Success rate 66 % 2 done, 1 failed" in words
    assert "Jobs 3 0 cancelled" in words
    assert "0 running now, 0 waiting" in words
    assert "Usual duration 1 min 4 s" in words
    assert re.search(r"Resize 3 66 % 1 min 4 s \S+ min \d+ s 1.0 s 2.9.MB", words)
    assert "Convert" not in words.partition("Success rate")[2]
    assert "Took longer than 1 min" in words
    assert "took 2 min 5 s" in words
    assert "The worker went away." in words
    assert "&lt;b&gt;bad&lt;/b&gt;\nthe last line</pre>" in page
    assert "<Harbour>" not in page


def test_period_and_operation_are_chosen(browser: Client, alice: User) -> None:
    specs = [JobSpec(queued_at=NOW - timedelta(days=20)), JobSpec(queued_at=NOW - HOUR, type="convert")]
    history_make([alice], specs)
    assert "Jobs 2 0 cancelled" in words_of(page_of(browser))
    week = words_of(browser.get(reverse("statistics"), {"days": "7"}).content.decode())
    assert "of the last 7 days" in week
    assert "Jobs 1 0 cancelled" in week
    resizes = words_of(browser.get(reverse("statistics"), {"type": "resize"}).content.decode())
    assert "Jobs 1 0 cancelled" in resizes
    assert "You asked for no such job" in words_of(
        browser.get(reverse("statistics"), {"type": "gif"}).content.decode()
    )
    nonsense = browser.get(reverse("statistics"), {"days": "x", "type": "y"}).content.decode()
    assert "Jobs 2 0 cancelled" in words_of(nonsense)


def test_staff_see_everybodys(client: Client, alice: User, bob: User, carol: User) -> None:
    history_make([alice, bob], [JobSpec(queued_at=NOW - HOUR), JobSpec(queued_at=NOW - HOUR, owner=1)])
    (job,) = Job.objects.filter(owner=bob)
    Job.objects.filter(pk=job.pk).update(status="failed", error_code="worker_lost")
    client.force_login(carol)
    page = client.get(reverse("statistics"), {"scope": "all"}).content.decode()

    assert "All users&#x27; jobs" in page or "All users' jobs" in page
    assert "Jobs 2 0 cancelled" in words_of(page)
    assert "bob · Holiday" in words_of(page)
    assert f"/admin/jobs/job/{job.id}/change/" in page
    assert "Short lane 0 0 – none" in words_of(page)
    assert "Nothing to count yet" in words_of(client.get(reverse("statistics")).content.decode())


@pytest.mark.parametrize("name", ["statistics", "statistics-live"])
def test_only_staff_see_everybodys(browser: Client, name: str) -> None:
    assert browser.get(reverse(name), {"scope": "all"}).status_code == 403


def test_the_numbers_of_this_moment(browser: Client, client: Client, alice: User, carol: User) -> None:
    statuses = ["active", "queued", "queued", "paused"]
    history_make([alice], [JobSpec(queued_at=NOW - HOUR, status=status) for status in statuses])
    waiting = Job.objects.filter(status="queued").order_by("queued_at").first()
    assert waiting is not None
    fields = {"owner": alice, "position": 0, "kind": "resize", "lane": "encode", "priority": 5}
    Step.objects.create(job=waiting, **fields)
    own = words_of(browser.get(reverse("statistics-live")).content.decode())
    assert "1 running now, 2 waiting , 1 paused" in own or "1 running now, 2 waiting, 1 paused" in own
    client.force_login(carol)
    everybody = client.get(reverse("statistics-live"), {"scope": "all"}).content.decode()
    assert re.search(r"Encode lane 0 1 (?!–)", words_of(everybody))
    assert "every 5s" in everybody


def test_many_jobs_need_no_more_queries_than_few(browser: Client, alice: User) -> None:
    page_of(browser)  # the first visit of a session is noted
    counts = []
    for number in (1, 5):
        specs = [
            JobSpec(queued_at=NOW - HOUR, status=status, duration_ms=70_000)
            for status in ("completed", "failed")
            for _ in range(number)
        ]
        history_make([alice], specs)
        with CaptureQueriesContext(connection) as queries:
            page_of(browser)
        counts.append(len(queries))
    assert counts[0] == counts[1]


NUMBERS = st.integers(0, 5000)
DAYS = st.lists(
    st.builds(Day, st.just(date(2026, 3, 1)), NUMBERS, NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=8
)


@given(DAYS)
def test_bars_are_as_high_as_their_numbers(days: list[Day]) -> None:
    chart: dict[str, Any] = timeline_chart(days)
    one = chart["height"] / chart["top"]
    assert chart["top"] >= max(day.total for day in days)
    assert chart["middle"] * 2 == chart["top"]
    for bar, day in zip(chart["bars"], days, strict=True):
        assert {piece.kind for piece in bar.pieces} == {
            kind for kind in ("completed", "failed", "cancelled", "open") if getattr(day, kind)
        }
        bottom = chart["height"]
        for piece in bar.pieces:
            assert piece.height == pytest.approx(getattr(day, piece.kind) * one, abs=0.01)
            assert piece.y + piece.height == pytest.approx(bottom, abs=0.02)
            bottom = piece.y
        assert bottom >= -0.02


@given(st.lists(st.floats(0, 10**7), min_size=1, max_size=8))
def test_bars_of_processor_time_are_as_high_as_their_seconds(seconds: list[float]) -> None:
    days = [Day(date(2026, 3, 1), cpu_seconds=one) for one in seconds]
    chart: dict[str, Any] = processor_chart(days)
    assert chart["top"] >= max(seconds)
    assert chart["middle"] * 2 == chart["top"]
    for bar, one in zip(chart["bars"], seconds, strict=True):
        height = sum(piece.height for piece in bar.pieces)
        assert height == pytest.approx(one * chart["height"] / chart["top"], abs=0.01)


def test_the_chart_and_its_table_say_the_same() -> None:
    days = [Day(date(2026, 2, 28), completed=2, failed=1), Day(date(2026, 3, 1))]
    chart = render_to_string("jobs/timeline.html", timeline_chart(days))
    assert "<title>28 Feb: 2 done, 1 failed</title>" in chart
    assert "28 Feb 2026 3 2 1 0 0" in words_of(chart)
    assert "1 Mar 2026 0 0 0 0 0" in words_of(chart)


@pytest.mark.parametrize(
    ("fraction", "words"), [(None, "–"), (0.0, "0 %"), (2 / 3, "66 %"), (0.999, "99 %"), (1.0, "100 %")]
)
def test_only_all_is_100_per_cent(fraction: float | None, words: str) -> None:
    assert per_cent(fraction) == words
