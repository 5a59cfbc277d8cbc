"""Every message a page can receive over `/ws/v1/events`, and the one form of a job that leaves this room.

Only shapes and their builders live here; `jobs/publish.py` sends them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NotRequired, TypedDict

from jobs.eta_live import Left
from jobs.eta_types import Estimate, Moments, QueueEnd
from jobs.models import Job
from problems import kind_for
from users.models import Priority

VERSION: Literal[1] = 1

JobEventType = Literal[
    "job.queued",
    "job.started",
    "job.progress",
    "job.retrying",
    "job.completed",
    "job.failed",
    "job.paused",
    "job.cancelled",
    "video.ready",
]


class JobFix(TypedDict):
    """An operation to ask for instead, on the same video, and what a button with it says."""

    type: str
    parameters: dict[str, Any]
    words: str


class JobError(TypedDict):
    """Why a job failed or waits for its next try."""

    code: str
    message: str
    hint: str
    retryable: bool
    fix: JobFix | None


HoldCode = Literal["drained", "retry", "working_hours", "own_limit", "operation_limit", "tier_limit"]


class HoldState(TypedDict):
    """Why a waiting job does not start although a worker may be free."""

    code: HoldCode
    detail: str
    until: str | None


class EstimateState(TypedDict):
    """When a job will begin and end. While it is `estimating` there are no times: too little is known.

    Between `earliest` and `latest` four of five jobs begin or end. A job that runs has no start to expect.
    """

    state: Literal["known", "estimating"]
    starts_at: str | None
    starts_earliest: str | None
    starts_latest: str | None
    ends_at: str | None
    ends_earliest: str | None
    ends_latest: str | None


class JobState(TypedDict):
    """A job as the API and every event show it. Times are RFC 3339 in UTC, progress is per cent.

    `seq` grows with each change of the job; of two states the one with the higher `seq` is the newer.
    """

    id: str
    operation: str | None
    video: str | None
    type: str
    status: str
    priority: str
    progress: float
    speed: float | None
    eta_seconds: float | None
    queue_position: int | None
    held: HoldState | None
    estimate: EstimateState | None
    attempt: int
    max_attempts: int
    run_after: str | None
    paused_at: str | None
    error: JobError | None
    queued_at: str
    started_at: str | None
    finished_at: str | None
    duration_ms: int | None
    cpu_seconds: float
    seq: int


class JobMessage(TypedDict):
    """Something happened to a job. `video.ready` has the intake job that made the video ready."""

    v: Literal[1]
    type: JobEventType
    seq: int
    at: str
    job: JobState


class SnapshotMessage(TypedDict):
    """The live jobs of the viewer, or of the one video that was subscribed to."""

    v: Literal[1]
    type: Literal["snapshot"]
    seq: int
    at: str
    jobs: list[JobState]
    video: NotRequired[str]


class ErrorMessage(TypedDict):
    """The last message from the client was not obeyed; the socket stays open."""

    v: Literal[1]
    type: Literal["error"]
    seq: int
    at: str
    code: str
    detail: str


Message = JobMessage | SnapshotMessage | ErrorMessage


def rfc3339(moment: datetime) -> str:
    """`2026-01-02T03:04:05.678Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def job_state(
    job: Job,
    *,
    queue_position: int | None = None,
    held: HoldState | None = None,
    estimate: Estimate | None = None,
) -> JobState:
    """The public state of `job`; `queue_position` comes from `jobs.selectors.queue_positions`, `held` from
    `jobs.holds`, `estimate` from `jobs.eta.estimates`. Live messages come without the last two: then what the
    worker said last."""
    seconds = job.eta_seconds if estimate is None else estimate.seconds
    return {
        "id": job.id,
        "operation": job.operation_id,
        "video": job.video_id,
        "type": job.type,
        "status": str(job.status),
        "priority": Priority(job.priority).label,
        "progress": round(job.progress, 1),
        "speed": None if job.speed is None else round(job.speed, 2),
        "eta_seconds": None if seconds is None else round(seconds, 1),
        "queue_position": queue_position,
        "held": held,
        "estimate": None if estimate is None else estimate_state(estimate),
        "attempt": job.attempt,
        "max_attempts": job.max_attempts,
        "run_after": _optional(job.run_after),
        "paused_at": _optional(job.paused_at),
        "error": job_error(job),
        "queued_at": rfc3339(job.queued_at),
        "started_at": _optional(job.started_at),
        "finished_at": _optional(job.finished_at),
        "duration_ms": job.duration_ms,
        "cpu_seconds": round(job.cpu_seconds, 2),
        "seq": job.seq,
    }


def estimate_state(estimate: Estimate) -> EstimateState:
    """The public form of an estimate."""
    starts, ends = estimate.starts, estimate.ends
    return {
        "state": "estimating" if ends is None else "known",
        "starts_at": None if starts is None else rfc3339(starts.at),
        "starts_earliest": None if starts is None else rfc3339(starts.earliest),
        "starts_latest": None if starts is None else rfc3339(starts.latest),
        "ends_at": None if ends is None else rfc3339(ends.at),
        "ends_earliest": None if ends is None else rfc3339(ends.earliest),
        "ends_latest": None if ends is None else rfc3339(ends.latest),
    }


class QueueState(TypedDict):
    """All work of the site, counted in steps of jobs."""

    state: Literal["idle", "known", "estimating"]
    waiting: int
    running: int
    ends_at: str | None
    ends_earliest: str | None
    ends_latest: str | None


def queue_state(end: QueueEnd) -> QueueState:
    """The public form of the end of all work."""
    ends = end.ends
    return {
        "state": "idle" if end.idle else "estimating" if ends is None else "known",
        "waiting": end.waiting,
        "running": end.running,
        "ends_at": None if ends is None else rfc3339(ends.at),
        "ends_earliest": None if ends is None else rfc3339(ends.earliest),
        "ends_latest": None if ends is None else rfc3339(ends.latest),
    }


def ends_state(left: Left | None) -> EstimateState:
    """The same of a job that runs, from the seconds that are left."""
    now = datetime.now(UTC)
    ends = None if left is None else Moments(*(now + timedelta(seconds=seconds) for seconds in left))
    return estimate_state(Estimate(None, ends, None if left is None else left.seconds))


def job_error(job: Job) -> JobError | None:
    """What went wrong last, or None."""
    if not job.error_code:
        return None
    kind = kind_for(job.error_code)
    return {
        "code": job.error_code,
        "message": job.error_message or kind.title,
        "hint": kind.hint,
        "retryable": kind.retryable,
        "fix": job.error_fix,
    }


def job_message(type_: JobEventType, state: JobState) -> JobMessage:
    return {"v": VERSION, "type": type_, "seq": state["seq"], "at": rfc3339(datetime.now(UTC)), "job": state}


def snapshot_message(jobs: list[JobState], *, video_id: str | None = None) -> SnapshotMessage:
    message: SnapshotMessage = {
        "v": VERSION,
        "type": "snapshot",
        "seq": 0,
        "at": rfc3339(datetime.now(UTC)),
        "jobs": jobs,
    }
    if video_id is not None:
        message["video"] = video_id
    return message


def error_message(code: str, detail: str) -> ErrorMessage:
    return {
        "v": VERSION,
        "type": "error",
        "seq": 0,
        "at": rfc3339(datetime.now(UTC)),
        "code": code,
        "detail": detail,
    }


def _optional(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
