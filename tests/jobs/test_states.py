"""Each state of a job with each action of each actor: what it leads to, or a stable refusal that changes
nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import NamedTuple

import pytest
from django.db.models.functions import Now
from rest_framework.test import APIClient

from jobs import outcomes
from jobs.api_urls import urlpatterns
from jobs.claiming import Claim, step_claim
from jobs.execution import lane_work
from jobs.models import Job, Step
from jobs.placement import job_move_any, job_prioritise_any
from jobs.services import job_retry, job_retry_any
from jobs.steering import (
    job_bump,
    job_bump_any,
    job_cancel,
    job_cancel_any,
    job_pause,
    job_pause_any,
    job_reorder_any,
    job_resume,
    job_resume_any,
)
from jobs.transitions import job_create
from problems import Problem
from tests.conftest import client_of
from tests.jobs.conftest import Submit
from users.models import Priority, User
from videos.models import Operation, Video
from videos.services.videos import video_intake_fail, video_trash

STATES = ["queued", "active", "paused", "completed", "failed", "cancelled"]


def claimed() -> Claim:
    taken = step_claim(lane="encode", worker="here/1")
    assert taken is not None
    return taken


def job_in(status: str, video: Video, submit: Submit, *, width: int = 160) -> Job:
    """A job brought to the state by the way that leads there; nothing else must wait meanwhile. `held` is
    paused while a worker holds it, `retrying` waits for its next try."""
    job = submit(video, width=width)
    if status in {"active", "held", "completed", "failed", "retrying"}:
        claim = claimed()
        if status == "completed":
            assert outcomes.step_publish(claim, placed=(), cpu_seconds=0, log="")
        elif status == "failed":
            assert outcomes.step_fail(claim, Problem("no_video_stream"))
        elif status == "retrying":
            assert outcomes.step_fail(claim, Problem("encoder_crashed", signal=11))
    if status in {"paused", "held"}:
        job_pause(viewer=video.owner, job_id=job.id)
    elif status == "cancelled":
        job_cancel(viewer=video.owner, job_id=job.id)
    job.refresh_from_db()
    assert job.status == {"held": "paused", "retrying": "queued"}.get(status, status)
    return job


class Action(NamedTuple):
    """`becomes` has the state after it, for each state that allows it. `other` is a job that waits."""

    becomes: dict[str, str]
    by_owner: Callable[[APIClient, Job, Job], tuple[int, dict[str, object]]] | None
    by_admin: Callable[[Job, Job], Job]


def post(path: str, body: str = "") -> Callable[[APIClient, Job, Job], tuple[int, dict[str, object]]]:
    def act(client: APIClient, job: Job, other: Job) -> tuple[int, dict[str, object]]:
        data = body.replace("OTHER", other.id)
        answer = client.post(f"/api/v1/jobs/{job.id}/{path}", data, content_type="application/json")
        return answer.status_code, answer.json()

    return act


WAITS = {"queued": "queued", "retrying": "queued"}
LIVE = {**WAITS, "active": "active", "paused": "paused", "held": "paused"}
ACTIONS = {
    "cancel": Action(
        dict.fromkeys(LIVE, "cancelled"), post("cancel"), lambda job, _: job_cancel_any(job_id=job.id)
    ),
    "pause": Action(
        dict.fromkeys((*WAITS, "active"), "paused"),
        post("pause"),
        lambda job, _: job_pause_any(job_id=job.id),
    ),
    "resume": Action(
        {"paused": "queued", "held": "active"}, post("resume"), lambda job, _: job_resume_any(job_id=job.id)
    ),
    "bump": Action(WAITS, post("bump"), lambda job, _: job_bump_any(job_id=job.id)),
    "move": Action(
        WAITS,
        post("move", '{"before": "OTHER"}'),
        lambda job, other: job_reorder_any(job_id=job.id, beside=other.id, before=False),
    ),
    "retry": Action(
        {"failed": "queued", "cancelled": "queued"},
        post("retry"),
        lambda job, _: job_retry_any(job_id=job.id),
    ),
    "priority": Action(LIVE, None, lambda job, _: job_prioritise_any(job_id=job.id, priority=Priority.HIGH)),
    "lane": Action(
        {**WAITS, "paused": "paused", "held": "paused"},
        None,
        lambda job, _: job_move_any(job_id=job.id, lane="short"),
    ),
}


@pytest.fixture
def cells(
    alice: User, video: Video, submit: Submit
) -> Callable[[str], Iterator[tuple[str, Action, Job, Job]]]:
    """For each action a job in the state, and another one that waits; both go before the next."""
    User.objects.filter(pk=alice.pk).update(concurrent_jobs_override=100)
    widths = count(160, 2)

    def cells(status: str) -> Iterator[tuple[str, Action, Job, Job]]:
        for name, action in ACTIONS.items():
            job = job_in(status, video, submit, width=next(widths))
            other = submit(video, width=next(widths))
            yield name, action, job, other
            for left in Job.objects.filter(finished_at=None):
                job_cancel_any(job_id=left.id)

    return cells


Cells = Callable[[str], Iterator[tuple[str, Action, Job, Job]]]
ALL_STATES = [*STATES, "held", "retrying"]


def unchanged(job: Job) -> bool:
    now = Job.objects.get(id=job.id)
    return (now.status, now.seq, now.priority) == (job.status, job.seq, job.priority)


@pytest.mark.parametrize("status", ALL_STATES)
def test_owner(alice: User, cells: Cells, status: str) -> None:
    client = client_of(alice)
    for name, action, job, other in cells(status):
        if action.by_owner is None:
            continue
        code, answer = action.by_owner(client, job, other)
        if becomes := action.becomes.get(status):
            assert (code, answer["status"]) == (200, becomes), (name, status)
            changed = Job.objects.get(id=str(answer["id"]))
            assert (changed.id == job.id) is (name != "retry")
            assert changed.id != job.id or changed.seq > job.seq
            assert (changed.paused_at is not None) is (changed.status == "paused")
        else:
            assert (code, answer["code"]) == (409, "job_state_conflict"), (name, status)
            assert unchanged(job)


@pytest.mark.parametrize("status", ALL_STATES)
def test_stranger(bob: User, cells: Cells, status: str) -> None:
    client, nobody = client_of(bob), APIClient()
    for name, action, job, other in cells(status):
        if action.by_owner is None:
            continue
        code, answer = action.by_owner(client, job, other)
        assert (code, answer["code"]) == (404, "not_found"), (name, status)
        code, answer = action.by_owner(nobody, job, other)
        assert (code, answer["code"]) == (401, "not_authenticated"), (name, status)
        assert unchanged(job)


@pytest.mark.parametrize("status", ALL_STATES)
def test_admin(cells: Cells, status: str) -> None:
    for name, action, job, other in cells(status):
        if becomes := action.becomes.get(status):
            assert action.by_admin(job, other).status == becomes, (name, status)
        else:
            with pytest.raises(Problem, match=job.status) as caught:
                action.by_admin(job, other)
            assert (caught.value.code, caught.value.status) == ("job_state_conflict", 409), (name, status)
            assert unchanged(job)


def test_every_address_that_steers_is_in_the_matrix() -> None:
    """A new one must be added above."""
    steering = {path.name for path in urlpatterns if str(path.pattern).startswith("jobs/<str:job_id>/")}
    assert steering - {"api-job-log"} == {
        f"api-job-{name}" for name, action in ACTIONS.items() if action.by_owner is not None
    }


# ----------------------------------------------------------------------------------------- what else they do


@pytest.mark.parametrize("status", ["queued", "active", "paused"])
def test_cancel_ends_a_live_job(alice: User, video: Video, submit: Submit, status: str) -> None:
    job = job_in(status, video, submit)
    cancelled = job_cancel(viewer=alice, job_id=job.id)

    assert cancelled.finished_at is not None
    assert cancelled.cancel_requested_at is not None
    step = Step.objects.get(job=job)
    assert (step.status, step.lease_token) == ("cancelled", None)
    assert Operation.objects.get().status == Operation.Status.CANCELLED


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_retry_makes_a_new_job(alice: User, video: Video, submit: Submit, status: str) -> None:
    job = job_in(status, video, submit)
    again = job_retry(viewer=alice, job_id=job.id)

    assert (again.status, again.attempt, again.operation_id) == ("queued", 0, job.operation_id)
    assert Operation.objects.get().status == Operation.Status.PENDING
    assert Operation.objects.get().error_code == ""
    assert lane_work(lane="encode")
    assert Operation.objects.get().status == Operation.Status.COMPLETED
    assert Job.objects.get(id=job.id).status == status, "history stays as it was"


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


@pytest.mark.parametrize("action", [job_cancel, job_pause, job_bump])
def test_intake_cannot_be_steered(alice: User, video: Video, action: Callable[..., Job]) -> None:
    job = job_create(video=video, operation=None, priority=Priority.LOW, plan=None)
    with pytest.raises(Problem) as caught:
        action(viewer=alice, job_id=job.id)
    assert caught.value.code == "job_state_conflict"


def test_a_job_that_waits_for_its_next_try_can_be_paused(alice: User, video: Video, submit: Submit) -> None:
    job = job_in("retrying", video, submit)
    job_pause(viewer=alice, job_id=job.id)
    resumed = job_resume(viewer=alice, job_id=job.id)
    assert resumed.run_after is not None
    assert step_claim(lane="encode", worker="here/1") is None
    Step.objects.update(run_after=Now())
    assert claimed().attempt == 2


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
