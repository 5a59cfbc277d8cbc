"""Reads of jobs. `job_get_for` is the only door to a job on behalf of somebody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from django.db import connection
from django.db.models import Min, QuerySet

from jobs import queues
from jobs.eta import estimates
from jobs.eta_types import Estimate
from jobs.events import JobState, job_state
from jobs.holds import Hold, Holds
from jobs.models import Job, Step
from problems import Problem
from users.ids import public_id_is_valid
from users.models import Priority, User
from videos.models import Operation, Video
from videos.selectors import operations_of

_PLACE, _HOLD, _ESTIMATE = "_queue_position", "_hold", "_estimate"


# Of an owner's line so many jobs are shown.
LINE_SHOWN = 50


class Line(NamedTuple):
    """Waiting jobs of one owner that stand in one line, the next first; `more` than are here."""

    lane: Step.Lane
    priority: Priority
    jobs: list[Job]
    more: bool


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


# From one code to the next, each a look into index job_error_newest: DISTINCT would walk all of it.
_FAILURE_CODES = """
    WITH RECURSIVE found AS (
        SELECT min(error_code) AS code FROM jobs_job WHERE status = 'failed'
        UNION ALL
        SELECT (SELECT min(error_code) FROM jobs_job WHERE status = 'failed' AND error_code > found.code)
        FROM found WHERE code IS NOT NULL
    )
    SELECT code FROM found WHERE code IS NOT NULL
"""


def failure_codes() -> list[str]:
    """Every code that a job in the history has failed with, in the order of the alphabet."""
    with connection.cursor() as cursor:
        cursor.execute(_FAILURE_CODES)
        return [code for (code,) in cursor.fetchall()]


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
    positions, holds, expected = queue_positions(jobs), Holds(jobs), estimates(jobs)
    return [_state(job, positions.get(job.id), holds.of(job), expected.get(job.id)) for job in jobs]


def _state(job: Job, position: int | None, hold: Hold | None, expected: Estimate | None) -> JobState:
    held = None if hold is None else hold.state
    return job_state(job, queue_position=position, held=held, estimate=expected)


def queue_positions(jobs: Iterable[Job]) -> dict[str, int]:
    """The place in its lane, from 1, of each job among `jobs` that waits in the queue: how many steps are
    taken before it, as things stand, and one. What is left out for a while keeps its place."""
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
        places = queues.places(lane=lane, steps=list(job_of))
        positions.update({job_of[step_id]: position for step_id, position in places.items()})
    return positions


def queue_positions_note(jobs: Sequence[Job]) -> None:
    """Finds the places of all of them at once, what holds them, and when they will begin and end, for
    `queue_position`, `job_hold` and `estimate` to know: what shows many jobs on a page would ask for each."""
    positions, holds, expected = queue_positions(jobs), Holds(jobs), estimates(jobs)
    for job in jobs:
        vars(job)[_PLACE] = positions.get(job.id)
        vars(job)[_HOLD] = holds.of(job)
        vars(job)[_ESTIMATE] = expected.get(job.id)


def queue_position(job: Job) -> int | None:
    """The place of one job in its lane, from 1; None where it does not wait."""
    if _PLACE in vars(job):
        noted: int | None = vars(job)[_PLACE]
        return noted
    return queue_positions([job]).get(job.id)


def job_hold(job: Job) -> Hold | None:
    """Why the job waits although a worker may be free; None where it does not, or only waits for its turn."""
    if _HOLD in vars(job):
        noted: Hold | None = vars(job)[_HOLD]
        return noted
    return Holds([job]).of(job)


def queue_of(viewer: User) -> list[Line]:
    """The viewer's waiting jobs, inspections left out, in the order in which they are taken: a line for each
    lane and priority in which there are some, with their places and what holds them noted. Without their
    logs."""
    lines = [
        _line(viewer, lane, priority) for lane in (Step.Lane.ENCODE, Step.Lane.SHORT) for priority in Priority
    ]
    queue_positions_note([job for line in lines for job in line.jobs])
    return [line for line in lines if line.jobs]


def _line(viewer: User, lane: Step.Lane, priority: Priority) -> Line:
    steps = Step.objects.filter(owner=viewer, lane=lane, priority=priority, status=Step.Status.QUEUED)
    # A divided job has many steps; the first of them stands for it.
    firsts = (
        steps.exclude(type=Job.INTAKE)
        .order_by()
        .values("job_id")
        .annotate(rank=Min("rank"), age=Min("place"))
    )
    ids = list(firsts.order_by("rank", "age").values_list("job_id", flat=True)[: LINE_SHOWN + 1])
    found = jobs_for(viewer).filter(id__in=ids[:LINE_SHOWN], status=Job.Status.QUEUED)
    jobs = sorted(found, key=lambda job: ids.index(job.id))
    return Line(lane, priority, jobs, len(ids) > LINE_SHOWN)


def estimate(job: Job) -> Estimate | None:
    """When one job will begin and end; None where it neither waits nor runs."""
    if _ESTIMATE in vars(job):
        noted: Estimate | None = vars(job)[_ESTIMATE]
        return noted
    return estimates([job]).get(job.id)


def _with_relations(jobs: QuerySet[Job]) -> QuerySet[Job]:
    return jobs.select_related("operation", "video")
