"""A history of jobs for statistics, written straight into the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jobs.models import Job
from users.models import User
from videos.models import Operation, Output, Video

LIVE = ("queued", "active", "paused")
FINISHED = ("completed", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class JobSpec:
    """One job. `owner` and `video` are places in lists; `waited` is the time until it started."""

    owner: int = 0
    video: int = 0
    type: str = "resize"
    status: str = "completed"
    queued_at: datetime = datetime(2026, 3, 1, tzinfo=UTC)
    waited: timedelta | None = timedelta(seconds=1)
    duration_ms: int = 1000
    attempt: int = 1
    cpu_seconds: float = 1.0
    outputs: tuple[int, ...] = ()
    log: str = ""


def history_make(owners: Sequence[User], specs: Sequence[JobSpec], *, keep: bool = False) -> list[Video]:
    """Writes the jobs, each with an operation of its own, in place of what was there; returns the videos.

    A job of owner n and video m belongs to video number n of the m-th round.
    """
    if not keep:
        Job.objects.all().delete()
        Video.objects.all().delete()
    videos = [_video(owner) for _ in range(2) for owner in owners]
    operations, outputs, jobs = [], [], []
    for number, spec in enumerate(specs):
        video = videos[spec.video * len(owners) + spec.owner]
        operation = None
        if spec.type != Job.INTAKE:
            operation = Operation(video=video, type=spec.type, parameters={}, fingerprint=f"{number}")
            operations.append(operation)
            if spec.status == "completed":
                outputs += [_output(operation, place, size) for place, size in enumerate(spec.outputs)]
        jobs.append(_job(spec, owners[spec.owner], video, operation))
    Operation.objects.bulk_create(operations)
    Output.objects.bulk_create(outputs)
    Job.objects.bulk_create(jobs, batch_size=5000)
    return videos


def _video(owner: User) -> Video:
    return Video.objects.create(owner=owner, name="Holiday", size=1)


def _output(operation: Operation, place: int, size: int) -> Output:
    return Output(
        operation=operation,
        role=f"file-{place}",
        filename="a.mp4",
        content_type="video/mp4",
        size=size,
        sha256="0" * 64,
        verification={},
    )


def _job(spec: JobSpec, owner: User, video: Video, operation: Operation | None) -> Job:
    ended = spec.status in FINISHED
    started_at = None if spec.waited is None else spec.queued_at + spec.waited
    finished_at = (started_at or spec.queued_at) + timedelta(milliseconds=spec.duration_ms)
    return Job(
        owner=owner,
        video=video,
        operation=operation,
        type=spec.type,
        status=spec.status,
        queued_at=spec.queued_at,
        started_at=started_at,
        finished_at=finished_at if ended else None,
        paused_at=finished_at if spec.status == "paused" else None,
        duration_ms=spec.duration_ms if ended and started_at is not None else None,
        attempt=spec.attempt,
        cpu_seconds=spec.cpu_seconds,
        output_bytes=sum(spec.outputs) if spec.status == "completed" and operation is not None else 0,
        error_code="worker_lost" if spec.status == "failed" else "",
        error_message="The worker went away." if spec.status == "failed" else "",
        log=spec.log,
    )
