"""Who works on what: claims of steps, and the leases that hold them.

A claim takes the best step of a lane in PostgreSQL; see docs/jobs.md for the order and the limits. The
lease it grants is short and carries a fresh token. Everything a worker writes later names that token, so
a worker that lost its lease, for whatever reason, changes nothing any more.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction

from jobs.models import SEQ_STRIDE, Job, Step
from jobs.publish import publish_on_commit
from telemetry.metrics import CLAIM_LATENCY
from users.ids import raw_id
from videos.models import Operation
from videos.services.operations import operation_status_set

LEASE = timedelta(seconds=30)
# How often a claim looks again where another transaction was faster.
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Claim:
    """A step in the hands of this worker. `job` is its row as of the claim.

    `waited` is how long the first claim of a job's first step took to come, None for all others.
    """

    step_id: int
    position: int
    attempt: int
    token: UUID
    job: Job
    kind: str = ""
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


# A step may be claimed when its job waits or runs, its next try is due, its video is not in the trash and
# the steps it needs are done. Scalar subqueries on purpose: PostgreSQL cannot turn them into joins, so it
# walks the index in the order asked for and stops at the first step that passes.
_READY = """
    (SELECT j.status IN ('queued', 'active') AND (j.run_after IS NULL OR j.run_after <= statement_timestamp())
        AND (SELECT v.deleted_at IS NULL FROM videos_video v WHERE v.id = j.video_id)
     FROM jobs_job j WHERE j.id = s.job_id)
    AND (s.needs = '{}' OR (
        SELECT bool_and(n.status = 'done') FROM jobs_step n
        WHERE n.job_id = s.job_id AND n.position = ANY(s.needs)))
"""

# The best step of the owner `o` in a lane. Below the cap that is any step; at the cap only steps of jobs
# that run already, and intake, which nobody waits in line for. Each arm reads the head of an index, so
# neither a long queue nor an owner at the cap makes a claim slow.
_BEST_OF_OWNER = f"""
    SELECT arm.id, arm.priority, arm.place FROM (
        (SELECT s.id, s.priority, s.place FROM jobs_step s
         WHERE o.running < o.cap AND s.lane = %(lane)s AND s.status = 'queued'
           AND s.owner_id = o.owner_id AND {_READY}
         ORDER BY s.priority, s.place LIMIT 1)
        UNION ALL
        (SELECT s.id, s.priority, s.place FROM jobs_job r JOIN jobs_step s ON s.job_id = r.id
         WHERE o.running >= o.cap AND r.owner_id = o.owner_id AND r.status = 'active' AND r.type <> 'intake'
           AND s.lane = %(lane)s AND s.status = 'queued' AND {_READY}
         ORDER BY s.priority, s.place LIMIT 1)
        UNION ALL
        (SELECT s.id, s.priority, s.place FROM jobs_step s
         WHERE o.running >= o.cap AND s.lane = %(lane)s AND s.status = 'queued' AND s.kind = 'intake'
           AND s.owner_id = o.owner_id AND {_READY}
         ORDER BY s.priority, s.place LIMIT 1)
    ) arm ORDER BY arm.priority, arm.place LIMIT 1
"""  # noqa: S608 - composed of constants

# Whether an administrator has drained the lane, or the site. PostgreSQL asks once for each statement.
_OPEN = """
    NOT EXISTS (SELECT 1 FROM jobs_sitesettings c WHERE c.drained
        OR CASE %(lane)s WHEN 'short' THEN c.drained_short ELSE c.drained_encode END)
"""

# `surplus` are steps that run beside another one of their job: who has fewer of them goes first, so the
# segments of one long encode do not keep every worker while others wait.
# A paused job counts as long as a worker holds it still: it takes a place and memory there, and whoever
# could pause it out of the cap could fill every worker. Again a scalar subquery: it must begin with the steps
# that are held, never with all paused jobs. Nothing starts for an account that is suspended.
_OWNER = """
    SELECT u.id AS owner_id, COALESCE(u.concurrent_jobs_override, t.concurrent_jobs) AS cap, (
        SELECT count(*) FROM jobs_job r WHERE r.owner_id = u.id AND r.status = 'active' AND r.type <> 'intake'
    ) + (
        SELECT count(DISTINCT s.job_id) FROM jobs_step s
        WHERE s.owner_id = u.id AND s.status = 'active'
          AND (SELECT r.status = 'paused' FROM jobs_job r WHERE r.id = s.job_id)
    ) AS running, (
        SELECT count(*) - count(DISTINCT s.job_id) FROM jobs_step s
        WHERE s.owner_id = u.id AND s.status = 'active'
    ) AS surplus
    FROM users_user u JOIN users_tier t ON t.name = u.tier_id AND u.is_active
