"""Who works on what: claims of steps.

A claim takes the best step of a lane in PostgreSQL; see docs/jobs.md for the order and the limits. The
lease it grants is short and carries a fresh token. Everything a worker writes later names that token, so
a worker that lost its lease, for whatever reason, changes nothing any more.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Now

from engine.segments import Machine
from jobs.claim_sql import OWNERS, TAKE
from jobs.models import SEQ_STRIDE, Job, Step
from jobs.publish import publish_on_commit
from telemetry.metrics import CLAIM_LATENCY
from videos.models import Operation
from videos.services.operations import operation_status_set

LEASE = timedelta(seconds=30)
# How often a claim looks again where another transaction was faster.
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Claim:
    """A step in the hands of this worker. `job` is its row as of the claim.

    `waited` is how long the first claim of a job's first step took to come, None for all others. `threads` is
    its share of the processor.
    """

    step_id: int
    position: int
    attempt: int
    token: UUID
    job: Job
    kind: str = ""
    threads: int = 1
    waited: timedelta | None = None

    @property
    def is_alone(self) -> bool:
        """Whether the job has no other steps."""
        return len(self._steps()) <= 1

    @property
    def pace(self) -> float:
        """How much of the job's weight one second of media stands for."""
        step = next((step for step in self._steps() if step["position"] == self.position), {})
        seconds = sum(run["expected_duration"] for run in step.get("runs", ()))
        return float(step.get("weight", 1.0) / (seconds or 1.0))

    def _steps(self) -> list[dict[str, Any]]:
        return list((self.job.plan or {}).get("steps", ()))


def worker_name() -> str:
    """This process on this machine, as noted in the rows it claims."""
    return f"{socket.gethostname()[:80]}/{os.getpid()}"


def machine_of(worker: str) -> str:
    """How the names of all workers on the same machine begin."""
    return f"{worker.rpartition('/')[0]}/"


def step_claim(*, lane: str, worker: str, machine: Machine | None = None) -> Claim | None:
    """Takes the best claimable step of the lane, or returns None where there is none.

    Limits hold under concurrent claims: claims of one owner wait for each other, and so do those of all where
    a limit is for all. With `machine`, the encodes of the workers there share its processor, and none is
    claimed while all of it is in use.
    """
    gone: list[str] = []
    for _ in range(ATTEMPTS):
        place = _Place(lane, worker, machine, gone)
        owners = _owners_waiting(place, limit=1 if machine is None else machine.cores)
        if not owners:
            lost = _workers_gone(place)
            if not set(lost) - set(gone):
                return None
            # What they held runs no more: it is not known elsewhere until their leases run out.
            gone = lost
        elif claim := _claim_of(owners[0], place, startable=sum(one.startable or 1 for one in owners)):
            return claim
        # Another worker was faster, or somebody holds the row for a moment: the next look is fresh.
    return None


def lanes_claimable() -> list[str]:
    """The lanes in which a worker with nothing to do would find something now."""
    return [lane for lane in Step.Lane.values if _owners_waiting(_Place(lane, "", None, []), limit=1)]


class _Place(NamedTuple):
    """Where a claim would run. `gone` are workers of the same machine that are known to have died."""

    lane: str
    worker: str
    machine: Machine | None
    gone: list[str]

    @property
    def host(self) -> str:
        return self.worker.rpartition("/")[0] + "/"

    @property
    def parameters(self) -> dict[str, Any]:
        return {
            "lane": self.lane,
            "machine": self.host,
            "cores": None if self.machine is None else self.machine.cores,
            "slots": None if self.machine is None else self.machine.slots,
            "gone": self.gone,
        }


class _OwnerWaiting(NamedTuple):
    """`startable` is how many steps could start now, where a machine is shared; `limited` whether a limit for
    all accounts together exists."""

    owner: UUID
    priority: int
    types: list[str]
    startable: int | None
    limited: bool


def _owners_waiting(place: _Place, *, limit: int) -> list[_OwnerWaiting]:
    with connection.cursor() as cursor:
        cursor.execute(OWNERS, {**place.parameters, "limit": limit})
        return [_OwnerWaiting(*row) for row in cursor.fetchall()]


def _workers_gone(place: _Place) -> list[str]:
    """Workers of this machine that hold encodes and whose processes are not there any more."""
    if place.machine is None or place.lane != Step.Lane.ENCODE:
        return []
    held = Step.objects.filter(status=Step.Status.ACTIVE, lane=Step.Lane.ENCODE, lease_until__gt=Now())
    names = held.filter(worker__startswith=place.host).values_list("worker", flat=True)
    return [name for name in set(names) if not Path("/proc", name.rpartition("/")[2]).exists()]


# Any number of claims share this lock; a change of the site's settings has it alone.
_CLAIMS = 0x63_6C_61_69_6D_73
# Claims where a limit for all accounts together exists.
_LIMITED = _CLAIMS + 1

# In this order, those that most claims wait for last. A claim that needs none of the last two takes the lock
# of its owner again, which it has.
_LOCK = f"""
    SELECT pg_advisory_xact_lock_shared({_CLAIMS}),
        pg_advisory_xact_lock(hashtextextended('claims of ' || %(owner)s, 0)),
        pg_advisory_xact_lock(hashtextextended('claims ' || %(by)s, 0)),
        CASE WHEN %(limited)s THEN pg_advisory_xact_lock({_LIMITED}) END
"""


def claims_of_owner_lock(owner: UUID) -> None:
    """Until the end of the transaction nobody claims a step of this owner."""
    _lock(owner, by=f"of {owner}", limited=False)


def claims_stop() -> None:
    """Waits for the claims under way; until the end of the transaction nobody claims anything."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_CLAIMS])


def _lock(owner: UUID, *, by: str, limited: bool) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, {"owner": str(owner), "by": by, "limited": limited})


@transaction.atomic
def _claim_of(waiting: _OwnerWaiting, place: _Place, *, startable: int) -> Claim | None:
    # A statement of its own: the next one must see what those before it in line have committed.
    shared = place.machine is not None and place.lane == Step.Lane.ENCODE
    by = f"on {place.host}" if shared else f"of {waiting.owner}"
    _lock(waiting.owner, by=by, limited=waiting.limited)
    with connection.cursor() as cursor:
        cursor.execute(
            TAKE,
            {
                **place.parameters,
                "owner": waiting.owner,
                "priority": waiting.priority,
                "types": waiting.types,
                "worker": place.worker,
                "startable": startable,
                "limits_locked": waiting.limited,
                "lease": LEASE.total_seconds(),
                "stride": SEQ_STRIDE,
            },
        )
        row = cursor.fetchone()
    if row is None:
        return None
    step_id, position, attempt, token, job_id, kind, threads, claimed_at, is_first = row
    job = Job.objects.select_related("video", "operation").get(id=job_id)
    if job.operation is not None and job.operation.status != Operation.Status.PROCESSING:
        operation_status_set(operation_id=job.operation.id, status=Operation.Status.PROCESSING)
    publish_on_commit("job.started", job)
    waited = claimed_at - job.queued_at if is_first and attempt == 1 else None
    if waited is not None:
        seconds = waited.total_seconds()
        transaction.on_commit(lambda: CLAIM_LATENCY.observe(seconds, lane=place.lane), robust=True)
    return Claim(
        step_id=step_id,
        position=position,
        attempt=attempt,
        token=token,
        job=job,
        kind=kind,
        threads=threads,
        waited=waited,
    )
