"""What waits and what runs at this moment, in all lanes and of one owner."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.db.models import Count, Q

from jobs import dispatch
from jobs.models import Job, Step
from users.models import Priority, User


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
    """All lanes. Served by `step_order` and `step_leased`, which hold waiting and running steps alone."""
    waiting = _per_lane(Step.Status.QUEUED)
    running = _per_lane(Step.Status.ACTIVE)
    workers = dispatch.workers_alive()
    return [
        LaneNow(
            lane,
            waiting.get(lane, 0),
            running.get(lane, 0),
            _oldest(lane),
            None if workers is None else workers.get(lane, 0),
        )
        for lane in Step.Lane
    ]


def own_now(viewer: User) -> OwnNow:
    """The viewer's live jobs. Served by `job_owner_live`."""
    counts = Job.objects.filter(owner=viewer, finished_at=None).aggregate(
        **{status: Count("pk", filter=Q(status=status)) for status in Job.LIVE}
    )
    return OwnNow(counts["active"], counts["queued"], counts["paused"])


def _per_lane(status: Step.Status) -> dict[str, int]:
    steps = Step.objects.filter(status=status).order_by()
    return dict(steps.values_list("lane").annotate(number=Count("pk")).values_list("lane", "number"))


def _oldest(lane: Step.Lane) -> datetime | None:
    """By the places in the queue, first of each priority: one row each. A bump deals places out among the
    jobs of one owner, so for them it may be another of theirs."""
    firsts = []
    for priority in Priority.values:
        waiting = Step.objects.filter(lane=lane, priority=priority, status=Step.Status.QUEUED)
        firsts.append(waiting.order_by("place").values_list("job__queued_at", flat=True).first())
    return min((moment for moment in firsts if moment is not None), default=None)
