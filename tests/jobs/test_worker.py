"""Real Celery workers, and what the world does to them: every job completes, and no tool is left over."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import psutil
import redis
from django.conf import settings
from django.db.models.functions import Now

from jobs import dispatch
from jobs.models import Job, Step
from jobs.reconcile import reconcile
from jobs.services import sample_submit
from jobs.steering import job_cancel, job_pause, job_resume
from tests.jobs.conftest import Clip, Submit, job_copies, video_make
from tests.jobs.worker import Worker, children_of, media_tools, wait_for
from users.models import User
from videoproc.env import RedisAddress
from videos.models import Output, Video

StartWorker = Callable[..., Worker]


def all_completed() -> bool:
    return not Job.objects.exclude(status="completed").exists()


def time_passes() -> None:
    """The rest of the lease, and of the wait before the next try."""
    Step.objects.filter(status="active").update(lease_until=Now() - timedelta(seconds=1))
    reconcile()
    Step.objects.filter(status="queued").update(run_after=None)
    reconcile()
    dispatch.flush()


def test_from_upload_to_result(
    alice: User, clip: Clip, submit: Submit, start_worker: StartWorker, media: Path
) -> None:
    start_worker()
    video = sample_submit(viewer=alice, clip=clip.path)
    wait_for(all_completed, seconds=20, what="the intake")
    job = submit(Video.objects.get(id=video.id))
    wait_for(all_completed, seconds=20, what="the resize")

    job.refresh_from_db()
    assert job.attempt == 1
    assert Output.objects.count() == 1
    assert media_tools(media) == []


def test_kill_of_a_pool_child(busy_job: Job, start_worker: StartWorker, media: Path) -> None:
    worker = start_worker("encode", concurrency=1)
    wait_for(lambda: media_tools(media), seconds=30, what="ffmpeg runs")
    victims = [child for child in worker.children() if children_of(child)]
    assert len(victims) == 1
    os.kill(victims[0], signal.SIGKILL)
    wait_for(lambda: not media_tools(media), seconds=5, what="ffmpeg died with its worker")
    assert Job.objects.get().status == Job.Status.ACTIVE
    time_passes()
    wait_for(all_completed, seconds=90, what="the job completes all the same")

    busy_job.refresh_from_db()
    assert busy_job.attempt == 2
    assert Output.objects.count() == 1
    assert media_tools(media) == []


def test_kill_of_the_main_process(busy_job: Job, start_worker: StartWorker, media: Path) -> None:
    worker = start_worker("encode", concurrency=2)
    wait_for(lambda: media_tools(media), seconds=30, what="ffmpeg runs")
    pool = worker.children()
    assert len(pool) == 2
    worker.kill()
    wait_for(
        lambda: not any(Path(f"/proc/{child}/exe").exists() for child in pool),
        seconds=5,
        what="the pool died with the main process",
    )
    wait_for(lambda: not media_tools(media), seconds=5, what="ffmpeg died with its worker")
    start_worker("encode", concurrency=1)
    time_passes()
    wait_for(all_completed, seconds=90, what="another worker completes the job")

    busy_job.refresh_from_db()
    assert busy_job.attempt == 2
    assert Output.objects.count() == 1


def test_a_worker_told_to_stop_hands_back_and_goes(
    long_job: Job, start_worker: StartWorker, media: Path
) -> None:
    worker = start_worker("encode", concurrency=2)
    wait_for(lambda: media_tools(media), seconds=30, what="ffmpeg runs")
    worker.terminate(within=10)

    assert media_tools(media) == []
    job = Job.objects.get(id=long_job.id)
    assert (job.status, job.attempt, job.run_after) == ("queued", 0, None)
    assert not Output.objects.exists()


def test_cancel_reaches_a_worker(alice: User, long_job: Job, start_worker: StartWorker, media: Path) -> None:
    start_worker("encode", concurrency=1)
    wait_for(lambda: media_tools(media), seconds=30, what="ffmpeg runs")
    job_cancel(viewer=alice, job_id=long_job.id)
    wait_for(lambda: not media_tools(media), seconds=5, what="ffmpeg is gone")
    assert not Output.objects.exists()


def stands_still(media: Path) -> bool:
    return {psutil.Process(pid).status() for pid in media_tools(media)} == {psutil.STATUS_STOPPED}


def test_pause_and_resume_reach_a_worker(
    alice: User, busy_job: Job, start_worker: StartWorker, media: Path
) -> None:
    start_worker("encode", concurrency=1)
    wait_for(lambda: media_tools(media), seconds=30, what="ffmpeg runs")
    job_pause(viewer=alice, job_id=busy_job.id)
    wait_for(lambda: stands_still(media), seconds=3, what="ffmpeg stands still")
    job_resume(viewer=alice, job_id=busy_job.id)
    wait_for(all_completed, seconds=90, what="the job completes")
    busy_job.refresh_from_db()
    assert busy_job.attempt == 1
    assert Output.objects.count() == 1


def test_kill_of_a_worker_whose_job_is_paused(
    alice: User, busy_job: Job, start_worker: StartWorker, media: Path
) -> None:
    """The stopped tool dies as well; the job waits for its owner, then for any worker."""
    worker = start_worker("encode", concurrency=1)
    wait_for(lambda: media_tools(media), seconds=30, what="ffmpeg runs")
    job_pause(viewer=alice, job_id=busy_job.id)
    wait_for(lambda: stands_still(media), seconds=3, what="ffmpeg stands still")
    worker.kill()
    wait_for(lambda: not media_tools(media), seconds=5, what="ffmpeg died with its worker")
    time_passes()
    start_worker("encode", concurrency=1)
    time_passes()
    job = Job.objects.get()
    assert (job.status, job.attempt) == ("paused", 0)
    job_resume(viewer=alice, job_id=busy_job.id)
    wait_for(all_completed, seconds=90, what="another worker completes the job")
    assert Job.objects.get().attempt == 1


def test_a_worker_told_to_stop_goes_although_its_job_is_paused(
    alice: User, long_job: Job, start_worker: StartWorker, media: Path
) -> None:
    worker = start_worker("encode", concurrency=1)
    wait_for(lambda: media_tools(media), seconds=30, what="ffmpeg runs")
    job_pause(viewer=alice, job_id=long_job.id)
    wait_for(lambda: stands_still(media), seconds=3, what="ffmpeg stands still")
    worker.terminate(within=10)
    assert media_tools(media) == []
    job = Job.objects.get()
    assert (job.status, job.attempt) == ("paused", 0)


def flushall() -> None:
    dispatch.flush()
    with redis.Redis.from_url(settings.REDIS.for_redis(RedisAddress.BROKER)) as client:
        client.flushall()


def test_a_broker_emptied_before_the_worker_comes(
    video: Video, submit: Submit, start_worker: StartWorker
) -> None:
    """Nothing but the worker's own start brings the wake-ups back."""
    for width in range(160, 170, 2):
        submit(video, width=width)
    flushall()
    start_worker("short,encode", concurrency=1)
    wait_for(all_completed, seconds=60, what="every job completes")
    assert set(Job.objects.values_list("attempt", flat=True)) == {1}


