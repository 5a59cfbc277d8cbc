"""Operations that read other videos: only the owner's, only ready ones, and all of them while they run."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from jobs.execution import lane_work
from jobs.models import Job
from tests.jobs.conftest import Clip, video_make
from users.models import User
from videos.models import Operation, Output, Video
from videos.storage import video_discard


@pytest.fixture
def second(alice: User, clip: Clip) -> Video:
    return video_make(alice, clip, name="Outro")


def join(client: APIClient, video: Video, *others: str) -> Any:
    wish = {"type": "join", "parameters": {"after": others}}
    return client.post(f"/api/v1/videos/{video.id}/operations", wish, format="json")


def test_two_videos_become_one(alices_client: APIClient, video: Video, second: Video) -> None:
    assert join(alices_client, video, second.id).status_code == 202
    assert lane_work(lane="encode")
    job = Job.objects.get()
    assert (job.status, job.error_message) == ("completed", "")
    media_info = Output.objects.get().media_info
    assert media_info is not None
    assert media_info["duration"] == pytest.approx(4, abs=0.1)


def test_a_strangers_video_is_none_of_yours(
    alices_client: APIClient, video: Video, bob: User, clip: Clip
) -> None:
    theirs = video_make(bob, clip)
    for unknown in (theirs.id, "vid_" + "0" * 32):
        answer = join(alices_client, video, unknown)
        assert answer.status_code == 422
        assert answer.json()["errors"] == [
            {
                "pointer": "/parameters",
                "code": "not_found",
                "detail": f"There is no video {unknown} of yours.",
            }
        ]
    assert not Operation.objects.exists()


def test_a_video_that_is_not_ready_has_to_wait(alices_client: APIClient, video: Video, second: Video) -> None:
    Video.objects.filter(pk=second.pk).update(status=Video.Status.PROCESSING)
    answer = join(alices_client, video, second.id)
    assert (answer.status_code, answer.json()["code"]) == (409, "video_not_ready")
    assert not Operation.objects.exists()


def test_a_video_that_was_removed_meanwhile_is_missed(
    alices_client: APIClient, video: Video, second: Video
) -> None:
    assert join(alices_client, video, second.id).status_code == 202
    video_discard(second.id)
    second.delete()
    assert lane_work(lane="encode")
    job = Job.objects.get()
    assert (job.status, job.error_code) == ("failed", "source_missing")
