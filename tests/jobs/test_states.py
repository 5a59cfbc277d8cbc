"""Each state of a job with each action: what is allowed, and a 409 with the state for what is not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from jobs.claiming import step_claim
from jobs.execution import lane_work
from jobs.models import Job, Step
from jobs.services import job_retry
from jobs.steering import job_bump, job_cancel, job_pause, job_resume
from jobs.transitions import job_create
from problems import Problem
from tests.jobs.conftest import Submit
from users.models import Priority, User
from videos.models import Operation, Video
from videos.services.videos import video_intake_fail, video_trash


def job_in(status: str, video: Video, submit: Submit) -> Job:
    """A job brought to the state by the way that leads there."""
    job = submit(video)
    if status == "active":
        assert step_claim(lane="encode", worker="here/1")
    elif status == "paused":
        job_pause(viewer=video.owner, job_id=job.id)
    elif status == "completed":
        assert lane_work(lane="encode")
    elif status == "failed":
        Video.objects.get(id=video.id)
        Job.objects.filter(id=job.id).update(plan={})
        assert lane_work(lane="encode")
        Job.objects.filter(id=job.id).exclude(status="failed").update(attempt=4)
        _give_up(job)
    elif status == "cancelled":
        job_cancel(viewer=video.owner, job_id=job.id)
    job.refresh_from_db()
    assert job.status == status
    return job


def _give_up(job: Job) -> None:
    while not Job.objects.get(id=job.id).is_finished:
        Job.objects.filter(id=job.id).update(run_after=None)
        assert lane_work(lane="encode")


@pytest.mark.parametrize("status", ["queued", "active", "paused"])
def test_cancel_ends_a_live_job(alice: User, video: Video, submit: Submit, status: str) -> None:
    job = job_in(status, video, submit)
    cancelled = job_cancel(viewer=alice, job_id=job.id)

    assert cancelled.status == "cancelled"
    assert cancelled.finished_at is not None
    assert cancelled.cancel_requested_at is not None
    assert cancelled.seq > job.seq
    step = Step.objects.get(job=job)
    assert (step.status, step.lease_token) == ("cancelled", None)
    assert Operation.objects.get().status == Operation.Status.CANCELLED


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_cancel_of_a_finished_job_is_a_conflict(
    alice: User, video: Video, submit: Submit, status: str
) -> None:
    job = job_in(status, video, submit)
    with pytest.raises(Problem, match=status) as caught:
        job_cancel(viewer=alice, job_id=job.id)
    assert (caught.value.code, caught.value.status) == ("job_state_conflict", 409)


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_retry_makes_a_new_job(alice: User, video: Video, submit: Submit, status: str) -> None:
    job = job_in(status, video, submit)
    again = job_retry(viewer=alice, job_id=job.id)

    assert again.id != job.id
    assert (again.status, again.attempt, again.operation_id) == ("queued", 0, job.operation_id)
    assert Operation.objects.get().status == Operation.Status.PENDING
    assert Operation.objects.get().error_code == ""
    assert lane_work(lane="encode")
    assert Operation.objects.get().status == Operation.Status.COMPLETED
    assert Job.objects.get(id=job.id).status == status, "history stays as it was"


@pytest.mark.parametrize("status", ["queued", "active", "paused", "completed"])
def test_retry_of_any_other_job_is_a_conflict(alice: User, video: Video, submit: Submit, status: str) -> None:
    job = job_in(status, video, submit)
    with pytest.raises(Problem, match=status) as caught:
        job_retry(viewer=alice, job_id=job.id)
    assert caught.value.code == "job_state_conflict"


def test_retry_of_an_old_job_whose_operation_runs_again_is_a_conflict(
    alice: User, video: Video, submit: Submit
) -> None:
    job = job_in("cancelled", video, submit)
    job_retry(viewer=alice, job_id=job.id)
    with pytest.raises(Problem) as caught:
        job_retry(viewer=alice, job_id=job.id)
    assert caught.value.code == "job_state_conflict"
    assert Job.objects.count() == 2


def test_retry_needs_the_video(alice: User, video: Video, submit: Submit) -> None:
    job = job_in("cancelled", video, submit)
    video_trash(video=video)
    with pytest.raises(Problem) as caught:
        job_retry(viewer=alice, job_id=job.id)
    assert caught.value.code == "not_found"


def test_a_stranger_finds_no_job(bob: User, video: Video, submit: Submit) -> None:
    job = submit(video)
    for action in (job_cancel, job_pause, job_resume, job_bump, job_retry):
        with pytest.raises(Problem) as caught:
            action(viewer=bob, job_id=job.id)
        assert caught.value.code == "not_found"


@pytest.mark.parametrize("action", [job_cancel, job_pause, job_bump])
def test_intake_cannot_be_steered(alice: User, video: Video, action: Callable[..., Job]) -> None:
    job = job_create(video=video, operation=None, priority=Priority.LOW, plan=None)
    with pytest.raises(Problem) as caught:
        action(viewer=alice, job_id=job.id)
    assert caught.value.code == "job_state_conflict"


STATES = ["queued", "active", "paused", "completed", "failed", "cancelled"]
ALLOWED = {
    job_pause: {"queued": "paused", "active": "paused"},
    job_resume: {"paused": "queued"},
    job_bump: {"queued": "queued"},
}


@pytest.mark.parametrize("status", STATES)
@pytest.mark.parametrize("action", list(ALLOWED))
def test_pause_resume_and_bump_by_state(
    alice: User, video: Video, submit: Submit, status: str, action: Callable[..., Job]
) -> None:
    job = job_in(status, video, submit)
    if becomes := ALLOWED[action].get(status):
        changed = action(viewer=alice, job_id=job.id)
        assert changed.status == becomes
        assert changed.seq > job.seq
        changed.refresh_from_db()
        assert (changed.paused_at is not None) is (changed.status == "paused")
    else:
        with pytest.raises(Problem, match=status) as caught:
            action(viewer=alice, job_id=job.id)
        assert (caught.value.code, caught.value.status) == ("job_state_conflict", 409)
        assert Job.objects.get(id=job.id).seq == job.seq


def test_a_job_that_waits_for_its_next_try_can_be_paused(alice: User, video: Video, submit: Submit) -> None:
    job = submit(video)
    Job.objects.filter(id=job.id).update(run_after=Now() + timedelta(seconds=60))
    job_pause(viewer=alice, job_id=job.id)
    resumed = job_resume(viewer=alice, job_id=job.id)
    assert resumed.run_after is not None
    assert step_claim(lane="encode", worker="here/1") is None


@pytest.mark.parametrize(("code", "allowed"), [("worker_lost", True), ("not_a_video", False)])
def test_intake_is_retried_where_the_fault_was_ours(
    alice: User, video: Video, code: str, allowed: bool
) -> None:
    Video.objects.filter(id=video.id).update(status="processing")
    job = job_create(video=video, operation=None, priority=Priority.LOW, plan=None)
    Step.objects.filter(job=job).update(status="failed")
    Job.objects.filter(id=job.id).update(status="failed", error_code=code, finished_at=Now())
    video_intake_fail(video_id=video.id, problem=Problem(code))

    if allowed:
        again = job_retry(viewer=alice, job_id=job.id)
        assert again.type == Job.INTAKE
        assert lane_work(lane="short")
        assert Video.objects.get().status == Video.Status.READY
    else:
        with pytest.raises(Problem) as caught:
            job_retry(viewer=alice, job_id=job.id)
        assert caught.value.code == "job_state_conflict"
