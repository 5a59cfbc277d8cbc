"""Two actions on one job at the same moment: it ends in one state that is whole, whoever was first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import combinations_with_replacement

import pytest
from django.db import connection

from jobs import outcomes
from jobs.claiming import Claim, step_claim
from jobs.models import Job, Step
from jobs.placement import job_move_any, job_prioritise_any
from jobs.steering import job_bump_any, job_cancel_any, job_pause_any, job_reorder_any, job_resume_any
from problems import Problem
from tests.jobs.conftest import Submit
from users.models import Priority, User
from videos.models import Operation, Video

TAKEN = {"active", "held"}
ALWAYS = ("cancel", "pause", "resume", "bump", "move", "priority", "lane", "claim")
OF_WORKERS = ("publish", "hand back")
REFUSALS = {"job_state_conflict", "job_order_conflict"}


def whole(job_id: str) -> str:
    """The job's state, after everything that must go with it was looked at."""
    job = Job.objects.select_related("operation").get(id=job_id)
    steps = list(Step.objects.filter(job=job))
    states = {step.status for step in steps}
    allowed = {
        "queued": {"queued"},
        "active": {"active"},
        "paused": {"paused", "active"},
        "completed": {"done"},
        "cancelled": {"cancelled"},
    }
    assert states <= allowed[job.status], (job.status, states)
    assert (job.finished_at is not None) is job.is_finished
    assert (job.paused_at is not None) is (job.status == "paused")
    assert all((step.lease_token is not None) is (step.status == "active") for step in steps)
    assert len({step.priority for step in steps} | {job.priority}) == 1
    assert job.operation is not None
    shown = {"queued": "pending", "active": "processing", "paused": None}.get(job.status, job.status)
    assert shown is None or job.operation.status == Operation.Status(shown) or job.status == "queued"
    return job.status


Race = Callable[[], object]


def actions(job: Job, other: Job, taken: Claim | None) -> dict[str, Race]:
    found: dict[str, Race] = {
        "cancel": partial(job_cancel_any, job_id=job.id),
        "pause": partial(job_pause_any, job_id=job.id),
        "resume": partial(job_resume_any, job_id=job.id),
        "bump": partial(job_bump_any, job_id=job.id),
        "move": partial(job_reorder_any, job_id=job.id, beside=other.id, before=False),
        "priority": partial(job_prioritise_any, job_id=job.id, priority=Priority.HIGH),
        "lane": partial(job_move_any, job_id=job.id, lane="short"),
        "claim": partial(step_claim, lane="encode", worker="here/1"),
    }
    if taken is not None:
        found["publish"] = partial(outcomes.step_publish, taken, placed=(), cpu_seconds=0, log="")
        found["hand back"] = partial(outcomes.step_hand_back, taken)
    return found


@pytest.mark.parametrize("status", ["queued", "active", "paused", "held"])
def test_two_at_once(alice: User, video: Video, submit: Submit, status: str) -> None:
    User.objects.filter(pk=alice.pk).update(concurrent_jobs_override=100)

    def run(barrier: threading.Barrier, act: Race) -> str:
        barrier.wait()
        try:
            act()
        except Problem as problem:
            return problem.code
        else:
            return "ok"
        finally:
            connection.close()

    names = [*ALWAYS, *(OF_WORKERS if status in TAKEN else ())]
    with ThreadPoolExecutor(2) as threads:
        for pair in combinations_with_replacement(names, 2):
            job = submit(video, width=160)
            taken = step_claim(lane="encode", worker="here/1") if status in TAKEN else None
            if status in {"paused", "held"}:
                job_pause_any(job_id=job.id)
            other = submit(video, width=162)
            known = actions(job, other, taken)
            barrier = threading.Barrier(2)
            said = list(threads.map(partial(run, barrier), [known[name] for name in pair]))
            assert set(said) <= {"ok", *REFUSALS}, (pair, said)
            after = whole(job.id)
            if "cancel" in pair and "publish" not in pair:
                assert after == "cancelled", (pair, said)
                assert pair[0] != pair[1] or sorted(said) == ["job_state_conflict", "ok"]
            if after == "completed":
                assert Job.objects.get(id=job.id).progress == 100
            Operation.objects.all().delete()
            Job.objects.all().delete()
