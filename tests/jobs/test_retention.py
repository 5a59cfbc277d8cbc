"""What goes by age: nothing unless it was set, then exactly what is old enough, rows and files."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from jobs import retention
from jobs.execution import lane_work
from jobs.housekeeping import clean
from jobs.models import Job, SiteSettings
from jobs.site import site_settings_save
from tests.jobs.conftest import Submit
from users.ids import public_id_at
from users.models import Tier, User
from videos import storage
from videos.models import Operation, Output, Video

OLD = timedelta(days=40)


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)


def old_video(owner: User) -> Video:
    return Video.objects.create(
        pk=public_id_at("vid", timezone.now() - OLD), owner=owner, name="Old", size=1, status="processing"
    )


def old_result(job: Job) -> str:
    """Makes the job's output forty days old, as its id tells, file and all."""
    output = Output.objects.get(operation=job.operation)
    older = public_id_at("out", timezone.now() - OLD)
    storage.output_path(output.pk).parent.rename(storage.output_path(older).parent)
    Output.objects.filter(pk=output.pk).update(id=older)
    return older


def test_nothing_goes_by_default(alice: User, video: Video, submit: Submit) -> None:
    job = submit(video)
    assert lane_work(lane="encode")
    old_video(alice)
    kept = old_result(job)
    Job.objects.update(log="x", finished_at=timezone.now() - OLD)
    done = clean()
    assert done.retired == {"originals": 0, "results": 0, "logs": 0, "jobs": 0}
    assert storage.output_path(kept).is_file()
    assert Job.objects.get().log == "x"


def test_old_results_go_and_can_be_asked_for_again(alice: User, video: Video, submit: Submit) -> None:
    old, young = submit(video, width=160), submit(video, width=162)
    assert lane_work(lane="encode")
    assert lane_work(lane="encode")
    gone = old_result(old)
    site_settings_save(SiteSettings(result_days=30))

    assert clean().retired["results"] == 1
    assert not storage.output_path(gone).exists()
    assert Output.objects.get().operation_id == young.operation_id
    kept = Job.objects.get(id=old.id)
    assert (kept.status, kept.operation_id) == ("completed", None), "the history stays"
    again = submit(video, width=160)
    assert again.status == "queued"
    assert Operation.objects.count() == 2


def test_old_originals_move_to_the_trash_unless_they_are_worked_on(alice: User, submit: Submit) -> None:
    idle = [old_video(alice) for _ in range(5)]
    busy = old_video(alice)
    Job.objects.create(owner=alice, video=busy, type="intake")
    young = Video.objects.create(owner=alice, name="Young", size=1)
    site_settings_save(SiteSettings(original_days=30, trash_days=3))

    assert clean().retired["originals"] == 5
    assert set(Video.objects.filter(deleted_at=None)) == {busy, young}
    Video.objects.filter(pk__in=[video.pk for video in idle]).update(
        deleted_at=timezone.now() - timedelta(days=4)
    )
    assert clean().videos == 5


def test_old_logs_are_emptied(alice: User) -> None:
    for days in (1, 40, 41, 42):
        moment = timezone.now() - timedelta(days=days)
        Job.objects.create(owner=alice, type="gif", status="completed", finished_at=moment, log=f"{days}")
    live = Job.objects.create(owner=alice, type="gif", log="live")
    site_settings_save(SiteSettings(log_days=30))
    assert clean().retired["logs"] == 3
    assert set(Job.objects.exclude(log="").values_list("log", flat=True)) == {"1", "live"}
    live.refresh_from_db()
    assert live.status == "queued"


def test_old_jobs_leave_the_history_once_that_is_set(alice: User) -> None:
    for days in (1, 40):
        moment = timezone.now() - timedelta(days=days)
        Job.objects.create(
            owner=alice,
            type="gif",
            status="completed",
            queued_at=moment,
            finished_at=moment,
            duration_ms=days,
        )
    assert clean().retired["jobs"] == 0
    site_settings_save(SiteSettings(history_days=30))
    assert clean().retired["jobs"] == 1
    assert Job.objects.get().duration_ms == 1


def test_a_tier_may_have_a_rule_of_its_own(alice: User, bob: User, alices_client: APIClient) -> None:
    """It takes the place of the site's: shorter, longer, or where the site has none."""
    site_settings_save(SiteSettings(original_days=60, result_days=90))
    Tier.objects.filter(name=Tier.Name.FREE).update(original_days=30)
    bob.tier_id = Tier.Name.PRO
    bob.save()
    young = Video.objects.create(owner=alice, name="Young", size=1, status="processing")
    goes, stays = old_video(alice), old_video(bob)
    assert alices_client.get("/api/v1/me/retention").json() == {
        "original_days": 30,
        "result_days": 90,
        "trash_days": 7,
    }
    assert clean().retired["originals"] == 1
    trashed = Video.objects.filter(deleted_at__isnull=False)
    assert list(trashed) == [goes]
    assert set(Video.objects.filter(deleted_at=None)) == {young, stays}
    Tier.objects.filter(name=Tier.Name.PRO).update(original_days=39)
    assert clean().retired["originals"] == 1
