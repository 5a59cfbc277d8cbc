"""Who sees which page, and that no page breaks the content policy."""

from __future__ import annotations

import re

import pytest
from django.test import Client, RequestFactory
from django.urls import reverse

from problems import Problem
from tests.pages.conftest import MakeJob, video_make
from users.models import User
from videoproc.problem_responses import respond
from videos.models import Upload, Video

PRIVATE = ["library", "upload", "assets", "jobs", "statistics", "account", "running"]
# Anything a strict policy without 'unsafe-inline' would refuse to run or to apply.
INLINE = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>|<style|\sstyle=|\son[a-z]+=|javascript:", re.IGNORECASE)


@pytest.mark.django_db
@pytest.mark.parametrize("name", PRIVATE)
def test_strangers_are_sent_to_the_sign_in_page(client: Client, name: str) -> None:
    address = reverse(name)
    response = client.get(address)
    assert response.status_code == 302
    assert response.headers["Location"] == f"{reverse('account_login')}?next={address}"


@pytest.mark.django_db
def test_the_start_page_tells_strangers_what_this_is(client: Client) -> None:
    page = client.get("/").content.decode()
    assert reverse("account_signup") in page
    assert reverse("account_login") in page


def _addresses_of(video: Video, job_id: str, operation_id: str) -> list[tuple[str, str]]:
    video_id = {"video_id": video.id}
    job = {"job_id": job_id}
    operation = {**video_id, "type_": "resize"}
    return [
        ("GET", reverse("video", kwargs=video_id)),
        ("GET", reverse("video-tile", kwargs=video_id)),
        ("POST", reverse("video-rename", kwargs=video_id)),
        ("POST", reverse("video-delete", kwargs=video_id)),
        ("GET", reverse("job", kwargs=job)),
        ("GET", reverse("job-row", kwargs=job)),
        ("GET", reverse("job-log", kwargs=job)),
        ("POST", reverse("job-cancel", kwargs=job)),
        ("POST", reverse("job-pause", kwargs=job)),
        ("POST", reverse("job-resume", kwargs=job)),
        ("POST", reverse("job-bump", kwargs=job)),
        ("POST", reverse("job-retry", kwargs=job)),
        ("GET", reverse("operation-card", kwargs={"operation_id": operation_id})),
        ("POST", reverse("operation-create", kwargs=operation)),
    ]


def test_what_belongs_to_someone_else_is_not_there(
    strangers_browser: Client, video: Video, make_job: MakeJob, alice: User
) -> None:
    job = make_job(video)
    assert job.operation is not None
    for method, address in _addresses_of(video, job.id, job.operation.id):
        response = strangers_browser.generic(method, address)
        assert response.status_code == 404, f"{method} {address}"
        assert "not_found" in response.content.decode()
    upload = Upload.objects.create(owner=alice, filename="a.mp4", length=10, expires_at=video.created_at)
    address = reverse("upload-discard", kwargs={"upload_id": upload.id})
    assert strangers_browser.post(address).status_code == 404
    video.refresh_from_db()
    job.refresh_from_db()
    assert (video.name, video.deleted_at, job.status) == ("Holiday", None, "active")
    assert Upload.objects.filter(pk=upload.pk).exists()


@pytest.mark.parametrize("address", ["/videos/vid_0/", "/videos/..%2f/", "/jobs/job_zz/", "/nothing/"])
def test_nonsense_in_an_address_is_not_found(browser: Client, address: str) -> None:
    assert browser.get(address).status_code == 404


def test_a_page_that_only_takes_posts_refuses_to_be_opened(browser: Client, video: Video) -> None:
    assert browser.get(reverse("video-delete", kwargs={"video_id": video.id})).status_code == 405


def test_a_forged_post_is_refused(alice: User, video: Video) -> None:
    forger = Client(enforce_csrf_checks=True)
    forger.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    response = forger.post(reverse("video-delete", kwargs={"video_id": video.id}))
    assert response.status_code == 403
    video.refresh_from_db()
    assert video.deleted_at is None


def test_no_page_carries_inline_scripts_or_styles(
    browser: Client, client: Client, alice: User, video: Video, make_job: MakeJob
) -> None:
    for number, status in enumerate(["queued", "active", "completed", "cancelled"], 100):
        make_job(video, status, width=number * 2)
    failed = make_job(video, "failed", error_code="encoder_stalled", error_message="It stood still.", log="x")
    broken = video_make(alice, status="failed", error_code="not_a_video", error_message="No video.")
    fresh = video_make(alice, status="processing")
    private = ["/", *map(reverse, PRIVATE), reverse("job", kwargs={"job_id": failed.id})]
    private += [reverse("video", kwargs={"video_id": shown.id}) for shown in (video, broken, fresh)]
    public = [
        "/",
        "/accounts/login/",
        "/accounts/signup/",
        "/accounts/password/reset/",
        "/nothing/",
        "/api/docs",
    ]
    pages = [(address, browser.get(address)) for address in private]
    pages += [(address, client.get(address)) for address in public]
    for address, response in pages:
        found = INLINE.search(response.content.decode())
        assert found is None, f"{address}: {found}"
        assert "'unsafe-inline'" not in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize("code", ["not_found", "permission_denied", "internal_error", "service_unavailable"])
def test_a_problem_shows_without_a_database(rf: RequestFactory, code: str) -> None:
    # Without the db mark pytest refuses every query, as a dead database would.
    response = respond(rf.get("/videos/"), Problem(code))
    page = response.content.decode()
    assert response.status_code == Problem(code).status
    assert Problem(code).detail in page
    assert Problem(code).hint in page
    assert code in page
