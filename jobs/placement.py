"""Where and how early a job waits, as administrators decide it: its priority and its lane.

A state that does not allow the change is a Problem job_state_conflict. The inspection of an upload keeps
its place.
"""

from __future__ import annotations

from jobs import transitions
from jobs.dispatch import wake_on_commit
from jobs.events import JobEventType
from jobs.models import Job, Step
from jobs.publish import publish_on_commit
from jobs.selectors import queue_position
from jobs.steering import steer
from jobs.transitions import Locked
from users.models import Priority

_EVENTS: dict[str, JobEventType] = {
    Job.Status.QUEUED: "job.queued",
    Job.Status.ACTIVE: "job.started",
    Job.Status.PAUSED: "job.paused",
}


def job_prioritise_any(*, job_id: str, priority: int) -> Job:
    """Gives a live job another priority, also beyond what its owner's tier grants.

    What runs goes on; the steps that wait take their new places.
    """

    def act(locked: Locked) -> None:
        locked.job.priority = Priority(priority)
        locked.job.save(update_fields=["priority"])
        Step.objects.filter(job=locked.job).update(priority=locked.job.priority)
        _tell(locked.job)

    return steer(job_id, act, word="given another priority", states=Job.LIVE)


def job_move_any(*, job_id: str, lane: str) -> Job:
    """Lets a job that waits or is paused, but held by no worker, go on in another lane."""
    target = Step.Lane(lane)

    def act(locked: Locked) -> None:
        unstarted = Step.objects.filter(
            job=locked.job, status__in=[Step.Status.QUEUED, Step.Status.PAUSED, Step.Status.BLOCKED]
        ).exclude(lane=target)
        if unstarted.update(lane=target) and locked.job.status == Job.Status.QUEUED:
            wake_on_commit(target)
        _tell(locked.job)

    return steer(job_id, act, word="moved", states=(Job.Status.QUEUED, Job.Status.PAUSED))


def _tell(job: Job) -> None:
    transitions.job_save(job)
    publish_on_commit(_EVENTS[job.status], job, queue_position=queue_position(job))
