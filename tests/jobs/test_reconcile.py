from __future__ import annotations

import os
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connections
from django.db.models.functions import Now

from jobs import dispatch, housekeeping
from jobs import reconcile as reconcile_module
from jobs.claiming import step_claim
from jobs.execution import lane_work
from jobs.models import Job, Step
from jobs.reconcile import _LOCK, Reconciled, reconcile, reconcile_if_due
from jobs.services import upload_finish
from jobs.steering import job_pause, job_resume
from jobs.workspace import attempt_folder, work_root
from tests.jobs.conftest import Clip, Submit
from users.models import User
from videos.models import Operation, Upload, Video
from videos.services.uploads import upload_advance, upload_create
from videos.services.videos import video_trash
from videos.storage import upload_path


def lose_a_worker() -> None:
    """Takes a step and never comes back; the lease is over."""
    assert step_claim(lane="encode", worker="gone/1")
    Step.objects.filter(status="active").update(lease_until=Now() - timedelta(seconds=1))


def test_an_expired_lease_goes_back_to_the_queue(video: Video, submit: Submit) -> None:
    submit(video)
    lose_a_worker()
    assert reconcile().leases_expired == 1

    job = Job.objects.get()
    assert (job.status, job.attempt, job.error_code) == ("queued", 1, "worker_lost")
    assert Step.objects.get().status == Step.Status.QUEUED


def test_a_job_that_kills_its_workers_fails_after_the_last_try(video: Video, submit: Submit) -> None:
    submit(video)
    for attempt in range(1, 5):
        assert Job.objects.get().status == Job.Status.QUEUED
        lose_a_worker()
        assert reconcile().leases_expired == 1
        assert Job.objects.get().attempt == attempt
        Step.objects.update(run_after=None)

    job = Job.objects.get()
    assert (job.status, job.attempt, job.error_code) == ("failed", 4, "worker_lost")
    assert Operation.objects.get().status == Operation.Status.FAILED
    assert step_claim(lane="encode", worker="here/1") is None


def test_a_living_lease_is_left_alone(video: Video, submit: Submit) -> None:
    submit(video)
    assert step_claim(lane="encode", worker="here/1")
    assert reconcile() == Reconciled()


def test_jobs_of_deleted_videos_are_cancelled(alice: User, video: Video, submit: Submit) -> None:
    submit(video, width=160)
    submit(video, width=162)
    assert step_claim(lane="encode", worker="here/1")
    video_trash(video=video)
    assert reconcile().jobs_stopped == 2
    assert set(Job.objects.values_list("status", flat=True)) == {"cancelled"}


def test_lost_wake_ups_are_sent_again_and_do_not_pile_up(video: Video, submit: Submit) -> None:
    submit(video)
    dispatch.flush()
    assert dispatch.pending("encode") == 1
    first = reconcile().wake_ups_sent
    dispatch.flush()
    waiting = dispatch.pending("encode")
    assert waiting == 1 + first
    assert reconcile().wake_ups_sent == 0
    dispatch.flush()
    assert dispatch.pending("encode") == waiting


def test_an_upload_whose_process_died_becomes_a_video(alice: User, clip: Clip) -> None:
    content = clip.path.read_bytes()
    upload = upload_create(owner=alice, length=len(content), filename="a.mp4")
    upload_path(upload.id).write_bytes(content)
    upload_advance(upload=upload, from_offset=0, to_offset=len(content))
    Upload.objects.update(updated_at=Now() - timedelta(minutes=2))

    assert reconcile().uploads_finished == 1
    video = Video.objects.get()
    assert upload_finish(upload_id=upload.id) == video, "asking again changes nothing"
    assert Job.objects.get().type == Job.INTAKE
    assert lane_work(lane="short")
    video.refresh_from_db()
    assert video.status == Video.Status.READY


