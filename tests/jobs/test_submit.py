from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TypedDict

import pytest
from django.db import connection

from engine.types.media import MediaInfo
from jobs.execution import lane_work
from jobs.models import Job, Step
from jobs.services import Submission, operation_plan, operation_submit
from jobs.steering import job_cancel
from problems import Problem
from tests.jobs.conftest import Submit
from users.models import Priority, Tier, User
from videos.models import Operation, Video


class Resize(TypedDict):
    type: str
    parameters: dict[str, object]


RESIZE: Resize = {"type": "resize", "parameters": {"width": 160}}


def test_makes_operation_job_and_steps(alice: User, video: Video) -> None:
    made = operation_submit(viewer=alice, video_id=video.id, **RESIZE)

    assert made.created
    assert made.job is not None
    assert made.operation.status == Operation.Status.PENDING
    assert (made.job.status, made.job.type, made.job.owner_id) == ("queued", "resize", alice.id)
    assert made.job.plan is not None
    steps = list(Step.objects.filter(job=made.job))
    assert [(step.position, step.lane, step.status) for step in steps] == [(0, "encode", "queued")]


def test_an_equal_request_finds_the_live_job(alice: User, video: Video) -> None:
    first = operation_submit(viewer=alice, video_id=video.id, **RESIZE)
    again = operation_submit(viewer=alice, video_id=video.id, **RESIZE)

    assert not again.created
    assert again.operation.id == first.operation.id
    assert again.job == first.job


def test_an_equal_request_finds_the_completed_job(alice: User, video: Video) -> None:
    first = operation_submit(viewer=alice, video_id=video.id, **RESIZE)
    assert lane_work(lane="encode")
    again = operation_submit(viewer=alice, video_id=video.id, **RESIZE)

    assert not again.created
    assert again.job == first.job
    assert again.operation.status == Operation.Status.COMPLETED


def test_an_equal_request_runs_a_cancelled_one_again(alice: User, video: Video) -> None:
    first = operation_submit(viewer=alice, video_id=video.id, **RESIZE)
    assert first.job is not None
    job_cancel(viewer=alice, job_id=first.job.id)
    again = operation_submit(viewer=alice, video_id=video.id, **RESIZE)

    assert again.created
    assert again.job is not None
    assert again.job.id != first.job.id
    assert again.operation.id == first.operation.id
    assert again.operation.status == Operation.Status.PENDING


def test_fifty_equal_requests_at_once_make_one_job(alice: User, video: Video) -> None:
    start = threading.Barrier(50)

    def ask(_: int) -> Submission:
        start.wait()
        try:
            return operation_submit(viewer=alice, video_id=video.id, **RESIZE)
        finally:
            connection.close()

    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(ask, range(50)))

    assert sum(answer.created for answer in answers) == 1
    assert len({answer.operation.id for answer in answers}) == 1
    assert {answer.job for answer in answers} == {Job.objects.get()}


@pytest.mark.parametrize(
    ("asked", "granted"),
    [(None, Priority.NORMAL), (Priority.LOW, Priority.LOW), (Priority.HIGH, Priority.NORMAL)],
)
def test_priority_is_that_of_the_tier_or_lower(
    alice: User, video: Video, submit: Submit, asked: int | None, granted: int
) -> None:
    Tier.objects.filter(name="free").update(priority=Priority.NORMAL)
    job = submit(Video.objects.get(id=video.id), priority=asked)

    assert job.priority == granted
    assert job.steps.get().priority == granted


@pytest.mark.parametrize(
    ("type_", "parameters", "code"),
    [
        ("dance", {}, "unknown_operation"),
        ("resize", {"width": 0}, "invalid_parameters"),
        ("resize", {"width": 160, "colour": "red"}, "invalid_parameters"),
        ("resize", {}, "invalid_parameters"),
    ],
)
def test_refuses_what_makes_no_sense(
    alice: User, video: Video, type_: str, parameters: dict[str, object], code: str
) -> None:
    with pytest.raises(Problem) as caught:
        operation_submit(viewer=alice, video_id=video.id, type=type_, parameters=parameters)
    assert caught.value.code == code
    assert not Job.objects.exists()
    assert not Operation.objects.exists()


def test_refuses_what_does_not_fit_the_video(alice: User, video: Video) -> None:
    silent = MediaInfo.model_validate(video.media_info).model_copy(update={"audio": ()})
    Video.objects.filter(id=video.id).update(media_info=silent.model_dump(mode="json"))
    with pytest.raises(Problem) as caught:
        operation_submit(viewer=alice, video_id=video.id, type="extract_audio", parameters={"format": "mp3"})
    assert caught.value.code == "no_audio_stream"


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ({"status": "processing"}, "video_not_ready"),
        ({"status": "failed", "error_code": "not_a_video"}, "video_failed"),
    ],
)
def test_refuses_a_video_that_is_not_ready(
    alice: User, video: Video, state: dict[str, str], code: str
) -> None:
    Video.objects.filter(id=video.id).update(**state)
    with pytest.raises(Problem) as caught:
        operation_submit(viewer=alice, video_id=video.id, **RESIZE)
    assert caught.value.code == code


def test_a_strangers_video_is_not_found(bob: User, video: Video) -> None:
    with pytest.raises(Problem) as caught:
        operation_submit(viewer=bob, video_id=video.id, **RESIZE)
    assert caught.value.code == "not_found"


def test_a_plan_starts_nothing(alice: User, video: Video) -> None:
    plan = operation_plan(viewer=alice, video_id=video.id, **RESIZE)

    assert plan.operation == "resize"
    assert plan.streams
    assert not Operation.objects.exists()
    assert not Job.objects.exists()
