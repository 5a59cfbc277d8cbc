"""What a failure proposes instead, and that one step starts it."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from engine.types.plan import Plan
from jobs.events import job_state
from jobs.execution import lane_work
from jobs.models import Job
from jobs.services import job_fix, operation_plan, operation_submit
from problems import Problem
from users.models import User
from videos.models import Video


@pytest.fixture
def failed(alice: User, video: Video) -> Job:
    """A plan of another time copied what cannot be copied."""
    job = operation_submit(viewer=alice, video_id=video.id, type="convert", parameters={"format": "mkv"}).job
    assert job is not None
    plan = Plan.model_validate(job.plan)
    step = plan.steps[0]
    run = step.runs[0]
    file = run.files[0].model_copy(update={"muxer": "webm"})
    step = step.model_copy(update={"runs": (run.model_copy(update={"files": (file,)}),)})
    job.plan = plan.model_copy(update={"steps": (step,)}).model_dump(mode="json")
    job.save(update_fields=["plan"])
    assert lane_work(lane="short")
    job.refresh_from_db()
    assert job.status == "failed"
    return job


def test_a_failed_job_proposes_what_would_work(alice: User, failed: Job) -> None:
    error = job_state(failed)["error"]
    assert error is not None
    assert error["code"] == "copy_impossible"
    assert error["fix"] == {
        "type": "convert",
        "parameters": {"format": "mkv", "quality": "medium", "preset": "medium"},
        "words": "Encode the picture instead of copying it",
    }
    started = job_fix(viewer=alice, job_id=failed.id)
    assert started.created
    assert started.operation.parameters == {"format": "mkv", "quality": "medium", "preset": "medium"}
    assert lane_work(lane="encode")
    done = Job.objects.get(operation=started.operation)
    assert done.status == "completed"
    with pytest.raises(Problem) as caught:
        job_fix(viewer=alice, job_id=done.id)
    assert caught.value.code == "job_state_conflict"


def test_the_proposal_is_a_button(client: Client, alice: User, failed: Job) -> None:
    client.force_login(alice)
    page = client.get(reverse("job", kwargs={"job_id": failed.id})).content.decode()
    assert "Encode the picture instead of copying it" in page
    answer = client.post(reverse("job-fix", kwargs={"job_id": failed.id}))
    job = Job.objects.exclude(id=failed.id).get()
    assert answer.headers["Location"] == reverse("job", kwargs={"job_id": job.id})


def test_nobody_else_starts_it(failed: Job, bob: User) -> None:
    with pytest.raises(Problem) as caught:
        job_fix(viewer=bob, job_id=failed.id)
    assert caught.value.code == "not_found"


def test_a_refused_wish_says_what_would_fit(client: Client, alice: User, video: Video) -> None:
    wish = {"width": 4000, "height": 100}
    with pytest.raises(Problem) as caught:
        operation_plan(viewer=alice, video_id=video.id, type="crop", parameters=wish)
    assert caught.value.code == "parameters_do_not_fit"
    assert caught.value.data["fix"]["parameters"] == {"width": 320, "height": 100, "auto": False}
    client.force_login(alice)
    address = reverse("operation-plan", kwargs={"video_id": video.id, "type_": "crop"})
    sent = {f"crop-{name}": value for name, value in wish.items()}
    page = client.post(address, sent, headers={"HX-Request": "true"}).content.decode()
    assert "Crop to 320x100, inside the picture" in page
    assert "&quot;crop-width&quot;: &quot;320&quot;" in page