def test_only_one_reconciles(video: Video, submit: Submit) -> None:
    submit(video)
    lose_a_worker()
    other = connections.create_connection("default")
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        assert reconcile() == Reconciled()
        with other.cursor() as cursor:  # closing only gives the connection back to the pool, lock and all
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
    finally:
        other.close()
    assert reconcile().leases_expired == 1


@pytest.mark.parametrize(("age", "kept"), [(7200, False), (60, True)])
def test_scratch_of_dead_steps_goes_after_an_hour(alice: User, media: Path, age: int, kept: bool) -> None:
    folder = work_root() / "123" / "1"
    folder.mkdir(parents=True)
    (folder / "part.mp4").write_bytes(b"x")
    long_ago = time.time() - age
    os.utime(folder.parent, (long_ago, long_ago))

    assert housekeeping.clean().scratch_folders == (0 if kept else 1)
    assert folder.exists() is kept


def test_scratch_of_running_steps_stays(video: Video, submit: Submit) -> None:
    submit(video)
    taken = step_claim(lane="encode", worker="here/1")
    assert taken is not None
    folder = work_root() / str(taken.step_id) / "1"
    folder.mkdir(parents=True)
    os.utime(folder.parent, (0, 0))
    assert housekeeping.scratch_sweep() == 0
    assert folder.exists()


def test_a_worker_that_wakes_up_late_leaves_the_scratch_of_its_successor_alone(
    video: Video, submit: Submit
) -> None:
    job = submit(video)
    with ExitStack() as asleep:
        stale = step_claim(lane="encode", worker="gone/1")
        assert stale is not None
        asleep.enter_context(attempt_folder(stale.step_id, stale.token))
        job_pause(viewer=video.owner, job_id=job.id)
        Step.objects.filter(status="active").update(lease_until=Now() - timedelta(seconds=1))
        assert reconcile().leases_expired == 1
        job_resume(viewer=video.owner, job_id=job.id)

        successor = step_claim(lane="encode", worker="here/1")
        assert successor is not None
        assert successor.attempt == stale.attempt, "a lost pause is no try"
        with attempt_folder(successor.step_id, successor.token) as folder:
            (folder / "half.mp4").write_bytes(b"half")
            asleep.close()
            assert (folder / "half.mp4").exists()
        assert not folder.parent.exists()


def test_one_broken_upload_keeps_nothing_else_from_recovery(
    alice: User, clip: Clip, video: Video, submit: Submit, media: Path
) -> None:
    content = clip.path.read_bytes()
    upload = upload_create(owner=alice, length=len(content), filename="a.mp4")
    upload_path(upload.id).write_bytes(content)
    upload_advance(upload=upload, from_offset=0, to_offset=len(content))
    Upload.objects.update(updated_at=Now() - timedelta(minutes=2))
    reserved = Upload.objects.get().reserved_video_id
    # Where its folder should come there is a file: that is an OSError, as a full disk would be.
    (media / "videos" / str(reserved)).write_bytes(b"")
    submit(video)
    lose_a_worker()

    done = reconcile()
    assert (done.leases_expired, done.uploads_finished) == (1, 0)


def test_a_pile_of_reminders_is_one_round(video: Video, submit: Submit) -> None:
    reconcile_module._made_at = None
    reconcile_if_due()
    submit(video)
    lose_a_worker()
    assert reconcile_if_due() == Reconciled()
    reconcile_module._made_at = time.monotonic() - reconcile_module.MOMENT
    assert reconcile_if_due().leases_expired == 1


def test_a_clock_that_is_ahead_makes_nothing_old(
    alice: User, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = [media / "outputs" / f"out_{'0' * 32}" / "file", work_root() / "123" / "token" / "part.mp4"]
    fresh.append(work_root() / "parts" / f"job_{'0' * 32}" / "token" / "part.mp4")
    for file in fresh:
        file.parent.mkdir(parents=True)
        file.write_bytes(b"x")
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 26 * 3600)
    done = housekeeping.clean()
    assert (done.scratch_folders, done.parts, done.files) == (0, 0, 0)
    assert all(file.exists() for file in fresh)
