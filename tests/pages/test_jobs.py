"""The start page, jobs, and asking for operations."""

from __future__ import annotations

import json
import re
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from engine import catalogue
from jobs.forms import OperationForm
from jobs.models import Job, Step
from tests.pages.conftest import MEDIA, MakeJob, video_make
from users.models import User
from videos.models import Operation, Video

HTMX = {"HX-Request": "true"}


def _address(name: str, video: Video, type_: str = "resize") -> str:
    return reverse(name, kwargs={"video_id": video.id, "type_": type_})


def test_the_start_page_is_empty_at_first(browser: Client) -> None:
    page = browser.get("/").content.decode()
    assert "Bring your first video" in page
    assert "/api/v1/videos" in page


def test_the_start_page_renders_what_runs(browser: Client, video: Video, make_job: MakeJob) -> None:
    left = {"eta_seconds": 74, "eta_low": 60, "eta_high": 90, "eta_at": timezone.now()}
    job = make_job(video, progress=63.7, speed=2.31, attempt=1, **left)
    lease = {"status": "active", "lease_until": timezone.now(), "lease_token": uuid4(), "worker": "here/1"}
    Step.objects.create(job=job, owner=job.owner, position=0, lane="encode", priority=9, **lease)
    page = browser.get("/").content.decode()
    assert f'data-job-id="{job.id}"' in page
    assert '<progress max="100" value="63"' in page
    assert "63 %" in page
    assert "2.3×" in page
    assert re.search(r"1:1[0-4] left \([01]:\d\d to 1:[23]\d\)", page)


@pytest.mark.parametrize("type_", list(catalogue.operations()))
def test_every_operation_has_a_form_with_every_parameter(type_: str) -> None:
    form = OperationForm(type_, MEDIA)
    fields = catalogue.operation_for(type_).Parameters.model_fields
    assert list(form.fields) == list(fields)
    for name, info in fields.items():
        assert form.fields[name].required is info.is_required()
        assert form.fields[name].label == info.title
        assert form.fields[name].help_text == info.description


def test_the_plan_is_shown_before_anything_starts(browser: Client, video: Video) -> None:
    response = browser.post(_address("operation-plan", video), {"resize-width": "640"}, headers=HTMX)
    page = response.content.decode()
    assert "640x360" in page
    assert "Encode" in page
    assert "Copy" in page
    assert not Operation.objects.exists()


def test_a_plan_that_cannot_be_says_why(browser: Client, video: Video) -> None:
    page = browser.post(_address("operation-plan", video), {}, headers=HTMX).content.decode()
    assert "Give a width, a height or both, or a short side." in page


@pytest.mark.django_db(transaction=True)
def test_starting_an_operation_brings_the_list_up_to_date(browser: Client, video: Video) -> None:
    response = browser.post(_address("operation-create", video), {"resize-width": "640"}, headers=HTMX)
    job = Job.objects.get()
    page = response.content.decode()
    assert f'data-job-id="{job.id}"' in page
    assert 'hx-swap-oob="true"' in page
    assert json.loads(response.headers["HX-Trigger"])["notice"]["text"] == "It is started."
    again = browser.post(_address("operation-create", video), {"resize-width": "640"}, headers=HTMX)
    assert "before" in json.loads(again.headers["HX-Trigger"])["notice"]["text"]
    assert Job.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_operation_starts_without_scripts_too(browser: Client, video: Video) -> None:
    response = browser.post(_address("operation-create", video), {"resize-width": "640"})
    assert response.status_code == 302
    assert response.headers["Location"] == reverse("video", kwargs={"video_id": video.id})
    assert Operation.objects.get().parameters["width"] == 640


@pytest.mark.parametrize("width", ["0", "-1", "1000000000", "abc", "12.5"])
@pytest.mark.parametrize("headers", [HTMX, {}])
def test_wrong_values_are_named_beside_their_field(
    browser: Client, video: Video, width: str, headers: dict[str, str]
) -> None:
    response = browser.post(_address("operation-create", video), {"resize-width": width}, headers=headers)
    page = response.content.decode()
    assert "There is a problem" in page
    assert 'id="id_resize-width_error"' in page
    assert f'value="{width}"' in page, "what was typed is kept"
    assert ("HX-Retarget" in response.headers) is bool(headers)
    assert not Operation.objects.exists()


def test_an_operation_nobody_knows_is_refused(browser: Client, video: Video) -> None:
    assert browser.post(_address("operation-create", video, "explode"), {}).status_code == 422


def test_no_jobs_and_no_such_jobs_differ(browser: Client, video: Video, make_job: MakeJob) -> None:
    assert "No jobs yet" in browser.get("/jobs/").content.decode()
    make_job(video)
    page = browser.get("/jobs/", {"status": "failed"}).content.decode()
    assert "No such jobs" in page
    assert "No jobs yet" not in page


