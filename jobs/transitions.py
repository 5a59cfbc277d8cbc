"""Every change of a job's state. Each function expects the caller's transaction and the job's row lock.

Locks: whoever needs several takes them in the order job, steps, operation. A request for an operation
locks the operation first, but then never waits for a job.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import F, Min, Sum
from django.db.models.functions import Now

from engine.fixes import fix_for
from engine.types.media import MediaInfo
from engine.types.plan import Plan
from jobs.dispatch import wake_on_commit
from jobs.eta_work import intake_cost, step_cost
from jobs.models import SEQ_STRIDE, Job, Step
from jobs.parts import job_parts_discard
from jobs.publish import publish_on_commit
from jobs.webhooks.events import EventType, event_record
from problems import Problem
from telemetry import tracing
from telemetry.metrics import FAILURES, JOBS_FINISHED, RETRIES
from videos.crash_points import crash_point
from videos.models import Operation, Video
from videos.services.operations import operation_status_set

log = logging.getLogger(__name__)

LOG_BYTES = 64 * 1024

_ENDED: dict[str, EventType] = {
    Job.Status.COMPLETED: "job.completed",
    Job.Status.FAILED: "job.failed",
    Job.Status.CANCELLED: "job.cancelled",
}


class Locked(NamedTuple):
    """A job whose row is locked until the transaction ends, and the time on PostgreSQL's clock."""

    job: Job
    now: datetime

    @property
    def alone(self) -> bool:
        """Whether the job has one step."""
        return len((self.job.plan or {}).get("steps", ())) <= 1


def job_lock(job_id: str) -> Locked:
    """Locks the row; video and operation come along. Raises Job.DoesNotExist."""
    jobs = Job.objects.select_for_update(no_key=True, of=("self",)).select_related("video", "operation")
    job = jobs.annotate(now=Now()).get(id=job_id)
    return Locked(job, job.now)


def job_create(
    *,
    video: Video,
    operation: Operation | None,
    priority: int,
    plan: Plan | None,
    lane: str | None = None,
) -> Job:
    """A queued job with its steps; without a plan it is the intake of the video.

    All steps wait in `lane` where it is given, else each in the one its plan names.
    """
    job = Job.objects.create(
        owner_id=video.owner_id,
        video=video,
        operation=operation,
        type=Job.INTAKE if operation is None else operation.type,
        priority=priority,
        plan=None if plan is None else plan.model_dump(mode="json"),
        trace=tracing.carrier(),
    )
    steps = list(_steps(job, plan, video))
    for step in steps:
        step.lane = lane or step.lane
    Step.objects.bulk_create(steps)
    crash_point("job_written")
    publish_on_commit("job.queued", job)
    _wake(Counter(str(step.lane) for step in steps if not step.needs))
    transaction.on_commit(lambda: log.info("job %s (%s) waits", job.id, job.type), robust=True)
    return job


def _steps(job: Job, plan: Plan | None, video: Video) -> Iterable[Step]:
    if plan is None:
        cost = intake_cost(video.size)
        yield Step(
            job=job,
            owner_id=job.owner_id,
            position=0,
            kind=Job.INTAKE,
            type=job.type,
            lane=Step.Lane.SHORT,
            priority=job.priority,
            cost_key=cost.key,
            work=cost.work,
        )
        return
    media = MediaInfo.model_validate(video.media_info)
    for step in plan.steps:
        cost = step_cost(job.type, plan, step, media)
        yield Step(
            job=job,
            owner_id=job.owner_id,
            position=step.position,
            kind=step.kind,
            type=job.type,
            lane=step.lane.value,
            priority=job.priority,
            needs=list(step.needs),
            status=Step.Status.BLOCKED if step.needs else Step.Status.QUEUED,
            weight=step.weight,
            cost_key=cost.key,
            work=cost.work,
        )


def job_advance(locked: Locked) -> None:
    """A step is done, and others are not."""
    job = locked.job
    job.progress = max(job.progress, _progress(job))
    job_save(job)
    if job.status == Job.Status.ACTIVE:
        publish_on_commit("job.progress", job)


def job_complete(locked: Locked) -> None:
    """The last step is done and its results are recorded."""
    locked.job.progress = 100
    locked.job.error_code = locked.job.error_message = ""
    _end(locked, Job.Status.COMPLETED)


def job_fail(locked: Locked, problem: Problem) -> None:
    """The job gave up; the operation says why as well, and the job what would have gone better."""
    job = locked.job
    job.error_code, job.error_message = problem.code, problem.detail
    job.error_fix = _fix(job, problem)
    _end(locked, Job.Status.FAILED)


