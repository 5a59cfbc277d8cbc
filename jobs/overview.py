"""The site at a glance, for its administrators. Each query reads the part of an index that it is about, so
none grows with the history; where even that part may be long, the reading stops and says so."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min
from django.utils import timezone

from jobs.eta import queue_end
from jobs.eta_types import QueueEnd
from jobs.models import Job, Step
from users.models import Priority

FAILURES_PERIOD = timedelta(hours=24)
# The newest failures that are looked at; a site with more of them in a day has other worries.
FAILURES_MAX = 10_000
# The oldest step of a lane is among so many at the head of each priority: a bump moves few.
HEAD = 100


@dataclass(frozen=True, slots=True)
class LaneFigures:
    """Steps of one lane. `oldest` is when the job was asked for that has waited longest."""

    lane: str
    title: str
    queued: int
    running: int
    failed: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class Overview:
    """`failures` are the jobs of the last 24 hours by code, the most frequent first; `failures_at_limit`
    says that there were more than are looked at. `paused` are the jobs that people hold back. `end` is when
    all that waits and runs is expected to be done."""

    lanes: list[LaneFigures]
    failures: list[tuple[str, int]]
    failures_at_limit: bool
    paused: int
    end: QueueEnd

    @property
    def failed(self) -> int:
        return sum(number for _, number in self.failures)


def overview() -> Overview:
    """Queues, failures and what is held back; index job_failed_recent and those named below."""
    since = timezone.now() - FAILURES_PERIOD
    recent = Job.objects.filter(status=Job.Status.FAILED, finished_at__gte=since).order_by("-finished_at")
    failed = list(recent.values_list("pk", "error_code")[:FAILURES_MAX])
    return Overview(
        lanes=_lanes([job_id for job_id, _ in failed]),
        failures=Counter(code for _, code in failed).most_common(),
        failures_at_limit=len(failed) == FAILURES_MAX,
        # Index job_unsuccessful.
        paused=Job.objects.filter(status=Job.Status.PAUSED).count(),
        end=queue_end(),
    )


def _lanes(failed_jobs: list[Any]) -> list[LaneFigures]:
    queued, running = _per_lane(Step.Status.QUEUED), _per_lane(Step.Status.ACTIVE)
    # By the step that failed, found through its job; a job counts once in each lane.
    steps = Step.objects.filter(job__in=failed_jobs, status=Step.Status.FAILED).order_by()
    failed = dict(steps.values_list("lane").annotate(n=Count("job", distinct=True)))
    return [
        LaneFigures(
            lane=lane.value,
            title=str(lane.label),
            queued=queued.get(lane, 0),
            running=running.get(lane, 0),
            failed=failed.get(lane, 0),
            oldest=_oldest(lane) if lane in queued else None,
        )
        for lane in Step.Lane
    ]


def _per_lane(status: str) -> dict[str, int]:
    """Indexes step_order and step_leased."""
    return dict(Step.objects.filter(status=status).order_by().values_list("lane").annotate(n=Count("pk")))


def _oldest(lane: str) -> datetime | None:
    heads: list[int] = []
    for priority in Priority:
        waiting = Step.objects.filter(lane=lane, status=Step.Status.QUEUED, priority=priority)
        heads += waiting.order_by("place").values_list("pk", flat=True)[:HEAD]
    moment: datetime | None = Job.objects.filter(steps__in=heads).aggregate(oldest=Min("queued_at"))["oldest"]
    return moment