"""

# Owners who have something claimable in a lane, the best step first. The recursion hops from owner to
# owner through the index instead of reading every queued step.
_OWNERS = f"""
    WITH RECURSIVE waiting(owner_id) AS (
        (SELECT owner_id FROM jobs_step WHERE lane = %(lane)s AND status = 'queued' AND {_OPEN}
         ORDER BY owner_id LIMIT 1)
        UNION ALL
        SELECT (SELECT s.owner_id FROM jobs_step s
                WHERE s.lane = %(lane)s AND s.status = 'queued' AND s.owner_id > w.owner_id
                ORDER BY s.owner_id LIMIT 1)
        FROM waiting w WHERE w.owner_id IS NOT NULL
    )
    SELECT o.owner_id
    FROM waiting w
    JOIN ({_OWNER}) o ON o.owner_id = w.owner_id
    CROSS JOIN LATERAL ({_BEST_OF_OWNER}) best
    ORDER BY best.priority, o.surplus, best.place
    LIMIT %(limit)s
"""  # noqa: S608 - composed of constants

_TAKE = f"""
    WITH best AS MATERIALIZED (
        SELECT found.id FROM ({_OWNER} WHERE u.id = %(owner)s AND {_OPEN}) o
        CROSS JOIN LATERAL ({_BEST_OF_OWNER}) found
    ), locked AS MATERIALIZED (
        SELECT s.id FROM best JOIN jobs_step s ON s.id = best.id JOIN jobs_job j ON j.id = s.job_id
        WHERE s.status = 'queued' AND j.status IN ('queued', 'active')
        FOR NO KEY UPDATE OF j, s SKIP LOCKED
    ), step AS (
        UPDATE jobs_step SET status = 'active', attempt = attempt + 1, worker = %(worker)s,
            lease_until = statement_timestamp() + %(lease)s * interval '1 second',
            lease_token = gen_random_uuid(),
            started_at = statement_timestamp()
        FROM locked WHERE jobs_step.id = locked.id
        RETURNING jobs_step.id, jobs_step.position, jobs_step.attempt, jobs_step.lease_token,
            jobs_step.job_id, jobs_step.kind, jobs_step.started_at AS claimed_at,
            jobs_step.needs = '{{}}' AS is_first
    ), job AS (
        UPDATE jobs_job SET status = 'active', started_at = COALESCE(started_at, statement_timestamp()),
            attempt = GREATEST(jobs_job.attempt, step.attempt), run_after = NULL,
            error_code = '', error_message = '', seq = seq + %(stride)s
        FROM step WHERE jobs_job.id = step.job_id
    )
    SELECT id, position, attempt, lease_token, job_id, kind, claimed_at, is_first FROM step
"""  # noqa: S608 - composed of constants


def step_claim(*, lane: str, worker: str) -> Claim | None:
    """Takes the best claimable step of the lane, or returns None where there is none.

    The owners' caps hold under concurrent claims, because claims of one owner wait for each other.
    """
    for _ in range(ATTEMPTS):
        owners = _owners_waiting(lane, limit=1)
        if not owners:
            return None
        if claim := _claim_of(owners[0], lane=lane, worker=worker):
            return claim
        # Another worker was faster, or somebody holds the row for a moment: the next look is fresh.
    return None


def lanes_claimable() -> list[str]:
    """The lanes in which a worker would find something now."""
    return [lane for lane in Step.Lane.values if _owners_waiting(lane, limit=1)]


def _owners_waiting(lane: str, *, limit: int) -> list[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(_OWNERS, {"lane": lane, "limit": limit})
        return [owner for (owner,) in cursor.fetchall()]


# Any number of claims share this lock; a change of the site's settings has it alone.
_CLAIMS = 0x63_6C_61_69_6D_73

_LOCK_OWNER = f"""
    SELECT pg_advisory_xact_lock_shared({_CLAIMS}),
        pg_advisory_xact_lock(hashtextextended('claims of ' || %s, 0))
"""


def claims_of_owner_lock(owner: UUID) -> None:
    """Until the end of the transaction nobody claims a step of this owner."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_OWNER, [str(owner)])


def claims_stop() -> None:
    """Waits for the claims under way; until the end of the transaction nobody claims anything."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_CLAIMS])


@transaction.atomic
def _claim_of(owner: UUID, *, lane: str, worker: str) -> Claim | None:
    # A statement of its own: the next one must see what those before it in line have committed.
    claims_of_owner_lock(owner)
    with connection.cursor() as cursor:
        cursor.execute(
            _TAKE,
            {
                "owner": owner,
                "lane": lane,
                "worker": worker,
                "lease": LEASE.total_seconds(),
                "stride": SEQ_STRIDE,
            },
        )
        row = cursor.fetchone()
    if row is None:
        return None
    step_id, position, attempt, token, job_id, kind, claimed_at, is_first = row
    job = Job.objects.select_related("video", "operation").get(id=job_id)
    if job.operation is not None and job.operation.status != Operation.Status.PROCESSING:
        operation_status_set(operation_id=job.operation.id, status=Operation.Status.PROCESSING)
    publish_on_commit("job.started", job)
    waited = claimed_at - job.queued_at if is_first and attempt == 1 else None
    if waited is not None:
        seconds = waited.total_seconds()
        transaction.on_commit(lambda: CLAIM_LATENCY.observe(seconds, lane=lane), robust=True)
    return Claim(
        step_id=step_id, position=position, attempt=attempt, token=token, job=job, kind=kind, waited=waited
    )


class Lease(Enum):
    """What a worker learns when it looks at its lease."""

    HELD = "held"
    PAUSED = "held, and the work shall stand still"
    LOST = "lost: cancelled, taken over, or the video was deleted"


_HELD = """
    s.id = %(step)s AND s.lease_token = %(token)s AND s.status = 'active'
    AND NOT EXISTS (
        SELECT 1 FROM jobs_job j JOIN videos_video v ON v.id = j.video_id
        WHERE j.id = s.job_id AND v.deleted_at IS NOT NULL
    )
