"""Runs a claimed step: scratch folder, engine, and the outcome.

Only claims come in and only outcomes go out; between the two no connection to PostgreSQL is held.
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from django.db import InterfaceError, OperationalError, connection

from engine.control import Stopped
from engine.execute import execute
from engine.failures import RunFailed
from engine.intake import intake
from engine.types.limits import Limits
from engine.types.plan import Plan
from engine.types.recipes import SOURCE
from jobs import dispatch, outcomes, shutdown
from jobs.claiming import Claim, lanes_claimable, step_claim, worker_name
from jobs.dividing import machine
from jobs.eta_start import step_start
from jobs.models import Job
from jobs.observation import watched
from jobs.parts import parts_keep, parts_of
from jobs.usage import cpu_clock, usage_add
from jobs.watch import Reason, Watch
from jobs.workspace import attempt_folder
from problems import Problem
from telemetry import tracing
from videos.crash_points import crash_point
from videos.services.outputs import outputs_place
from videos.storage import held_path, present, reserve_is_reached, source_path

log = logging.getLogger(__name__)

DRAIN_SECONDS = 5.0
PAUSE_BETWEEN_TRIES_TO_RECORD = 0.5


def lane_drain(*, lane: str) -> int:
    """What a wake-up asks for: works on the lane's steps for a few seconds, as long as there are any; then
    passes the word on. Says how many there were.

    A message for each step would cost more than many a step does. Other tasks, such as that of the
    reconciler, wait in the same queue: so it is for seconds only.
    """
    crash_point("wake_up_taken")
    began, done = time.monotonic(), 0
    while lane_work(lane=lane):
        done += 1
        if time.monotonic() - began > DRAIN_SECONDS:
            break
    if done and not shutdown.requested():
        lanes_wake()
    return done


def lane_work(*, lane: str) -> bool:
    """Claims one step and runs it. Says whether there was one."""
    if shutdown.requested():
        return False
    if reserve_is_reached():
        # Nothing is lost: the reconciler sends wake-ups for as long as something waits.
        log.warning("the disk has less than its reserve free: lane %s waits", lane)
        return False
    looked_ns = time.time_ns()
    claim = step_claim(lane=lane, worker=worker_name(), machine=machine())
    if claim is None:
        return False
    crash_point("step_claimed")
    used = cpu_clock()
    with watched(claim, lane=lane, looked_ns=looked_ns):
        step_run(claim)
    usage_add(owner_id=claim.job.owner_id, cpu_seconds=used())
    if claim.threads > 1 and not shutdown.requested():
        # This worker goes on with one step; as many as this one had threads may take its place.
        lanes_wake(claim.threads - 1)
    return True


def lanes_wake(threads: int = 1) -> None:
    """Sends wake-ups to each lane that has something claimable and no wake-up waiting: one for each thread
    that is free again, as so many steps may take their place."""
    for lane in lanes_claimable():
        if dispatch.pending(lane) == 0:
            dispatch.wake(lane, count=threads)


def step_run(claim: Claim) -> None:
    """Works on the step until it is published, failed, handed back or lost. Raises nothing of its own."""
    used = cpu_clock()
    with ExitStack() as stack:
        watch = stack.enter_context(Watch(claim))
        try:
            start = step_start(claim)
            watch.started(start)
            given = {} if claim.is_alone else parts_of(claim.job.id)
            connection.close()
            folder = stack.enter_context(attempt_folder(claim.step_id, claim.token))
            record = _perform(claim, folder, Limits(threads=claim.threads), watch, given)
            with tracing.span("publish"):
                _insist(record, watch)
        except Stopped:
            if watch.reason in {Reason.SHUTDOWN, Reason.LONG_PAUSE}:
                _insist(lambda: outcomes.step_hand_back(claim, cpu_seconds=used()), watch)
        except (OperationalError, InterfaceError) as error:
            # Before the work had begun. That is no fault of the job, and no try of it.
            log.warning("PostgreSQL went away at the beginning of a step: %s", error)
            _insist(lambda: outcomes.step_hand_back(claim, cpu_seconds=used()), watch)
        except Exception as error:  # noqa: BLE001 - whatever it is, the row must say that this try is over
            problem, text = _problem_of(error)
            if watch.disk_was_short() and not problem.retryable:
                # Tools may write half a file on a full disk, say nothing and exit with 0. Neither the file
                # nor the wish is to blame then, and an inspection must not take the original for broken.
                problem = Problem("disk_full")
            tracing.failed(problem.code)
            _insist(lambda: outcomes.step_fail(claim, problem, cpu_seconds=used(), log=text), watch)


def _perform(
    claim: Claim, folder: Path, limits: Limits, watch: Watch, given: Mapping[str, Path]
) -> Callable[[], bool]:
    """Lets the engine work and returns what is left to do: to record it."""
    if claim.job.video_id is None:
        raise Problem("source_missing")
    source = present(source_path(claim.job.video_id))
    if claim.job.type == Job.INTAKE:
        found = intake(source, folder, limits=limits, on_progress=watch.progressed, control=watch.control)
        return lambda: outcomes.intake_publish(claim, intake=found, took=watch.took())
    plan = Plan.model_validate(claim.job.plan)
    others = {name: present(held_path(name)) for name in plan.others}
    done = execute(
        plan,
        claim.position,
        sources={SOURCE: source, **others},
        parts=given,
        work_dir=folder,
        limits=limits,
        on_progress=watch.progressed,
        control=watch.control,
    )
    crash_point("step_made")
    placed = outputs_place(artifacts=done.artifacts)
    parts = parts_keep(claim, done.parts)
    crash_point("parts_kept" if parts else "outputs_placed")
    return lambda: outcomes.step_publish(
        claim,
        placed=placed,
        parts=parts,
        cpu_seconds=done.cpu_seconds,
        log=done.log,
        took=watch.took(),
    )


def _insist(record: Callable[[], bool], watch: Watch) -> None:
    """Records an outcome; while PostgreSQL is away, again and again until the lease must count as lost."""
    while True:
        try:
            if not record():
                log.info("the lease was lost before the outcome could be recorded")
        except (OperationalError, InterfaceError) as error:
            log.warning("the outcome could not be recorded: %s", error)
            connection.close()
            if watch.reason in {Reason.LOST, Reason.UNREACHABLE}:
                return
            time.sleep(PAUSE_BETWEEN_TRIES_TO_RECORD)
        else:
            return


def _problem_of(error: Exception) -> tuple[Problem, str]:
    if isinstance(error, RunFailed):
        return error, error.log
    if isinstance(error, Problem):
        return error, ""
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return Problem("disk_full"), ""
    log.error("a step failed unexpectedly", exc_info=error)
    return Problem("internal_error"), ""
