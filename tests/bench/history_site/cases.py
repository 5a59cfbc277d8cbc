"""What is measured: every list and every statistic, as a request through all of Django."""

from __future__ import annotations

from typing import NamedTuple

from tests.bench.history_site.fill import user_id, video_id

LIST_MS, STATISTIC_MS = 50.0, 100.0
# The busiest, one with much, one with some, one with little.
PEOPLE = (0, 20, 400, 1500)


class Case(NamedTuple):
    """`paths` are asked for in turn, each as the user of the same place in PEOPLE; staff ask for all.
    `{deep}` is the place of that user's 1000th job from the end, or of the last one."""

    name: str
    target: float
    paths: tuple[str, ...]
    staff: bool = False


def cases() -> list[Case]:
    """Every case, with users and videos that are there in both sizes."""
    return [*_lists(), *_admin_lists(), *_statistics()]


def _own(name: str, path: str, target: float = LIST_MS) -> Case:
    return Case(name, target, (path,) * len(PEOPLE))


def _all(name: str, path: str, target: float = LIST_MS) -> Case:
    return Case(name, target, (path,) * len(PEOPLE), staff=True)


def _lists() -> list[Case]:
    return [
        _own("API jobs", "/api/v1/jobs"),
        _own("API jobs, 200", "/api/v1/jobs?limit=200"),
        _own("API jobs, failed", "/api/v1/jobs?status=failed"),
        _own("API jobs, cancelled trims", "/api/v1/jobs?status=cancelled&type=trim"),
        _own("API videos", "/api/v1/videos"),
        _own("API videos, failed", "/api/v1/videos?status=failed"),
        *(
            _own(f"API videos, by {name}", f"/api/v1/videos?ordering={name}")
            for name in ("created_at", "name", "-size", "-duration")
        ),
        _own("API videos, search", "/api/v1/videos?search=holiday%20777"),
        _own("API account", "/api/v1/me"),
        _own("API videos, counted", "/api/v1/videos/counts"),
        _own("API slow jobs", "/api/v1/stats/jobs/slow"),
        _own("API slow jobs, over an hour", "/api/v1/stats/jobs/slow?threshold_ms=3600000"),
        _own("API failures", "/api/v1/stats/jobs/failures"),
        _all("API slow jobs of all", "/api/v1/stats/jobs/slow?scope=all"),
        _all("API slow jobs of all, over a day", "/api/v1/stats/jobs/slow?scope=all&threshold_ms=86400000"),
        _all("API failures of all", "/api/v1/stats/jobs/failures?scope=all"),
        _all("API failures of all, watermarks", "/api/v1/stats/jobs/failures?scope=all&type=watermark"),
        _own("page jobs", "/jobs/"),
        _own("page jobs, failed", "/jobs/?status=failed"),
        _own("page jobs, 40th", "/jobs/?after={deep}"),
        _own("page library", "/videos/"),
        _own("page library, search", "/videos/?q=holiday+777"),
        _own("page library, search, a common word", "/videos/?q=holiday"),
        _own("page library, search, by name", "/videos/?q=777&sort=name"),
        _own("page library, search, nothing", "/videos/?q=holiday+mountains"),
        _own("page library, failed", "/videos/?status=failed"),
        *(
            _own(f"page library, {sort}", f"/videos/?sort={sort}")
            for sort in ("oldest", "name", "largest", "longest")
        ),
        _own("page start", "/"),
    ]


# Searches of the admin: rare and busy users, an address, an id; the beginning of few and of all videos.
_WHOSE = ("q=user1500", "q=user1", "q=user20%40example.org", f"q=usr_{user_id(400)}")
_NAMED = ("q=Holiday+7777", "q=holi")


def _admin(place: str, *queries: str) -> list[Case]:
    address = f"/admin/{place}/"
    name = f"admin {place.partition('/')[2]}s"
    return [_all(name, address), *(_all(f"{name}, {query}", f"{address}?{query}") for query in queries)]


def _admin_lists() -> list[Case]:
    return [
        _all("admin index", "/admin/"),
        *_admin(
            "jobs/job",
            "status__exact=failed",
            "status__exact=completed",
            "status__exact=paused",
            "type=trim",
            "status__exact=cancelled&type=trim",
            "error=worker_lost",
            "queued_at__gte={from_366}",
            "queued_at__gte={from_1}",
            *_WHOSE,
            *_NAMED,
        ),
        *_admin("videos/video", "status__exact=failed", "deleted_at__isempty=0", *_WHOSE, *_NAMED),
        *_admin("videos/operation", "status__exact=failed", *_NAMED),
        *_admin("videos/output", *_NAMED),
        *_admin("videos/upload", *_WHOSE),
        *_admin("users/user", "tier__name__exact=free", "is_active__exact=0", *_WHOSE),
        _all("admin log", "/admin/admin/logentry/"),
        _all("admin page of a user", f"/admin/users/user/usr_{user_id(0)}/change/", STATISTIC_MS),
    ]


def _statistics() -> list[Case]:
    year = "from={from_366}"
    return [
        _own("what somebody has", "/api/v1/me/statistics", STATISTIC_MS),
        _own("own figures, 30 days", "/api/v1/stats/jobs", STATISTIC_MS),
        _own("own figures, 366 days", f"/api/v1/stats/jobs?{year}", STATISTIC_MS),
        _own("own by type, 30 days", "/api/v1/stats/jobs/by-type", STATISTIC_MS),
        _own("own by type, 366 days", f"/api/v1/stats/jobs/by-type?{year}", STATISTIC_MS),
        _own("own timeline, 30 days", "/api/v1/stats/jobs/timeline", STATISTIC_MS),
        _own("own timeline, 366 days", "/api/v1/stats/jobs/timeline?days=366", STATISTIC_MS),
        _own("own trims, 366 days", f"/api/v1/stats/jobs?type=trim&{year}", STATISTIC_MS),
        _all("all figures, 1 day", "/api/v1/stats/jobs?scope=all&from={from_1}", STATISTIC_MS),
        _all("all figures, 30 days", "/api/v1/stats/jobs?scope=all", STATISTIC_MS),
        _all("all figures, 366 days", f"/api/v1/stats/jobs?scope=all&{year}", STATISTIC_MS),
        _all("all by type, 30 days", "/api/v1/stats/jobs/by-type?scope=all", STATISTIC_MS),
        _all("all by type, 366 days", f"/api/v1/stats/jobs/by-type?scope=all&{year}", STATISTIC_MS),
        _all("all timeline, 30 days", "/api/v1/stats/jobs/timeline?scope=all", STATISTIC_MS),
        _all("all timeline, 366 days", "/api/v1/stats/jobs/timeline?scope=all&days=366", STATISTIC_MS),
        _all("all trims, 366 days", f"/api/v1/stats/jobs?scope=all&type=trim&{year}", STATISTIC_MS),
        _all("one user, 366 days", f"/api/v1/stats/jobs?user=usr_{user_id(0)}&{year}", STATISTIC_MS),
        Case(
            "one video",
            STATISTIC_MS,
            tuple(f"/api/v1/stats/videos/vid_{video_id(number)}?scope=all" for number in range(4)),
            staff=True,
        ),
        _own("page statistics", "/statistics/", STATISTIC_MS),
        _all("page statistics of all", "/statistics/?scope=all", STATISTIC_MS),
        _all("live numbers of all", "/statistics/live/?scope=all", LIST_MS),
    ]
