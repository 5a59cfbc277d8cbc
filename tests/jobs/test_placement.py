"""Moving jobs between lanes and priorities: each state with each action, and that workers go along."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from jobs.claiming import step_claim
from jobs.execution import lane_work
from jobs.models import Job, Step
from jobs.placement import job_move_any, job_prioritise_any
from jobs.services import job_retry_any
from jobs.transitions import job_create
from problems import Problem
from tests.jobs.conftest import Submit
from tests.jobs.test_states import STATES, job_in
from users.models import Priority
from videos.models import Video

ALLOWED: list[tuple[Callable[..., Job], set[str]]] = [
    (partial(job_move_any, lane="short"), {"queued", "paused"}),
    (partial(job_prioritise_any, priority=Priority.HIGH), {"queued", "active", "paused"}),
    (partial(job_retry_any, lane="short"), {"failed", "cancelled"}),
]


@pytest.mark.parametrize("status", STATES)
def test_by_state(video: Video, submit: Submit, status: str) -> None:
    job = job_in(status, video, submit)
    for action, states in ALLOWED:
        if status not in states:
            with pytest.raises(Problem, match=status) as caught:
                action(job_id=job.id)
            assert (caught.value.code, caught.value.status) == ("job_state_conflict", 409)
            assert Job.objects.get(id=job.id).seq == job.seq
    for action, states in ALLOWED:
        if status in states:
            changed = action(job_id=job.id)
            assert changed.status == (status if changed.id == job.id else "queued")
            assert changed.seq > job.seq or changed.id != job.id
    lane, priority = Step.objects.order_by("id").values_list("lane", "priority").last() or ("", -1)
    assert lane == ("encode" if status in {"active", "completed"} else "short")
    assert (priority == Priority.HIGH) is (status in Job.LIVE)
    assert Job.objects.count() == (2 if status in {"failed", "cancelled"} else 1)


def test_a_moved_job_runs_in_its_new_lane(video: Video, submit: Submit) -> None:
    job = submit(video)
    job_move_any(job_id=job.id, lane="short")
    job_move_any(job_id=job.id, lane="short")
    assert not lane_work(lane="encode")
    assert lane_work(lane="short")
    assert Job.objects.get(id=job.id).status == Job.Status.COMPLETED


def test_what_a_worker_holds_stays_where_it_is(video: Video, submit: Submit) -> None:
    job = job_in("active", video, submit)
    Job.objects.filter(id=job.id).update(status="paused", paused_at=job.started_at)
    job_move_any(job_id=job.id, lane="short")
    assert Step.objects.get(job=job.id).lane == "encode"


def test_a_higher_priority_is_claimed_first(video: Video, submit: Submit) -> None:
    submit(video, width=160)
    late = submit(video, width=162)
    job_prioritise_any(job_id=late.id, priority=Priority.HIGH)
    claim = step_claim(lane="encode", worker="here/1")
    assert claim is not None
    assert claim.job.id == late.id


def test_the_inspection_of_an_upload_keeps_its_place(video: Video) -> None:
    job = job_create(video=video, operation=None, priority=Priority.LOW, plan=None)
    for action, _ in ALLOWED[:2]:
        with pytest.raises(Problem) as caught:
            action(job_id=job.id)
        assert caught.value.code == "job_state_conflict"