"""

_PAUSED = "(SELECT j.status = 'paused' FROM jobs_job j WHERE j.id = s.job_id)"

_RENEW = f"""
    UPDATE jobs_step s SET lease_until = statement_timestamp() + %(lease)s * interval '1 second'
    WHERE {_HELD} RETURNING {_PAUSED}
"""  # noqa: S608 - composed of constants

_LOOK = f"SELECT {_PAUSED} FROM jobs_step s WHERE {_HELD}"  # noqa: S608 - composed of constants

# The job's row is locked first, as everywhere. The figures of its other steps are those of a moment ago, so
# that of the whole job is kept from falling.
_PROGRESS = f"""
    WITH job AS MATERIALIZED (
        SELECT id FROM jobs_job WHERE id = %(job)s AND status = 'active' FOR NO KEY UPDATE
    ), mine AS (
        UPDATE jobs_step s SET fraction = %(per_cent)s / 100.0, pace = %(speed)s::float8 * %(pace)s
        FROM job WHERE {_HELD} RETURNING s.weight, s.fraction, s.pace
    ), others AS (
        SELECT count(*) AS steps, COALESCE(sum(o.weight), 0) AS weight,
            COALESCE(sum(o.weight * o.fraction), 0) AS done, COALESCE(sum(o.pace), 0) AS pace
        FROM jobs_step o WHERE o.job_id = %(job)s AND o.id <> %(step)s
    ), whole AS (
        SELECT others.steps = 0 AS alone, others.weight + mine.weight AS weight,
            others.done + mine.weight * mine.fraction AS done,
            NULLIF(others.pace + COALESCE(mine.pace, 0), 0) AS pace,
            GREATEST(0, others.weight + mine.weight - others.done - mine.weight * mine.fraction)
                / NULLIF(others.pace + COALESCE(mine.pace, 0), 0) AS seconds_left
        FROM mine, others
    )
    UPDATE jobs_job SET
        progress = GREATEST(progress, LEAST(100, 100 * whole.done / whole.weight)),
        speed = CASE WHEN whole.alone THEN %(speed)s::float8 ELSE whole.pace END,
        eta_seconds = CASE WHEN whole.alone THEN %(eta)s::float8 ELSE whole.seconds_left END,
        eta_low = CASE WHEN whole.alone THEN %(low)s::float8 ELSE whole.seconds_left / 1.4 END,
        eta_high = CASE WHEN whole.alone THEN %(high)s::float8 ELSE whole.seconds_left * 1.4 END,
        eta_at = statement_timestamp(),
        seq = seq + %(stride)s
    FROM whole WHERE jobs_job.id = %(job)s
    RETURNING seq, progress, speed, eta_seconds
"""  # noqa: S608 - composed of constants


def lease_renew(claim: Claim) -> Lease:
    """Extends the lease, also that of a paused job, unless it is lost."""
    return _lease(_fetch(claim, _RENEW, {}))


def lease_look(claim: Claim) -> Lease:
    """Whether the lease is still this worker's; writes nothing."""
    return _lease(_fetch(claim, _LOOK, {}))


def _lease(row: tuple[Any, ...] | None) -> Lease:
    if row is None:
        return Lease.LOST
    return Lease.PAUSED if row[0] else Lease.HELD


class Written(NamedTuple):
    """The progress of the whole job as its row has it now."""

    seq: int
    per_cent: float
    speed: float | None
    eta_seconds: float | None


def progress_write(
    claim: Claim,
    *,
    per_cent: float,
    speed: float | None,
    eta_seconds: float | None,
    eta_range: tuple[float, float] | None = None,
) -> Written | None:
    """Writes the progress of the step and, with it, of its job; None: look at the lease then."""
    parameters = {
        "per_cent": per_cent,
        "speed": speed,
        "eta": eta_seconds,
        "low": None if eta_range is None else eta_range[0],
        "high": None if eta_range is None else eta_range[1],
        "pace": claim.pace,
        "stride": SEQ_STRIDE,
    }
    row = _fetch(claim, _PROGRESS, parameters)
    return None if row is None else Written(*row)


def _fetch(claim: Claim, sql: str, parameters: dict[str, Any]) -> tuple[Any, ...] | None:
    common: dict[str, Any] = {
        "step": claim.step_id,
        "token": claim.token,
        "job": raw_id(claim.job.id),
        "lease": LEASE.total_seconds(),
    }
    with connection.cursor() as cursor:
        cursor.execute(sql, {**common, **parameters})
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row
