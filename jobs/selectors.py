"""Reads of jobs. `job_get_for` is the only door to a job on behalf of somebody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from django.db import connection
from django.db.models import QuerySet

from jobs.eta import estimates
from jobs.eta_types import Estimate
from jobs.events import JobState, job_state
from jobs.models import Job, Step
from problems import Problem
from users.ids import public_id_is_valid
from users.models import User
from videos.models import Operation, Video
from videos.selectors import operations_of

_PLACE = "_queue_position"
_ESTIMATE = "_estimate"


class OperationWithJob(NamedTuple):
    """An operation and its latest run; the run is None only for results that were imported."""

    operation: Operation
    job: Job | None


def job_get_for(viewer: User, job_id: str) -> Job:
    """The job where `viewer` owns it, with operation and video; else Problem `not_found`."""
    if not public_id_is_valid("job", job_id):
        raise Problem("not_found")
    try:
        return _with_relations(Job.objects.all()).get(id=job_id, owner=viewer)
    except Job.DoesNotExist:
        raise Problem("not_found") from None


def jobs_for(viewer: User, *, intake: bool = False) -> QuerySet[Job]:
    """The viewer's jobs without their logs, unordered. `intake` adds the inspections of uploads."""
    jobs = _with_relations(Job.objects.filter(owner=viewer)).defer("log", "plan", "video__media_info")
    return jobs if intake else jobs.exclude(type=Job.INTAKE)


def jobs_live_for(viewer: User) -> QuerySet[Job]:
    """The viewer's unfinished jobs, intake included, newest first, without their logs."""
    return jobs_for(viewer, intake=True).filter(finished_at=None).order_by("-id")


def jobs_live_of(video: Video) -> QuerySet[Job]:
    """The unfinished jobs of a video, intake included, newest first, without their logs."""
    jobs = _with_relations(Job.objects.filter(video=video, finished_at=None))
    return jobs.defer("log", "plan").order_by("-id")


def intake_latest(video: Video) -> Job | None:
    """The last inspection of a video, without its log; None for a video that was imported."""
    return (
        _with_relations(Job.objects.filter(video=video, type=Job.INTAKE)).defer("log").order_by("-id").first()
    )


def job_log(job: Job) -> str:
    """The last lines of the tools' output."""
    return Job.objects.values_list("log", flat=True).get(id=job.id)


def job_is_finished(job_id: str) -> bool:
    """Whether the job has come to its end state; True too where it does not exist any more."""
    return not Job.objects.filter(id=job_id, finished_at=None).exists()


def operations_with_latest_job(video: Video) -> list[OperationWithJob]:
    """The operations of a video, newest first, with outputs prefetched and the latest run of each."""
    return with_latest_jobs(list(operations_of(video)))


def operation_with_latest_job(operation: Operation) -> OperationWithJob:
    """`with_latest_jobs` for one."""
    return with_latest_jobs([operation])[0]


def with_latest_jobs(operations: Sequence[Operation]) -> list[OperationWithJob]:
    """The operations in the same order, each with its latest run."""
    latest = (
        Job.objects.filter(operation__in=operations)
        .defer("log", "plan", "video__media_info")
        .order_by("operation_id", "-id")
        .distinct("operation_id")
    )
    by_operation = {job.operation_id: job for job in latest}
    return [OperationWithJob(operation, by_operation.get(operation.id)) for operation in operations]


def job_states(jobs: Iterable[Job]) -> list[JobState]:
    """The public states of the jobs, with places in the queue for those that wait, and what is expected."""
    jobs = list(jobs)
    positions, expected = queue_positions(jobs), estimates(jobs)
    return [
        job_state(job, queue_position=positions.get(job.id), estimate=expected.get(job.id)) for job in jobs
    ]


# The order in which a lane is claimed is (priority, place); what a claim leaves out for a while - the cap of
# its owner, a wait before the next try - does not change a place in that order.
_POSITIONS = """
    WITH place AS (
        SELECT id, row_number() OVER (ORDER BY priority, place) AS position
        FROM jobs_step
        WHERE lane = %(lane)s AND status = 'queued'
          AND (priority, place) <= (
              SELECT max(priority), max(place) FROM jobs_step WHERE id = ANY(%(steps)s))
    )
    SELECT id, position FROM place WHERE id = ANY(%(steps)s)
"""


def queue_positions(jobs: Iterable[Job]) -> dict[str, int]:
    """The place in its lane, from 1, of each job among `jobs` that waits in the queue."""
    waiting = [job.id for job in jobs if job.status == Job.Status.QUEUED]
    if not waiting:
        return {}
    first_steps = (
        Step.objects.filter(job__in=waiting, status=Step.Status.QUEUED)
        .order_by("job_id", "position")
        .distinct("job_id")
        .only("id", "job_id", "lane")
    )
    by_lane: dict[str, dict[int, str]] = {}
    for step in first_steps:
        by_lane.setdefault(step.lane, {})[step.id] = step.job_id
    positions: dict[str, int] = {}
    for lane, job_of in by_lane.items():
        with connection.cursor() as cursor:
            cursor.execute(_POSITIONS, {"lane": lane, "steps": list(job_of)})
            positions.update({job_of[step_id]: position for step_id, position in cursor.fetchall()})
    return positions


def queue_positions_note(jobs: Sequence[Job]) -> None:
    """Finds the places of all of them at once, for `queue_position` to know, and when they will begin and
    end, for `estimate`: what shows many jobs on a page would ask for each."""
    positions, expected = queue_positions(jobs), estimates(jobs)
    for job in jobs:
        vars(job)[_PLACE] = positions.get(job.id)
        vars(job)[_ESTIMATE] = expected.get(job.id)


def queue_position(job: Job) -> int | None:
    """The place of one job in its lane, from 1; None where it does not wait."""
    if _PLACE in vars(job):
        noted: int | None = vars(job)[_PLACE]
        return noted
    return queue_positions([job]).get(job.id)


def estimate(job: Job) -> Estimate | None:
    """When one job will begin and end; None where it neither waits nor runs."""
    if _ESTIMATE in vars(job):
        noted: Estimate | None = vars(job)[_ESTIMATE]
        return noted
    return estimates([job]).get(job.id)


def _with_relations(jobs: QuerySet[Job]) -> QuerySet[Job]:
    return jobs.select_related("operation", "video")
