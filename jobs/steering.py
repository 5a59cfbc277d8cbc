"""What people do with jobs that wait or run: cancel, pause, resume, bump.

Each function has a twin `…_any` for staff, whoever owns the job. A state that does not allow the action is
a Problem job_state_conflict. The inspection of an upload cannot be steered: deleting the video ends it.
"""

from __future__ import annotations

from collections.abc import Callable

from django.db import connection, transaction

from jobs import transitions
from jobs.claiming import claims_of_owner_lock
from jobs.models import Job, Step
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
    job = Job.objects.only("owner_id").get(id=job_id)
    with transaction.atomic():
        claims_of_owner_lock(raw_id(job.owner_id))
        return steer(job_id, _to_the_front, word="bumped", states=(Job.Status.QUEUED,))


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


# Deals the places of the owner's waiting steps out anew: those of the job first, the others behind them in
# their order. The set of places stays the same, so nobody else moves. Rows that another transaction holds
# are left out, not waited for: a step that is being claimed or cancelled needs no place.
_BUMP = """
    WITH mine AS MATERIALIZED (
        SELECT s.id, s.job_id, s.place FROM jobs_step s
        WHERE s.lane = %(lane)s AND s.owner_id = %(owner)s AND s.priority = %(priority)s
          AND s.status = 'queued' AND s.place <= (
            SELECT max(o.place) FROM jobs_step o
            WHERE o.job_id = %(job)s AND o.lane = %(lane)s AND o.status = 'queued')
        FOR NO KEY UPDATE SKIP LOCKED
    ), places AS (
        SELECT place, row_number() OVER (ORDER BY place) AS number FROM mine
    ), dealt AS (
        SELECT id, row_number() OVER (ORDER BY job_id <> %(job)s, place) AS number FROM mine
    )
    UPDATE jobs_step s SET place = places.place FROM dealt JOIN places USING (number)
    WHERE s.id = dealt.id AND s.place <> places.place
"""


def _to_the_front(locked: Locked) -> None:
    job = locked.job
    waiting = Step.objects.filter(job=job, status=Step.Status.QUEUED)
    for lane in set(waiting.values_list("lane", flat=True)):
        with connection.cursor() as cursor:
            cursor.execute(
                _BUMP,
                {
                    "lane": lane,
                    "priority": job.priority,
                    "owner": raw_id(job.owner_id),
                    "job": raw_id(job.id),
                },
            )
    transitions.job_save(job)
    publish_on_commit("job.queued", job, queue_position=queue_position(job))
