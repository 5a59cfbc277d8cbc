"""The statistics over HTTP: shapes, filters, who sees what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from jobs.models import Job
from jobs.statistics_serializers import (
    FailedJobSerializer,
    JobStatisticsSerializer,
    OwnedJobSerializer,
    TimelineSerializer,
    TypeStatisticsSerializer,
    VideoStatisticsSerializer,
)
from tests.conftest import client_of
from tests.jobs.history import JobSpec, history_make
from tests.jobs.test_api import get, pointers
from users.ids import public_id_new
from users.models import User
from videos.models import Video

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
MARCH = {"from": "2026-03-01", "to": "2026-03-02"}
WITH_PERIOD = ["stats/jobs", "stats/jobs/by-type", "stats/jobs/slow", "stats/jobs/failures"]
PATHS = [*WITH_PERIOD, "stats/jobs/timeline"]


@pytest.fixture
def carols_client(carol: User) -> APIClient:
    return client_of(carol)


@pytest.fixture
def videos(alice: User, bob: User) -> list[Video]:
    """Alice: three resizes (one failed), a convert that runs, an inspection. Bob: one slow resize."""
    return history_make(
        [alice, bob],
        [
            JobSpec(queued_at=NOW - 3 * HOUR, duration_ms=1000, outputs=(500,), attempt=3),
            JobSpec(queued_at=NOW - 2 * HOUR, duration_ms=70_000, outputs=(300, 200)),
            JobSpec(queued_at=NOW - HOUR, status="failed", log="first\nlast\n", duration_ms=5),
            JobSpec(queued_at=NOW - HOUR, type="convert", status="active", video=1),
            JobSpec(queued_at=NOW - HOUR, type="intake"),
            JobSpec(queued_at=NOW - HOUR, owner=1, duration_ms=90_000, outputs=(7,)),
        ],
    )


def keys(serializer: Any) -> set[str]:
    return set(serializer().fields)


def test_all_figures(alices_client: APIClient, alice: User, videos: list[Video]) -> None:
    answer = get(alices_client, "stats/jobs").json()

    assert set(answer) == keys(JobStatisticsSerializer)
    assert answer["by_status"] == {
        "queued": 0, "active": 1, "paused": 0, "completed": 2, "failed": 1, "cancelled": 0
    }  # fmt: skip
    assert (answer["total"], answer["active_now"], answer["retries"]) == (4, 1, 2)
    assert (answer["success_rate"], answer["output_bytes"], answer["cpu_seconds"]) == (0.667, 1000, 4.0)
    assert answer["duration_ms"] == {
        "average": 35_500, "minimum": 1000, "maximum": 70_000, "p50": 35_500, "p95": 66_550
    }  # fmt: skip
    assert answer["queue_ms"]["p50"] == 1000
    assert answer["scope"]["user"] == alice.id
    assert (answer["scope"]["type"], answer["scope"]["video"]) == (None, None)
    period = [datetime.fromisoformat(answer["scope"][name]) for name in ("from", "to")]
    assert period[1] - period[0] == timedelta(days=30)


def test_by_type(alices_client: APIClient, videos: list[Video]) -> None:
    answer = get(alices_client, "stats/jobs/by-type").json()

    assert set(answer) == keys(TypeStatisticsSerializer)
    assert [(one["type"], one["total"]) for one in answer["types"]] == [("resize", 3), ("convert", 1)]
    assert answer["types"][0]["output_bytes"] == 1000
    assert answer["types"][1]["success_rate"] is None
    only = get(alices_client, "stats/jobs/by-type", type="intake").json()
    assert [one["type"] for one in only["types"]] == ["intake"]


def test_timeline(alices_client: APIClient, videos: list[Video]) -> None:
    answer = get(alices_client, "stats/jobs/timeline", days="3").json()

    assert set(answer) == keys(TimelineSerializer)
    assert len(answer["days"]) == 3
    assert sum(day["total"] for day in answer["days"]) == 4
    assert len(get(alices_client, "stats/jobs/timeline").json()["days"]) == 30


def test_slow_jobs_page_by_page(alices_client: APIClient, alice: User) -> None:
    # Two at the same moment: the cursor must not lose one of them.
    moments = [NOW - 3 * HOUR, NOW - 2 * HOUR, NOW - 2 * HOUR, NOW - HOUR]
    history_make([alice], [JobSpec(queued_at=moment, duration_ms=70_000) for moment in moments])
    expected = list(Job.objects.order_by("-queued_at", "-id").values_list("id", flat=True))

    found: list[str] = []
    answer = get(alices_client, "stats/jobs/slow", limit="1").json()
    while True:
        assert len(answer["data"]) == 1
        assert set(answer["data"][0]) == keys(OwnedJobSerializer)
        found.append(answer["data"][0]["id"])
        if answer["next"] is None:
            break
        answer = alices_client.get(answer["next"]).json()
    assert found == expected


def test_slow_means_over_the_threshold(alices_client: APIClient, videos: list[Video]) -> None:
    def durations(**query: str) -> list[int]:
        return [job["duration_ms"] for job in get(alices_client, "stats/jobs/slow", **query).json()["data"]]

    assert durations() == [70_000]
    assert durations(threshold_ms="999") == [70_000, 1000]
    assert durations(threshold_ms="1000") == [70_000]
    assert durations(threshold_ms="70000") == []


def test_failures(alices_client: APIClient, alice: User, videos: list[Video]) -> None:
    (job,) = get(alices_client, "stats/jobs/failures").json()["data"]

    assert set(job) == keys(FailedJobSerializer)
    assert (job["error"]["code"], job["error"]["message"]) == ("worker_lost", "The worker went away.")
    assert (job["log_tail"], job["user"]) == ("first\nlast", alice.id)
    assert get(alices_client, "stats/jobs/failures", **MARCH).json()["data"] == []


def test_one_video(alices_client: APIClient, videos: list[Video]) -> None:
    Job.objects.filter(video=videos[0]).update(queued_at=NOW - timedelta(days=4000))
    answer = get(alices_client, f"stats/videos/{videos[0].id}").json()

    assert set(answer) == keys(VideoStatisticsSerializer)
    assert (answer["total"], answer["output_bytes"], answer["active_now"]) == (3, 1000, 0)
    assert [one["type"] for one in answer["by_type"]] == ["resize"]
    assert answer["scope"]["video"] == videos[0].id
    assert (answer["scope"]["from"], answer["scope"]["to"]) == (None, None)
    narrowed = get(alices_client, "stats/jobs", video=videos[2].id).json()
    assert (narrowed["total"], narrowed["active_now"]) == (1, 1)


def test_a_strangers_video_is_not_there(
    bobs_client: APIClient, alices_client: APIClient, videos: list[Video]
) -> None:
    hers = videos[0]
    for path in PATHS:
        assert get(bobs_client, path, video=hers.id).status_code == 404
    assert get(bobs_client, f"stats/videos/{hers.id}").status_code == 404
    assert get(alices_client, "stats/videos/vid_0").status_code == 404
    assert get(alices_client, f"stats/videos/{public_id_new('vid')}").status_code == 404
    Video.objects.filter(pk=hers.pk).update(deleted_at=NOW)
    assert get(alices_client, f"stats/videos/{hers.id}").status_code == 404


@pytest.mark.parametrize("path", PATHS)
def test_only_staff_look_at_others(
    path: str, bobs_client: APIClient, carols_client: APIClient, alice: User, bob: User
) -> None:
    assert get(APIClient(), path).status_code == 401
    for query in ({"user": alice.id}, {"scope": "all"}):
        refused = get(bobs_client, path, **query)
        assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")
        assert get(carols_client, path, **query).status_code == 200
    assert get(bobs_client, path, user=bob.id).status_code == 200
    assert get(bobs_client, path, scope="own").status_code == 200
    assert get(carols_client, path, user=public_id_new("usr")).status_code == 404


def test_what_staff_see(carols_client: APIClient, bob: User, videos: list[Video]) -> None:
    def total(**query: str) -> int:
        return int(get(carols_client, "stats/jobs", **query).json()["total"])

    assert total() == 0
    assert total(user=bob.id) == 1
    assert total(scope="all") == 5
    assert total(scope="all", video=videos[1].id) == 1
    assert get(carols_client, "stats/jobs", scope="all").json()["scope"]["user"] is None
    assert get(carols_client, "stats/jobs", user=bob.id, video=videos[0].id).status_code == 404
    assert get(carols_client, f"stats/videos/{videos[0].id}", scope="all").json()["total"] == 3
    assert {job["user"] for job in get(carols_client, "stats/jobs/slow", scope="all").json()["data"]} == {
        video.owner_id for video in videos
    }


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"from": "yesterday"}, "/from"),
        ({"to": "2026-13-01"}, "/to"),
        ({"from": "2026-03-02", "to": "2026-03-02"}, "/from"),
        ({"from": "2025-03-01", "to": "2026-03-03"}, "/from"),
        ({"from": "2999-01-01"}, "/from"),
        ({"to": "1970-01-01"}, "/from"),
        ({"to": "0001-01-01T00:00:00+14:00"}, "/to"),
        ({"to": "9999-12-31T23:59:59-14:00"}, "/to"),
        ({"from": "0001-01-01"}, "/from"),
        ({"type": "resise"}, "/type"),
        ({"video": "vid_1"}, "/video"),
        ({"user": "alice"}, "/user"),
        ({"scope": "everything"}, "/scope"),
        ({"form": "2026-03-01"}, "/form"),
    ],
)
def test_wrong_filters_are_named(alices_client: APIClient, query: dict[str, str], pointer: str) -> None:
    for path in WITH_PERIOD:
        answer = get(alices_client, path, **query)
        assert answer.status_code == 400
        assert pointers(answer) == [pointer]


@pytest.mark.parametrize(
    ("path", "query", "pointer"),
    [
        ("stats/jobs/timeline", {"days": "0"}, "/days"),
        ("stats/jobs/timeline", {"days": "367"}, "/days"),
        ("stats/jobs/timeline", {"from": "2026-03-01"}, "/from"),
        ("stats/jobs/slow", {"threshold_ms": "-1"}, "/threshold_ms"),
        ("stats/jobs/slow", {"threshold_ms": "9" * 30}, "/threshold_ms"),
        ("stats/jobs", {"limit": "5"}, "/limit"),
        ("stats/jobs", {"threshold_ms": "5"}, "/threshold_ms"),
    ],
)
def test_wrong_numbers_are_named(
    alices_client: APIClient, path: str, query: dict[str, str], pointer: str
) -> None:
    answer = get(alices_client, path, **query)
    assert answer.status_code == 400
    assert pointers(answer) == [pointer]


def test_one_user_and_everybody_at_once_is_refused(carols_client: APIClient, bob: User) -> None:
    answer = get(carols_client, "stats/jobs", user=bob.id, scope="all")
    assert (answer.status_code, pointers(answer)) == (400, ["/user"])


def test_the_filters_of_a_video_s_statistics(alices_client: APIClient, videos: list[Video]) -> None:
    for query in ({"type": "resize"}, {"video": videos[0].id}, {"from": "2026-03-01"}):
        answer = get(alices_client, f"stats/videos/{videos[0].id}", **query)
        assert (answer.status_code, pointers(answer)) == (400, [f"/{next(iter(query))}"])


@pytest.mark.parametrize("path", PATHS)
def test_many_rows_need_no_more_queries_than_few(path: str, alices_client: APIClient, alice: User) -> None:
    get(alices_client, path)  # the first use of a token is noted, once a minute
    counts = []
    for number in (2, 40):
        specs = [
            JobSpec(queued_at=NOW - HOUR, status=status, duration_ms=70_000, video=place % 2)
            for place in range(number)
            for status in ("completed", "failed")
        ]
        history_make([alice], specs)
        with CaptureQueriesContext(connection) as queries:
            assert get(alices_client, path).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]