def _fix(job: Job, problem: Problem) -> dict[str, Any] | None:
    if job.operation is None or job.video is None or job.video.media_info is None:
        return None
    media = MediaInfo.model_validate(job.video.media_info)
    fix = fix_for(problem, job.operation.type, job.operation.parameters, media)
    return None if fix is None else fix.model_dump(mode="json")


def job_cancel(locked: Locked) -> None:
    """Takes the leases from the workers, who find out within a second and kill what they run."""
    locked.job.cancel_requested_at = locked.now
    locked.job.error_code = locked.job.error_message = ""
    _end(locked, Job.Status.CANCELLED)
    crash_point("cancel_written")
    transaction.on_commit(lambda: crash_point("cancelled"))


def _end(locked: Locked, status: Job.Status) -> None:
    job, now = locked
    job.status = status
    job.finished_at = now
    job.duration_ms = None if job.started_at is None else round((now - job.started_at).total_seconds() * 1000)
    job.run_after = job.paused_at = job.speed = None
    _eta_forget(job)
    job_save(job)
    if status != Job.Status.COMPLETED:  # then all are done
        leftovers = Step.Status.FAILED if status == Job.Status.FAILED else Step.Status.CANCELLED
        unfinished = [Step.Status.QUEUED, Step.Status.ACTIVE, Step.Status.PAUSED, Step.Status.BLOCKED]
        Step.objects.filter(job=job, status__in=unfinished).update(
            status=leftovers, lease_until=None, lease_token=None, finished_at=now
        )
    transaction.on_commit(lambda: job_parts_discard(job.id), robust=True)
    if job.operation_id is not None:
        operation_status_set(
            operation_id=job.operation_id,
            status=str(status),
            error_code=job.error_code,
            error_message=job.error_message,
        )
    publish_on_commit(_ENDED[status], job)
    event_record(_ENDED[status], job)
    transaction.on_commit(lambda: _note_end(job), robust=True)


def _note_end(job: Job) -> None:
    JOBS_FINISHED.add(operation=job.type, status=str(job.status))
    if job.status == Job.Status.FAILED:
        FAILURES.add(operation=job.type, code=job.error_code)
    why = f": {job.error_code}" if job.error_code else ""
    log.info("job %s (%s) is %s%s", job.id, job.type, job.status, why)


def steps_unblock(locked: Locked, done: Step) -> None:
    """Steps may run that needed this one and nothing else that is not done."""
    job = locked.job
    if locked.alone:
        return
    steps = Step.objects.filter(job=job)
    held_up = [Step.Status.BLOCKED, Step.Status.QUEUED]
    candidates = list(steps.filter(status__in=held_up, needs__contains=[done.position]))
    if not candidates:
        return
    finished = set(steps.filter(status=Step.Status.DONE).values_list("position", flat=True))
    free = [step for step in candidates if finished.issuperset(step.needs)]
    paused = job.status == Job.Status.PAUSED
    status = Step.Status.PAUSED if paused else Step.Status.QUEUED
    steps.filter(id__in=[step.id for step in free]).update(status=status)
    if not paused:
        _wake(Counter(step.lane for step in free))


def job_requeue(locked: Locked, step: Step, *, problem: Problem, delay: timedelta, counts: bool) -> None:
    """Puts an active step back for another try after `delay`; `counts` says whether this one was a try.

    Steps that are done stay done, those that run go on, and those that wait may be claimed meanwhile; the job
    waits only where none runs. A paused job stays paused; whatever it waits for then, it waits for to be
    resumed first.
    """
    job, now = locked
    crash_point("before_requeue")
    paused = job.status == Job.Status.PAUSED
    if not counts:
        step.attempt -= 1
    step.status = Step.Status.PAUSED if paused else Step.Status.QUEUED
    step.lease_until = step.lease_token = step.started_at = None
    step.worker = ""
    step.fraction, step.pace = 0, None
    step.run_after = now + delay if delay else None
    step.save()
    job.attempt = max(Step.objects.filter(job=job).values_list("attempt", flat=True))
    job.progress = _progress(job)
    job.speed = None
    _eta_forget(job)
    job.run_after = _tried_again(job, now)
    job.error_code, job.error_message = problem.code, problem.detail
    if counts:
        transaction.on_commit(lambda: RETRIES.add(operation=job.type, code=problem.code), robust=True)
    if paused:
        job_save(job)
        publish_on_commit("job.paused", job)
        return
    running = Step.objects.filter(job=job, status=Step.Status.ACTIVE).exists()
    job.status = Job.Status.ACTIVE if running else Job.Status.QUEUED
    job_save(job)
    publish_on_commit("job.retrying", job)
    seconds = delay.total_seconds()
    wake_on_commit(step.lane, delay=seconds or None)


