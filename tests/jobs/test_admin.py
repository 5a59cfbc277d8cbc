from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from jobs.execution import lane_work
from jobs.models import Job
from tests.jobs.conftest import Submit
from users.models import User
from videos.models import Video


@pytest.fixture
def admin(carol: User) -> Client:
    client = Client()
    client.force_login(carol)
    return client


def act(client: Client, action: str, *jobs: Job) -> str:
    answer = client.post(
        "/admin/jobs/job/", {"action": action, "_selected_action": [job.id for job in jobs]}, follow=True
    )
    assert answer.status_code == 200
    return answer.content.decode()


def test_lists_finds_and_shows(admin: Client, alice: User, video: Video, submit: Submit) -> None:
    job, other = submit(video, width=160), submit(video, width=162)
    assert job.id in admin.get("/admin/jobs/job/").content.decode()
    both = {job.id, other.id}
    searches = {
        job.id: {job.id},
        video.id: both,
        "Holiday": both,
        alice.username: both,
        "job_" + "0" * 32: set(),
        "nothing": set(),
    }
    for words, hits in searches.items():
        page = admin.get("/admin/jobs/job/", {"q": words}).content.decode()
        shown = {one for one in both if f'name="_selected_action" value="{one}"' in page}
        assert shown == hits, words
    page = admin.get(f"/admin/jobs/job/{job.id}/change/").content.decode()
    assert "encode" in page
    assert 'name="_save"' not in page, "nothing is edited by hand"


def test_list_needs_few_queries(
    admin: Client, video: Video, submit: Submit, django_assert_max_num_queries: pytest.FixtureRequest
) -> None:
    for width in range(160, 190, 2):
        submit(video, width=width)
    with django_assert_max_num_queries(12):  # type: ignore[operator]  # pytest-django's own fixture type
        admin.get("/admin/jobs/job/")


def test_cancels_and_retries_and_says_what_it_skipped(admin: Client, video: Video, submit: Submit) -> None:
    done = submit(video, width=160)
    assert lane_work(lane="encode")
    waiting = submit(video, width=162)

    page = act(admin, "cancel_selected", done, waiting)
    assert "1 job was cancelled." in page
    assert "1 skipped: A job that is completed cannot be cancelled." in page
    waiting.refresh_from_db()
    assert waiting.status == Job.Status.CANCELLED

    page = act(admin, "retry_selected", done, waiting)
    assert "1 job was queued again." in page
    assert "1 skipped: A job that is completed cannot be retried." in page
    assert Job.objects.filter(status="queued", operation=waiting.operation).count() == 1


def test_pauses_resumes_and_bumps(admin: Client, video: Video, submit: Submit) -> None:
    first, second = submit(video, width=160), submit(video, width=162)
    assert "1 job was bumped." in act(admin, "bump_selected", second)
    assert "2 jobs were paused." in act(admin, "pause_selected", first, second)
    assert "1 skipped: A job that is paused cannot be bumped." in act(admin, "bump_selected", first)
    assert "2 jobs were resumed." in act(admin, "resume_selected", first, second)
    assert "1 skipped: A job that is queued cannot be resumed." in act(admin, "resume_selected", first)
    assert lane_work(lane="encode")
    second.refresh_from_db()
    assert second.status == Job.Status.COMPLETED


def test_staff_who_may_only_look_cannot_steer(alice: User, video: Video, submit: Submit) -> None:
    job = submit(video)
    alice.is_staff = True
    alice.save()
    alice.user_permissions.add(Permission.objects.get(codename="view_job"))
    client = Client()
    client.force_login(alice)

    assert client.get("/admin/jobs/job/").status_code == 200
    for action in ("cancel_selected", "pause_selected"):
        act(client, action, job)
        job.refresh_from_db()
        assert job.status == Job.Status.QUEUED
