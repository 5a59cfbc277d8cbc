"""How the lanes stand now, and who stands where in them. Every query here reads partial indexes of what waits
or runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from jobs.claim_sql import PLACES
from jobs.models import Step


@dataclass(frozen=True, slots=True)
class LaneState:
    """`oldest_seconds` is how long ago the oldest waiting job was asked for; 0 where nothing waits."""

    lane: str
    waiting: int
    running: int
    oldest_seconds: float


# Steps that wait for others of their job do not wait for a worker, so they are no sign of a queue.
_LANES = """
    SELECT lane.name,
        (SELECT count(*) FROM jobs_step s WHERE s.status = 'queued' AND s.lane = lane.name),
        (SELECT count(*) FROM jobs_step s WHERE s.status = 'active' AND s.lane = lane.name),
        (SELECT extract(epoch FROM statement_timestamp() - j.queued_at) FROM jobs_job j WHERE j.id = (
            SELECT s.job_id FROM jobs_step s
            WHERE s.status = 'queued' AND s.needs = '{}' AND s.lane = lane.name ORDER BY s.id LIMIT 1))
    FROM unnest(%s::text[]) AS lane(name)
"""


def lanes_now() -> list[LaneState]:
    """One state for each lane, in one statement."""
    with connection.cursor() as cursor:
        cursor.execute(_LANES, [list(Step.Lane.values)])
        rows = cursor.fetchall()
    return [
        LaneState(lane=lane, waiting=waiting, running=running, oldest_seconds=max(0.0, float(oldest or 0)))
        for lane, waiting, running, oldest in rows
    ]


def places(*, lane: str, steps: Sequence[int]) -> dict[int, int]:
    """Where those of the steps stand that wait in the lane, from 1, by their ids: how many steps are taken
    before each if all owners go on taking turns as they do now."""
    nowhere: dict[str, Any] = {"machine": "", "cores": None, "slots": None, "gone": []}
    with connection.cursor() as cursor:
        cursor.execute(PLACES, {"lane": lane, "steps": list(steps), **nowhere})
        return dict(cursor.fetchall())