def test_a_broker_emptied_while_a_worker_works(
    busy_job: Job, video: Video, submit: Submit, start_worker: StartWorker, media: Path
) -> None:
    """Nothing but the end of the running job brings the others on."""
    for width in range(160, 170, 2):
        submit(video, width=width)
    start_worker("encode", concurrency=1)
    wait_for(lambda: media_tools(media), seconds=30, what="ffmpeg runs")
    flushall()
    wait_for(all_completed, seconds=120, what="every job completes")
    busy_job.refresh_from_db()
    assert busy_job.attempt == 1
    assert Job.objects.count() == 6


def test_a_worker_answers_a_retry_by_itself(video: Video, submit: Submit, start_worker: StartWorker) -> None:
    """The wake-up for the next try comes with a delay; nobody reconciles here."""
    start_worker("encode", concurrency=1)
    job = submit(video)
    wait_for(all_completed, seconds=20, what="the first")
    again = submit(video, width=162)
    Job.objects.filter(id=again.id, status="queued").update(plan={})
    wait_for(lambda: Job.objects.get(id=again.id).attempt >= 1, seconds=20, what="the first try")
    Job.objects.filter(id=again.id).update(plan=job.plan)
    wait_for(all_completed, seconds=20, what="a later try")


def test_the_clip_of_another_user_goes_before_a_long_queue(
    alice: User, bob: User, clip: Clip, submit: Submit, start_worker: StartWorker
) -> None:
    """200 clips of one user wait and run; another's is the next to start, and among the first that end."""
    job_copies(submit(video_make(alice, clip), width=160), 199)
    start_worker(concurrency=2)
    mine = Job.objects.filter(owner=alice)
    wait_for(
        lambda: mine.filter(status="completed").count() >= 2, seconds=60, what="the first clips are done"
    )
    wanted = submit(video_make(bob, clip), width=160)
    bobs = Job.objects.filter(id=wanted.id)
    wait_for(lambda: bobs.filter(status="completed").exists(), seconds=60, what="the other's clip is done")
    found = bobs.get()
    overtook = mine.filter(started_at__gt=found.queued_at, started_at__lt=found.started_at)
    assert overtook.count() <= 1, "at most a claim that was under way"
    assert mine.filter(finished_at__lt=found.finished_at).count() < 20, "a tenth of the others"
