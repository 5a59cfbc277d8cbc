"""The leases that hold claimed steps: how a worker keeps one, looks at it, and writes progress under it.

Everything here names the claim's token, so a worker that lost its lease, for whatever reason, changes nothing
any more.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple

from django.db import connection

from jobs.claiming import LEASE, Claim
from jobs.models import SEQ_STRIDE
from users.ids import raw_id


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
