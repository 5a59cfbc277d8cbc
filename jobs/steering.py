"""What people do with jobs that wait or run: cancel, pause, resume, and change their order.

Each function has a twin `…_any` for staff, whoever owns the job. A state that does not allow the action is
a Problem job_state_conflict. The inspection of an upload cannot be steered: deleting the video ends it.
"""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction

from jobs import order, transitions
from jobs.claiming import claims_of_owner_lock
from jobs.models import Job
from jobs.publish import publish_on_commit
from jobs.selectors import job_get_for, queue_position
from jobs.transitions import Locked
from problems import Problem
from users.ids import raw_id
from users.models import User


def job_cancel(*, viewer: User, job_id: str) -> Job:
    """Ends a job that waits, runs or is paused; nothing of it appears after the return.

    Raises Problem not_found or job_state_conflict.
    """
    return job_cancel_any(job_id=job_get_for(viewer, job_id).id)


def job_cancel_any(*, job_id: str) -> Job:
    """`job_cancel` for staff, whoever owns the job. Raises Problem job_state_conflict, Job.DoesNotExist."""
    return steer(job_id, transitions.job_cancel, word="cancelled", states=Job.LIVE)


def jobs_cancel_all(*, viewer: User) -> int:
    """Cancels every live job of the viewer and says how many; one that ends meanwhile is left as it is."""
    live = Job.objects.filter(owner=viewer, finished_at=None).exclude(type=Job.INTAKE)
    # The youngest first: otherwise each end would let a worker start the next one.
    return sum(_cancel_if_live(job.id) for job in list(live.order_by("-id").only("id")))


def _cancel_if_live(job_id: str) -> bool:
    try:
        job_cancel_any(job_id=job_id)
    except Problem:
        return False
    return True


def job_pause(*, viewer: User, job_id: str) -> Job:
    """Holds a job back that waits, or holds one still that runs. Raises as `job_cancel`."""
    return job_pause_any(job_id=job_get_for(viewer, job_id).id)


def job_pause_any(*, job_id: str) -> Job:
    """`job_pause` for staff, whoever owns the job. Raises Problem job_state_conflict, Job.DoesNotExist."""
    states = (Job.Status.QUEUED, Job.Status.ACTIVE)
    return steer(job_id, transitions.job_pause, word="paused", states=states)


def job_resume(*, viewer: User, job_id: str) -> Job:
    """Lets a paused job go on, or wait again at the place it had. Raises as `job_cancel`."""
    return job_resume_any(job_id=job_get_for(viewer, job_id).id)


def job_resume_any(*, job_id: str) -> Job:
    """`job_resume` for staff, whoever owns the job. Raises Problem job_state_conflict, Job.DoesNotExist."""
    return steer(job_id, transitions.job_resume, word="resumed", states=(Job.Status.PAUSED,))


def job_bump(*, viewer: User, job_id: str) -> Job:
    """Puts a waiting job before its owner's others of the same priority. Raises as `job_cancel`."""
    return job_bump_any(job_id=job_get_for(viewer, job_id).id)


def job_bump_any(*, job_id: str) -> Job:
    """`job_bump` for staff, whoever owns the job. Raises Problem job_state_conflict, Job.DoesNotExist."""
    return _arrange(job_id, lambda locked: order.to_the_front(locked.job), word="bumped")


def job_reorder(*, viewer: User, job_id: str, beside: str, before: bool) -> Job:
    """Puts a waiting job right before or after the viewer's job `beside`.

    Raises as `job_cancel`, and Problem job_order_conflict where the two do not wait in the same line: both
    must wait, in one lane and at one priority.
    """
    other = job_get_for(viewer, beside)
    return job_reorder_any(job_id=job_get_for(viewer, job_id).id, beside=other.id, before=before)


def job_reorder_any(*, job_id: str, beside: str, before: bool) -> Job:
    """`job_reorder` for staff. Raises Problem job_state_conflict, job_order_conflict, Job.DoesNotExist."""

    def act(locked: Locked) -> None:
        other = Job.objects.only("owner_id", "priority", "status").get(id=beside)
        lane = order.lane_of(locked.job)
        same = other.owner_id == locked.job.owner_id and other.priority == locked.job.priority
        if lane is None or other.id == locked.job.id or not same or order.lane_of(other) != lane:
            raise Problem("job_order_conflict")
        order.beside(locked.job, other, lane=lane, before=before)

    return _arrange(job_id, act, word="moved")


def job_shift(*, viewer: User, job_id: str, earlier: bool) -> Job:
    """Lets a waiting job and the viewer's next one before or after it change places; at the end of the queue
    nothing changes. Raises as `job_cancel`."""

    def act(locked: Locked) -> None:
        lane = order.lane_of(locked.job)
        beside = None if lane is None else order.neighbour(locked.job, lane=lane, before=earlier)
        if lane is not None and beside is not None:
            order.beside(locked.job, Job.objects.only("id").get(id=beside), lane=lane, before=earlier)

    return _arrange(job_get_for(viewer, job_id).id, act, word="moved")


def _arrange(job_id: str, act: Callable[[Locked], None], *, word: str) -> Job:
    """Lets `act` change the place of a waiting job among its owner's, which nobody claims meanwhile."""

    def arrange(locked: Locked) -> None:
        act(locked)
        transitions.job_save(locked.job)
        publish_on_commit("job.queued", locked.job, queue_position=queue_position(locked.job))

    owner = Job.objects.only("owner_id").get(id=job_id).owner_id
    with transaction.atomic():
        claims_of_owner_lock(raw_id(owner))
        return steer(job_id, arrange, word=word, states=(Job.Status.QUEUED,))


def steer(job_id: str, act: Callable[[Locked], None], *, word: str, states: tuple[str, ...]) -> Job:
    """Lets `act` change the locked job where it is in one of the states; `word` says what would be done.

    Raises Job.DoesNotExist and Problem job_state_conflict.
    """
    with transaction.atomic():
        locked = transitions.job_lock(job_id)
        if locked.job.status not in states:
            raise Problem("job_state_conflict", status=locked.job.status, action=word)
        if locked.job.type == Job.INTAKE:
            raise Problem("job_state_conflict", status="inspecting an upload", action=word)
        act(locked)
    return locked.job
