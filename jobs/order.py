"""The order in which one owner's waiting jobs of a lane and priority are taken, by keys with gaps between
them.

A move gives the steps of one job a new key between those of its new neighbours and writes nothing else,
however long the queue is. Only where two neighbours have no key left between them, after some thirty moves to
the same spot, all keys of that owner, lane and priority are dealt out anew. Nobody else's job is touched by
either.

Each function expects the caller's transaction, the owner's lock of claims and the lock of the job's row.
"""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.db.models import QuerySet

from jobs.models import Job, Step
from users.ids import raw_id

GAP = 2**30
_LIVE = (Step.Status.QUEUED, Step.Status.PAUSED, Step.Status.BLOCKED)

_SPREAD = f"""
    WITH mine AS MATERIALIZED (
        SELECT id, rank, place FROM jobs_step s
        WHERE s.owner_id = %(owner)s AND s.lane = %(lane)s AND s.priority = %(priority)s
          AND s.status IN ('queued', 'paused', 'blocked')
        FOR NO KEY UPDATE
    ), dealt AS (
        SELECT id, (SELECT min(rank) FROM mine)
            + {GAP} * (dense_rank() OVER (ORDER BY rank) - 1) AS rank FROM mine
    )
    UPDATE jobs_step s SET rank = dealt.rank FROM dealt WHERE s.id = dealt.id AND s.rank <> dealt.rank
"""  # noqa: S608 - composed of constants


def lane_of(job: Job) -> str | None:
    """The lane in which the job waits: that of its first step that does."""
    waiting = Step.objects.filter(job=job, status=Step.Status.QUEUED).order_by("position")
    return waiting.values_list("lane", flat=True).first()


def to_the_front(job: Job) -> None:
    """Before all others of its owner, lane and priority."""
    heads = [
        _neighbours(job, lane).order_by("rank").values_list("rank", flat=True).first() for lane in Step.Lane
    ]
    known = [rank for rank in heads if rank is not None]
    if known:
        _set(job, min(known) - GAP)


def beside(job: Job, other: Job, *, lane: str, before: bool) -> None:
    """Next to another job of the same owner, lane and priority that waits."""
    rank = _between(job, other, lane=lane, before=before)
    if rank is None:
        with connection.cursor() as cursor:
            cursor.execute(_SPREAD, _class_of(job, lane))
        rank = _between(job, other, lane=lane, before=before)
    if rank is not None:
        _set(job, rank)


def neighbour(job: Job, *, lane: str, before: bool) -> str | None:
    """The id of the job that is taken next before or after this one; None at the end of the queue."""
    edge = _edge(job, lane, first=before)
    if edge is None:
        return None
    others = _neighbours(job, lane)
    found = (
        others.filter(rank__lt=edge).order_by("-rank", "-place")
        if before
        else others.filter(rank__gt=edge).order_by("rank", "place")
    )
    step = found.only("job_id").first()
    return None if step is None else step.job_id


def _between(job: Job, other: Job, *, lane: str, before: bool) -> int | None:
    """A free key on that side of the other job; None where there is none left."""
    edge = _edge(other, lane, first=before)
    if edge is None:
        return None
    others = _neighbours(job, lane)
    if before:
        beyond = others.filter(rank__lt=edge).order_by("-rank").values_list("rank", flat=True).first()
        return edge - GAP if beyond is None else _middle(beyond, edge)
    beyond = others.filter(rank__gt=edge).order_by("rank").values_list("rank", flat=True).first()
    return edge + GAP if beyond is None else _middle(edge, beyond)


def _middle(low: int, high: int) -> int | None:
    return (low + high) // 2 if high - low > 1 else None


def _edge(job: Job, lane: str, *, first: bool) -> int | None:
    """The key of the job's first or last step that waits in the lane."""
    waiting = Step.objects.filter(job=job, lane=lane, status=Step.Status.QUEUED)
    return waiting.order_by("rank" if first else "-rank").values_list("rank", flat=True).first()


def _neighbours(job: Job, lane: str) -> QuerySet[Step]:
    """Steps of the owner's other jobs that wait in the same line; index step_own_order."""
    same = Step.objects.filter(owner_id=job.owner_id, lane=lane, priority=job.priority)
    return same.filter(status=Step.Status.QUEUED).exclude(job=job)


def _set(job: Job, rank: int) -> None:
    Step.objects.filter(job=job, status__in=_LIVE).update(rank=rank)


def _class_of(job: Job, lane: str) -> dict[str, Any]:
    return {"owner": raw_id(job.owner_id), "lane": lane, "priority": job.priority}