def _tried_again(job: Job, now: datetime) -> datetime | None:
    """When the first of the steps that wait for their next try gets it."""
    waiting = Step.objects.filter(
        job=job, status__in=[Step.Status.QUEUED, Step.Status.PAUSED], run_after__gt=now
    )
    found: datetime | None = waiting.aggregate(first=Min("run_after"))["first"]
    return found


def steps_reopen(locked: Locked, steps: Sequence[Step]) -> None:
    """Finished steps have to be done again, because what they left is gone."""
    paused = locked.job.status == Job.Status.PAUSED
    Step.objects.filter(id__in=[step.id for step in steps]).update(
        status=Step.Status.PAUSED if paused else Step.Status.QUEUED,
        result=None,
        fraction=0,
        run_after=None,
        started_at=None,
        finished_at=None,
        worker="",
    )
    if not paused:
        _wake(Counter(step.lane for step in steps))


def job_undivide(locked: Locked, step: Step, *, problem: Problem) -> None:
    """One step for the whole job from here on, because the parts of several do not go together.

    It takes the place and the tries of the step that found that out. Needs a plan that has one.
    """
    plan = Plan.model_validate(locked.job.plan)
    whole = plan.undivided
    if whole is None:
        raise ValueError("the plan has one way only")
    job = locked.job
    job.plan = plan.model_copy(update={"steps": (whole,), "undivided": None}).model_dump(mode="json")
    job.save(update_fields=["plan"])
    Step.objects.filter(job=job).exclude(id=step.id).delete()
    step.position, step.kind, step.lane = whole.position, whole.kind, whole.lane.value
    step.needs, step.weight = list(whole.needs), whole.weight
    if job.video is not None and job.video.media_info is not None:
        media = MediaInfo.model_validate(job.video.media_info)
        step.cost_key, step.work = step_cost(job.type, plan, whole, media)
    transaction.on_commit(lambda: job_parts_discard(job.id), robust=True)
    job_requeue(locked, step, problem=problem, delay=timedelta(0), counts=True)


def job_pause(locked: Locked) -> None:
    """Nothing of it starts any more. The worker of a running step finds out within a second."""
    job = locked.job
    job.status, job.paused_at = Job.Status.PAUSED, locked.now
    job.speed = None
    _eta_forget(job)
    job_save(job)
    Step.objects.filter(job=job, status=Step.Status.QUEUED).update(status=Step.Status.PAUSED)
    publish_on_commit("job.paused", job)


def job_resume(locked: Locked) -> None:
    """Goes on where a worker holds a step still, else waits at the place it had."""
    job = locked.job
    held = Step.objects.filter(job=job, status=Step.Status.ACTIVE).exists()
    job.status, job.paused_at = Job.Status.ACTIVE if held else Job.Status.QUEUED, None
    job_save(job)
    waiting = Step.objects.filter(job=job, status=Step.Status.PAUSED)
    lanes = Counter(waiting.values_list("lane", flat=True))
    waiting.update(status=Step.Status.QUEUED)
    publish_on_commit("job.started" if held else "job.queued", job)
    _wake(lanes)


def _wake(lanes: Mapping[str, int]) -> None:
    """As many workers of each lane as there are steps; more than there are would find nothing to do."""
    for lane, steps in lanes.items():
        wake_on_commit(lane, count=min(steps, settings.WORKER_CONCURRENCY))


def _progress(job: Job) -> float:
    """Per cent of the whole, by the weights of its steps."""
    sums = Step.objects.filter(job=job).aggregate(all=Sum("weight"), done=Sum(F("weight") * F("fraction")))
    return min(100.0, 100.0 * (sums["done"] or 0.0) / (sums["all"] or 1.0))


def _eta_forget(job: Job) -> None:
    job.eta_seconds = job.eta_low = job.eta_high = job.eta_at = None


def job_save(job: Job) -> None:
    """Writes the changes of this module as the job's next version."""
    job.seq += SEQ_STRIDE
    job.save(
        update_fields=[
            "status",
            "progress",
            "speed",
            "eta_seconds",
            "eta_low",
            "eta_high",
            "eta_at",
            "attempt",
            "error_code",
            "error_message",
            "error_fix",
            "log",
            "started_at",
            "finished_at",
            "duration_ms",
            "cpu_seconds",
            "output_bytes",
            "run_after",
            "cancel_requested_at",
            "paused_at",
            "seq",
        ]
    )


def log_append(job: Job, step: Step, text: str) -> None:
    """Adds the messages of one try to the job's log, of which the last `LOG_BYTES` characters are kept."""
    if text.strip():
        heading = f"--- {step.kind}, try {step.attempt} ---\n"
        job.log = f"{job.log}{heading}{text.rstrip()}\n"[-LOG_BYTES:]
