"""How a claimed step ends: finished, failed, or handed back.

Each function is one transaction that first checks the lease's token under the job's lock. A worker that
lost its lease gets False and must leave no trace.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from django.db import transaction

from engine.intake import Intake
from jobs import transitions
from jobs.claiming import Claim, machine_of
from jobs.eta_pace import Took, pace_learn
from jobs.models import Job, Step
from jobs.parts import makers_of_missing, parts_drop
from jobs.publish import publish_on_commit
from jobs.transitions import Locked
from jobs.webhooks.events import event_record
from problems import Problem
from telemetry.metrics import STEP_DURATION
from videos.crash_points import crash_point
from videos.services.outputs import PlacedOutput, outputs_record, outputs_unplace
from videos.services.videos import video_intake_fail, video_intake_succeed

# A full disk is nobody's fault and empties by itself or by an administrator: wait, and do not count it.
DISK_FULL_DELAY = timedelta(seconds=30)
JITTER = 0.2
# What changes of a step that is done.
_DONE = (
    "status", "lease_until", "lease_token", "finished_at", "cpu_seconds", "fraction", "pace", "result",
)  # fmt: skip


def step_publish(
    claim: Claim,
    *,
    placed: Sequence[PlacedOutput],
    parts: Mapping[str, int] | None = None,
    cpu_seconds: float,
    log: str,
    took: Took | None = None,
) -> bool:
    """Ends a step of an operation. With the last step its results become visible, all in one moment.

    `parts` are for later steps, in place by `jobs.parts`, with their sizes. Files of results are at their
    final places already, under new ids that nothing points to. One transaction checks the token, records them
    and completes operation and job. Where the token is not this worker's any more, the files are removed
    again. Safe to repeat when the connection broke in between.
    """

    def record(locked: Locked) -> None:
        job = locked.job
        if Step.objects.filter(job=job).exclude(status=Step.Status.DONE).exists():
            transitions.job_advance(locked)
            return
        if job.operation is not None and job.video is not None:
            outputs_record(operation=job.operation, placed=placed, video=job.video)
        job.output_bytes = sum(one.artifact.size for one in placed)
        transitions.job_complete(locked)

    won = _step_done(claim, record, parts=parts, cpu_seconds=cpu_seconds, log=log, took=took)
    if not won:
        outputs_unplace(placed=placed)
        parts_drop(claim)
    return won


def intake_publish(claim: Claim, *, intake: Intake, took: Took | None = None) -> bool:
    """Ends an intake: the video is ready from here on."""

    video_id = claim.job.video_id
    if video_id is None:
        return False

    def record(locked: Locked) -> None:
        video_intake_succeed(
            video_id=video_id,
            media=intake.media,
            sha256=intake.sha256,
            thumbnail=None if intake.thumbnail is None else intake.thumbnail.path,
        )
        transitions.job_complete(locked)
        publish_on_commit("video.ready", locked.job)
        event_record("video.ready", locked.job)

    return _step_done(claim, record, cpu_seconds=intake.cpu_seconds, log="", took=took)


def _step_done(
    claim: Claim,
    record: Callable[[Locked], None],
    *,
    parts: Mapping[str, int] | None = None,
    cpu_seconds: float,
    log: str,
    took: Took | None = None,
) -> bool:
    with transaction.atomic():
        held = _locked_and_held(claim)
        if held is None:
            # The caller may ask again after a broken connection, when the first time had gone through.
            return Step.objects.filter(id=claim.step_id, result__token=str(claim.token)).exists()
        locked, step = held
        step.status = Step.Status.DONE
        step.lease_until = step.lease_token = None
        step.finished_at = locked.now
        step.cpu_seconds += cpu_seconds
        step.fraction, step.pace = 1, None
        step.result = {"token": str(claim.token), **({"parts": dict(parts)} if parts else {})}
        step.save(update_fields=_DONE)
        _note(locked.job, step, cpu_seconds=cpu_seconds, log=log)
        record(locked)
        transitions.steps_unblock(locked, step)
        _duration_note(locked, step)
        if took is not None:
            # Last: other steps of the same kind wait for this until the transaction ends.
            pace_learn(
                key=step.cost_key,
                work=step.work,
                took=took,
                cpu_seconds=cpu_seconds,
                machine=machine_of(step.worker),
            )
        transaction.on_commit(lambda: crash_point("step_done"))
        crash_point("step_recorded")
        return True


def _duration_note(locked: Locked, step: Step) -> None:
    if step.started_at is not None:
        seconds = (locked.now - step.started_at).total_seconds()
        labels = {"operation": locked.job.type, "kind": step.kind}
        transaction.on_commit(lambda: STEP_DURATION.observe(seconds, **labels), robust=True)


def step_fail(claim: Claim, problem: Problem, *, cpu_seconds: float = 0, log: str = "") -> bool:
    """Ends a try that failed: for good where the file or the parameters are to blame, else for a while."""
    with transaction.atomic():
        held = _locked_and_held(claim)
        if held is None:
            return False
        locked, step = held
        step.cpu_seconds += cpu_seconds
        step.save(update_fields=["cpu_seconds"])
        _note(locked.job, step, cpu_seconds=cpu_seconds, log=log)
        step_end_try(locked, step, problem)
        return True


def step_end_try(locked: Locked, step: Step, problem: Problem) -> None:
    """Decides between another try and giving up. Needs the job's lock; the step must be active."""
    if problem.code == "worker_lost" and locked.job.status == Job.Status.PAUSED:
        # Work that stood still did not kill its worker.
        transitions.job_requeue(locked, step, problem=problem, delay=timedelta(0), counts=False)
    elif problem.code == "part_missing" and (makers := makers_of_missing(locked.job.id)):
        _make_again(locked, step, makers, problem)
    elif problem.code == "parts_do_not_join" and (locked.job.plan or {}).get("undivided"):
        transitions.job_undivide(locked, step, problem=problem)
    elif problem.code == "disk_full":
        transitions.job_requeue(locked, step, problem=problem, delay=DISK_FULL_DELAY, counts=False)
    elif problem.retryable and step.attempt < locked.job.max_attempts:
        delay = retry_delay(step.attempt)
        transitions.job_requeue(locked, step, problem=problem, delay=delay, counts=True)
    else:
        transitions.job_fail(locked, problem)
        if locked.job.type == Job.INTAKE and locked.job.video_id is not None:
            video_intake_fail(video_id=locked.job.video_id, problem=problem)