def test_jobs_are_filtered(browser: Client, bob: User, video: Video, make_job: MakeJob) -> None:
    active = make_job(video, width=100)
    failed = make_job(video, "failed", width=200, error_code="worker_lost", error_message="Gone.")
    intake = Job.objects.create(owner=video.owner, video=video, type=Job.INTAKE)
    make_job(video_make(bob), width=300)

    def shown(**query: str) -> list[str]:
        return [job.id for job in browser.get("/jobs/", query).context["page"].rows]

    assert shown() == [failed.id, active.id]
    assert shown(status="live") == [active.id]
    assert shown(status="failed") == [failed.id]
    assert shown(type="resize", status="live") == [active.id]
    assert shown(type="intake") == [intake.id]
    assert shown(status="nonsense", type="nonsense") == [failed.id, active.id]


def test_the_job_page_tells_why_it_failed(browser: Client, video: Video, make_job: MakeJob) -> None:
    job = make_job(
        video,
        "failed",
        error_code="encoder_stalled",
        error_message="It stood still.",
        log="line <1>",
        attempt=4,
    )
    page = browser.get(reverse("job", kwargs={"job_id": job.id})).content.decode()
    assert "Encoder stalled" in page
    assert "It stood still." in page
    assert "Run again" in page
    assert "line &lt;1&gt;" in page
    assert "4 of 4" in page
    log = browser.get(reverse("job-log", kwargs={"job_id": job.id}))
    assert log.content.decode() == "line <1>"
    assert log.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_a_job_of_a_deleted_video_still_shows(browser: Client, video: Video, make_job: MakeJob) -> None:
    job = make_job(video, "failed", error_code="worker_lost", error_message="Gone.")
    browser.post(reverse("video-delete", kwargs={"video_id": video.id}))
    page = browser.get(reverse("job", kwargs={"job_id": job.id})).content.decode()
    assert "of a deleted video" in page
    assert "Run again" not in page


@pytest.mark.django_db(transaction=True)
def test_cancel_and_run_again_from_the_card(browser: Client, video: Video) -> None:
    browser.post(_address("operation-create", video), {"resize-width": "640"})
    job = Job.objects.get()
    cancel = reverse("job-cancel", kwargs={"job_id": job.id})
    page = browser.post(cancel, {"shape": "card"}, headers=HTMX).content.decode()
    assert "Cancelled" in page
    assert "Run again" in page
    assert browser.post(cancel).status_code == 409
    retry = reverse("job-retry", kwargs={"job_id": job.id})
    page = browser.post(retry, {"shape": "card"}, headers=HTMX).content.decode()
    assert "Waiting" in page
    assert Job.objects.filter(status="queued").count() == 1
    job.refresh_from_db()
    assert job.status == "cancelled"


@pytest.mark.django_db(transaction=True)
def test_cancel_without_scripts_leads_to_the_job(browser: Client, video: Video) -> None:
    browser.post(_address("operation-create", video), {"resize-width": "640"})
    job = Job.objects.get()
    response = browser.post(reverse("job-cancel", kwargs={"job_id": job.id}))
    assert response.headers["Location"] == reverse("job", kwargs={"job_id": job.id})


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("shape", ["card", "row"])
def test_pause_resume_and_bump_from_where_the_job_is_shown(browser: Client, video: Video, shape: str) -> None:
    browser.post(_address("operation-create", video), {"resize-width": "640"})
    job = Job.objects.get()

    def press(name: str) -> str:
        address = reverse(name, kwargs={"job_id": job.id})
        return browser.post(address, {"shape": shape}, headers=HTMX).content.decode()

    page = press("job-bump")
    assert "Waiting" in page
    assert "Run next" in page
    page = press("job-pause")
    assert "Paused" in page
    assert "Resume" in page
    assert "Run next" not in page
    page = press("job-resume")
    assert "Waiting" in page
    assert browser.post(reverse("job-resume", kwargs={"job_id": job.id})).status_code == 409


@pytest.mark.django_db(transaction=True)
def test_pause_without_scripts_leads_to_the_job(browser: Client, video: Video) -> None:
    browser.post(_address("operation-create", video), {"resize-width": "640"})
    job = Job.objects.get()
    response = browser.post(reverse("job-pause", kwargs={"job_id": job.id}), follow=True)
    page = response.content.decode()
    assert "The job is paused." in page
    assert reverse("job-resume", kwargs={"job_id": job.id}) in page
    assert reverse("job-pause", kwargs={"job_id": job.id}) not in page


@pytest.mark.django_db(transaction=True)
def test_cancel_all_is_offered_while_something_lives(browser: Client, video: Video) -> None:
    for width in ("640", "320"):
        browser.post(_address("operation-create", video), {"resize-width": width})
    assert "Cancel all jobs?" in browser.get("/jobs/").content.decode()
    page = browser.post(reverse("jobs-cancel"), follow=True).content.decode()
    assert "2 jobs are cancelled." in page
    assert "Cancel all jobs?" not in page
    assert set(Job.objects.values_list("status", flat=True)) == {"cancelled"}


def test_an_inspection_offers_no_steering(browser: Client, video: Video) -> None:
    job = Job.objects.create(owner=video.owner, video=video, type=Job.INTAKE)
    for name in ("job", "job-row"):
        page = browser.get(reverse(name, kwargs={"job_id": job.id})).content.decode()
        assert "Pause" not in page
        assert "job-cancel" not in page
