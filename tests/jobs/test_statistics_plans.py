"""Which index serves which query, as PostgreSQL plans it over 20,000 rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs import statistics
from jobs.figures import Period, Scope
from users.models import User
from videos.models import Video

ROWS = 20_000
TABLES = "jobs_job, videos_output, videos_operation, videos_video"
END = datetime(2026, 6, 1, tzinfo=UTC)
WEEK = Period(END - timedelta(days=7), END)
# A share of the table for which an index is worth it; of everybody's week PostgreSQL may rather read all.
DAY = Period(END - timedelta(days=1), END)


@pytest.fixture
def people(db: None) -> list[User]:
    return [User.objects.create_user(f"user{n}", f"user{n}@example.org") for n in range(20)]


# A year of jobs of twenty people with two videos each, one in twenty failed and one of them running.
_HISTORY = """
    CREATE TEMPORARY TABLE history AS
        SELECT n, gen_random_uuid() AS operation_id, (%(videos)s::uuid[])[n %% 40 + 1] AS video_id,
            (ARRAY['resize', 'convert', 'thumbnail', 'intake'])[n / 40 %% 4 + 1] AS type,
            CASE WHEN n = 1 THEN 'active' WHEN n / 160 %% 20 = 0 THEN 'failed' ELSE 'completed' END AS status,
            %(end)s::timestamptz - n * interval '365 days' / %(rows)s AS queued_at
        FROM generate_series(1, %(rows)s) n;
    INSERT INTO videos_operation (id, video_id, type, parameters, fingerprint, status, error_code,
            error_message, created_at, updated_at)
        SELECT operation_id, video_id, type, '{}', n::text, 'pending', '', '', now(), now() FROM history;
    INSERT INTO videos_output (id, operation_id, role, filename, content_type, size, sha256, verification,
            members, created_at)
        SELECT gen_random_uuid(), operation_id, 'video', 'a.mp4', 'video/mp4', 1000, '', '{}', '[]', now()
        FROM history WHERE status = 'completed';
    INSERT INTO jobs_job (id, owner_id, video_id, operation_id, type, priority, status, progress, attempt,
            max_attempts, error_code, error_message, log, queued_at, started_at, finished_at, duration_ms,
            cpu_seconds, seq)
        SELECT gen_random_uuid(), video.owner_id, video.id, operation_id, type, 5, history.status, 0, 1, 4,
            CASE history.status WHEN 'failed' THEN 'worker_lost' ELSE '' END, '', repeat('x', 1000),
            queued_at, queued_at, CASE history.status WHEN 'active' THEN NULL ELSE queued_at END,
            n * 37 %% 100000, 1, 1000
        FROM history JOIN videos_video video ON video.id = video_id;
    DROP TABLE history;
"""


@pytest.fixture
def videos(people: list[User]) -> list[Video]:
    found = [Video.objects.create(owner=owner, name="Holiday", size=1) for owner in people for _ in range(2)]
    ids = [video.id.removeprefix("vid_") for video in found]
    with connection.cursor() as cursor:
        cursor.execute(_HISTORY, {"videos": ids, "end": END, "rows": ROWS})
        # VACUUM marks pages as visible to all only once the commit that wrote them is flushed, which the
        # tests' server puts off; a commit that waits flushes the earlier ones too.
        cursor.execute("SET synchronous_commit = on")
        cursor.execute(f"ANALYZE {TABLES}")
        cursor.execute(f"VACUUM {TABLES}")
        cursor.execute("RESET synchronous_commit")
    return found


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from nodes(inner)


def plans_of(read: Callable[[], object]) -> list[dict[str, Any]]:
    """Every node of the plans of the queries that `read` makes."""
    with CaptureQueriesContext(connection) as queries:
        read()
    found: list[dict[str, Any]] = []
    for query in queries.captured_queries:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {query['sql']}")
            answer = cursor.fetchone()[0]
        (top,) = answer if isinstance(answer, list) else json.loads(answer)
        found += nodes(top["Plan"])
    return found


def indexes(plan: list[dict[str, Any]]) -> set[str]:
    return {node["Index Name"] for node in plan if "Index Name" in node}


def test_each_query_is_served_by_its_index(people: list[User], videos: list[Video]) -> None:
    own, everybody = Scope(people[3].id, WEEK), Scope(None, DAY)
    typed = Scope(people[3].id, WEEK, type="resize")
    of_video = Scope(videos[3].owner_id, video_id=videos[3].id)
    # The reads, the index on jobs that must serve them, and whether they must stay inside of it.
    cases: list[tuple[str, Callable[[Scope], object], Scope, str, bool]] = [
        ("figures", statistics.job_figures, own, "job_owner_queued", True),
        ("figures", statistics.job_figures, typed, "job_owner_queued", True),
        ("figures", statistics.job_figures, everybody, "job_queued", True),
        ("figures", statistics.job_figures, of_video, "jobs_job_video_id", False),
        ("by type", statistics.job_figures_by_type, own, "job_owner_queued", True),
        ("by type", statistics.job_figures_by_type, everybody, "job_queued", True),
        ("by type", statistics.job_figures_by_type, of_video, "jobs_job_video_id", False),
        ("timeline", _timeline, own, "job_owner_queued", True),
        ("timeline", _timeline, everybody, "job_queued", True),
        ("slow", _slow, own, "job_owner_slow", True),
        ("slow", _slow, everybody, "job_slow", True),
        ("failures", _failed, own, "job_owner_failed", True),
        ("failures", _failed, everybody, "job_failed_recent", True),
        # As cheap from job_owner_status, which has the type too: which one depends on the pages.
        ("active", statistics.jobs_active_count, own, "job_owner_", False),
        ("active", statistics.jobs_active_count, everybody, "job_owner_running", False),
    ]
    for name, read, scope, index, only in cases:
        plan = plans_of(lambda read=read, scope=scope: read(scope))  # type: ignore[misc]  # a lambda's defaults
        where = f"{name} of {scope}: {[(node['Node Type'], node.get('Index Name')) for node in plan]}"
        assert any(found.startswith(index) for found in indexes(plan)), where
        # The forty videos fit into one page, which is rightly read as a whole.
        scanned = {node["Relation Name"] for node in plan if node["Node Type"] == "Seq Scan"}
        assert scanned <= {"videos_video"}, where
        if only:
            on_jobs = [node for node in plan if node.get("Index Name") == index]
            assert {node["Node Type"] for node in on_jobs} == {"Index Only Scan"}, where


def _timeline(scope: Scope) -> object:
    return statistics.job_timeline(scope, days=2, today=(END - timedelta(days=1)).date())


def _slow(scope: Scope) -> object:
    return list(statistics.jobs_slow(scope, threshold_ms=60_000)[:50])


def _failed(scope: Scope) -> object:
    return list(statistics.jobs_failed(scope)[:50])
