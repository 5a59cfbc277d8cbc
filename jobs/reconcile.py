"""Brings back what got lost: leases of dead workers, wake-ups, uploads whose process ended too early.

Runs every ten seconds and when a worker starts. One at a time, under an advisory lock; every part may be
cut short and repeated, and what goes wrong with one row or one part keeps no other from being looked at.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from jobs import dispatch, transitions
from jobs.claiming import lanes_claimable
from jobs.models import Job, Step
from jobs.outcomes import step_end_try
from jobs.services import upload_finish
from jobs.webhooks import sending
from problems import Problem
from telemetry import tracing
from telemetry.metrics import LEASE_LOSSES
from videos.crash_points import crash_point
from videos.selectors import uploads_awaiting_video

log = logging.getLogger(__name__)

BATCH = 500
# Shorter than the pause between two reminders, in seconds.
MOMENT = 5.0
_made_at: float | None = None
_LOCK = 0x76_69_64_65_6F  # any number of our own


@dataclass(frozen=True, slots=True)
class Reconciled:
    """How much one round had to do; all zero on a healthy site."""

    leases_expired: int = 0
    jobs_stopped: int = 0
    uploads_finished: int = 0
    deliveries_given_up: int = 0
    wake_ups_sent: int = 0


def reconcile_if_due() -> Reconciled:
    """One round, unless this process made one a moment ago.

    While no worker listens the beat's reminders pile up. They carry no time at which they expire, because a
    worker whose clock is ahead would throw each of them away; instead a pile of them is one round.
    """
    global _made_at  # noqa: PLW0603 - one for each process
    now = time.monotonic()
    if _made_at is not None and now - _made_at < MOMENT:
        return Reconciled()
    _made_at = now
    return reconcile()


def reconcile() -> Reconciled:
    """One round. Does nothing where another process is at it."""
    with _alone() as alone:
        if not alone:
            return Reconciled()
        crash_point("reconciling")
        done = Reconciled(
            leases_expired=_apart(leases_expire),
            jobs_stopped=_apart(jobs_of_trash_stop),
            uploads_finished=_apart(uploads_finish),
            deliveries_given_up=_apart(sending.deliveries_give_up),
            wake_ups_sent=_apart(wake_ups_restore) + _apart(sending.wake_up),
        )
    if done != Reconciled(wake_ups_sent=done.wake_ups_sent):
        log.info("reconciled: %s", done)
    return done


def leases_expire() -> int:
    """Ends the tries of workers that went silent: back to the queue, or failed after the last one."""
    expired = Step.objects.filter(status=Step.Status.ACTIVE, lease_until__lt=Now())
    acts = (partial(_lease_expire, step.id, step.job_id) for step in expired.order_by("lease_until")[:BATCH])
    return sum(map(_apart, acts))


@transaction.atomic
def _lease_expire(step_id: int, job_id: str) -> bool:
    locked = transitions.job_lock(job_id)
    steps = Step.objects.select_for_update(no_key=True)
    # The worker may have renewed or finished while this waited for the lock.
    step = steps.filter(id=step_id, status=Step.Status.ACTIVE, lease_until__lt=Now()).first()
    if step is None:
        return False
    transaction.on_commit(lambda: LEASE_LOSSES.add(reason="expired"), robust=True)
    with tracing.continued(locked.job.trace, job_id=job_id, step_id=step.id, attempt=step.attempt):
        log.warning("step %s of job %s: the lease of %s ran out", step.id, job_id, step.worker)
        step_end_try(locked, step, Problem("worker_lost"))
    crash_point("lease_expired")
    return True


def jobs_of_trash_stop() -> int:
    """Cancels the live jobs of videos that were deleted. Their workers have noticed by themselves."""
    orphaned = Q(video=None) | Q(video__deleted_at__isnull=False)
    jobs = Job.objects.filter(orphaned, finished_at=None).only("id")[:BATCH]
    return sum(_apart(partial(_stop, job.id)) for job in jobs)


@transaction.atomic
def _stop(job_id: str) -> bool:
    locked = transitions.job_lock(job_id)
    if locked.job.is_finished:
        return False
    transitions.job_cancel(locked)
    return True


def uploads_finish() -> int:
    """Makes the videos of uploads whose process ended between the last byte and the row."""
    return sum(_apart(partial(_upload_finish, upload_id)) for upload_id in uploads_awaiting_video())


def _upload_finish(upload_id: str) -> bool:
    try:
        upload_finish(upload_id=upload_id)
    except Problem as problem:
        log.warning("upload %s cannot become a video: %s", upload_id, problem.code)
        return False
    return True


def wake_ups_restore() -> int:
    """As many wake-ups as a lane has workers, less those that wait already, where there is work."""
    workers = {
        Step.Lane.SHORT: settings.SHORT_WORKER_CONCURRENCY,
        Step.Lane.ENCODE: settings.WORKER_CONCURRENCY,
    }
    sent = 0
    for lane in lanes_claimable():
        missing = max(0, workers[Step.Lane(lane)] - dispatch.pending(lane))
        dispatch.wake(lane, count=missing)
        sent += missing
    return sent


def _apart(part: Callable[[], int]) -> int:
    """What `part` returns, or 0 where it failed; without PostgreSQL the round is over."""
    try:
        return part()
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("a part of the reconciliation failed; the others go on")
        return 0


@contextmanager
def _alone() -> Iterator[bool]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        alone: bool = cursor.fetchone()[0]
    try:
        yield alone
    finally:
        if alone:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
