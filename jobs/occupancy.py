"""What waits and what runs at this moment, in all lanes and of one owner."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Count, Q
from django.utils import timezone

from jobs import dispatch, queues
from jobs.models import Job, Step
from users.models import User


@dataclass(frozen=True, slots=True)
class LaneNow:
    """Steps of one lane. `oldest` is since when the first of those that wait was asked for. `workers` is
    None where the broker cannot be asked."""

    lane: Step.Lane
    waiting: int
    running: int
    oldest: datetime | None
    workers: int | None


class OwnNow(NamedTuple):
    """Live jobs of one owner, inspections of uploads included."""

    running: int
    waiting: int
    paused: int


def lanes_now() -> list[LaneNow]:
    """All lanes, as monitoring has them, and their workers."""
    now = timezone.now()
    workers = dispatch.workers_alive()
    return [
        LaneNow(
            Step.Lane(state.lane),
            state.waiting,
            state.running,
            now - timedelta(seconds=state.oldest_seconds) if state.oldest_seconds else None,
            None if workers is None else workers.get(state.lane, 0),
        )
        for state in queues.lanes_now()
    ]


def own_now(viewer: User) -> OwnNow:
    """The viewer's live jobs. Served by `job_owner_live`."""
    counts = Job.objects.filter(owner=viewer, finished_at=None).aggregate(
        **{status: Count("pk", filter=Q(status=status)) for status in Job.LIVE}
    )
    return OwnNow(counts["active"], counts["queued"], counts["paused"])
