"""The figures of the admin's first page."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from jobs import overview as module
from jobs.claiming import step_claim
from jobs.models import Job
from jobs.overview import overview
from jobs.site import storage_count
from jobs.steering import job_pause
from tests.jobs.conftest import Submit
from tests.jobs.test_states import job_in
from users.models import User
from videos.models import Video


def test_counts_by_lane_and_failures_by_code(alice: User, carol: User, video: Video, submit: Submit) -> None:
    failed = job_in("failed", video, submit)
    old = Job.objects.create(
        owner=alice,
        type="gif",
        status="failed",
        error_code="disk_full",
        finished_at=timezone.now() - timedelta(hours=25),
    )
    submit(video, width=200)
    assert step_claim(lane="encode", worker="here/1")
    oldest = submit(video, width=202)
    submit(video, width=204)
    job_pause(viewer=alice, job_id=submit(video, width=206).id)

    found = overview()
    encode = next(lane for lane in found.lanes if lane.lane == "encode")
    assert (encode.queued, encode.running, encode.failed) == (2, 1, 1)
    assert encode.oldest == oldest.queued_at
    short = next(lane for lane in found.lanes if lane.lane == "short")
    assert (short.queued, short.running, short.failed, short.oldest) == (0, 0, 0, None)
    assert found.failures == [(failed.error_code, 1)]
    assert (found.failed, found.failures_at_limit, found.paused) == (1, False, 1)
    assert old.error_code not in dict(found.failures)

    storage_count()
    client = Client()
    client.force_login(carol)
    page = client.get("/admin/").content.decode()
    for words in ("Waits longest", failed.error_code, "Free", "/flower/", "/metrics", "/healthz", "reserve"):
        assert words in page, words


def test_many_failures_are_not_all_read(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        Job.objects.create(
            owner=alice, type="gif", status="failed", error_code="x", finished_at=timezone.now()
        )
    monkeypatch.setattr(module, "FAILURES_MAX", 2)
    found = overview()
    assert (found.failed, found.failures_at_limit) == (2, True)