def _make_again(locked: Locked, step: Step, makers: Sequence[Step], problem: Problem) -> None:
    """Puts the steps back whose parts are gone: a try of theirs, not of the step that needs them."""
    if any(maker.attempt >= locked.job.max_attempts for maker in makers):
        transitions.job_fail(locked, problem)
        return
    transitions.steps_reopen(locked, makers)
    transitions.job_requeue(locked, step, problem=problem, delay=timedelta(0), counts=False)


def step_hand_back(claim: Claim, *, cpu_seconds: float = 0) -> bool:
    """Gives a step back at once: the worker shuts down, or the job is paused for too long. It was no try."""
    with transaction.atomic():
        held = _locked_and_held(claim)
        if held is None:
            return False
        crash_point("before_hand_back")
        locked, step = held
        step.cpu_seconds += cpu_seconds
        locked.job.cpu_seconds += cpu_seconds
        lost = Problem("worker_lost")
        transitions.job_requeue(locked, step, problem=lost, delay=timedelta(0), counts=False)
        return True


def retry_delay(attempt: int) -> timedelta:
    """2, 4, 8 seconds after the first, second, third try; up to a fifth more spreads those of many jobs."""
    return timedelta(seconds=2**attempt * random.uniform(1, 1 + JITTER))  # noqa: S311 - spreads load, keeps no secret


def _locked_and_held(claim: Claim) -> tuple[Locked, Step] | None:
    """The job's lock and the step, or None where the lease is not this worker's any more."""
    try:
        locked = transitions.job_lock(claim.job.id)
    except Job.DoesNotExist:  # the account was deleted
        return None
    job = locked.job
    # Paused as well: the work may have ended in the moment before the worker would have learnt of it.
    if (
        job.status not in {Job.Status.ACTIVE, Job.Status.PAUSED}
        or job.video is None
        or job.video.deleted_at is not None
    ):
        return None
    steps = Step.objects.select_for_update(no_key=True)
    step = steps.filter(id=claim.step_id, lease_token=claim.token, status=Step.Status.ACTIVE).first()
    return None if step is None else (locked, step)


def _note(job: Job, step: Step, *, cpu_seconds: float, log: str) -> None:
    job.cpu_seconds += cpu_seconds
    transitions.log_append(job, step, log)
