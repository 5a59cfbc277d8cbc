"""A claimed step with the real engine: how it ends, and what it leaves."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from django.conf import settings as django_settings
from django.db import OperationalError, connection
from django.db.models.functions import Now
from pytest_django import Settings

from jobs import dispatch, execution, leases, outcomes, shutdown, watch
from jobs.claiming import Claim, step_claim
from jobs.execution import lane_work, step_run
from jobs.models import Job, Step
from jobs.reconcile import leases_expire, reconcile
from jobs.services import sample_submit
from jobs.steering import job_cancel
from jobs.transitions import job_create
from jobs.watch import Watch
from problems import Problem
from tests.jobs.conftest import Clip, Submit
from tests.jobs.worker import media_tools, wait_for
from users.models import Priority, User
from videoproc.env import RedisAddress
from videos.models import Operation, Output, Video
from videos.services.videos import video_trash
from videos.storage import output_path, source_path


def claim(lane: str = "encode") -> Claim:
    taken = step_claim(lane=lane, worker="here/1")
    assert taken is not None
    return taken


@contextmanager
def in_background(taken: Claim) -> Iterator[Future[None]]:
    """Runs the step in another thread, with a connection of its own."""

    def run() -> None:
        try:
            step_run(taken)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        yield threads.submit(run)


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def no_scratch(media: Path) -> bool:
    return not files_below(media / "work")


def test_completes_a_job_and_shows_its_result(video: Video, submit: Submit, media: Path) -> None:
    job = submit(video)
    assert lane_work(lane="encode")

    job.refresh_from_db()
    assert (job.status, job.progress, job.attempt, job.error_code) == ("completed", 100, 1, "")
    assert job.started_at is not None
    assert job.finished_at is not None
    assert job.duration_ms == round((job.finished_at - job.started_at).total_seconds() * 1000)
    assert job.cpu_seconds > 0
    assert "ffmpeg" in job.log
    assert str(media) not in job.log
    operation = Operation.objects.get()
    assert operation.status == Operation.Status.COMPLETED
    output = Output.objects.get(operation=operation)
    assert output_path(output.id).stat().st_size == output.size
    assert output.media_info is not None
    assert output.media_info["video"][0]["width"] == 160
    step = Step.objects.get()
    assert (step.status, step.lease_token, step.lease_until) == ("done", None, None)
    assert no_scratch(media)


def test_intake_makes_a_video_ready(alice: User, clip: Clip, media: Path) -> None:
    video = sample_submit(viewer=alice, clip=clip.path)
    assert video.status == Video.Status.PROCESSING
    assert lane_work(lane="short")

    video.refresh_from_db()
    assert (video.status, video.width, video.height) == ("ready", 320, 180)
    assert video.sha256 == clip.sha256
    assert video.has_thumbnail
    job = Job.objects.get()
    assert (job.type, job.status) == ("intake", "completed")
    assert no_scratch(media)


def test_a_file_that_is_no_video_fails_at_once(alice: User, tmp_path: Path, media: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("This is no video.\n" * 100)
    video = sample_submit(viewer=alice, clip=path)
    assert lane_work(lane="short")

    job = Job.objects.get()
    assert (job.status, job.attempt) == ("failed", 1)
    video.refresh_from_db()
    assert video.status == Video.Status.FAILED
    assert video.error_code == job.error_code != ""
    assert not source_path(video.id).exists()
    assert files_below(media) == []


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 2), (2, 4), (3, 8)])
def test_a_service_fault_is_tried_again_later(
    video: Video, submit: Submit, attempt: int, seconds: int
) -> None:
    job = submit(video)
    Step.objects.update(attempt=attempt - 1)
    before = Step.objects.annotate(now=Now()).get().now
    assert outcomes.step_fail(claim(), Problem("encoder_crashed", signal=11), log="it broke")

    job = Job.objects.get(id=job.id)
    assert (job.status, job.attempt, job.error_code) == ("queued", attempt, "encoder_crashed")
    assert "it broke" in job.log
    step = Step.objects.annotate(now=Now()).get()
    assert (step.status, step.lease_token) == ("queued", None)
    assert job.run_after is not None
    assert (job.run_after - before).total_seconds() >= seconds
    assert (job.run_after - step.now).total_seconds() <= seconds * 1.2
    assert Operation.objects.get().status == Operation.Status.PROCESSING


def test_the_last_try_fails_for_good(video: Video, submit: Submit) -> None:
    submit(video)
    Step.objects.update(attempt=3)
    assert outcomes.step_fail(claim(), Problem("encoder_crashed", signal=11))

    job = Job.objects.get()
    assert (job.status, job.attempt, job.error_code) == ("failed", 4, "encoder_crashed")
    operation = Operation.objects.get()
    assert (operation.status, operation.error_code) == ("failed", "encoder_crashed")
    assert Step.objects.get().status == Step.Status.FAILED


def test_a_content_fault_fails_at_once(video: Video, submit: Submit) -> None:
    submit(video)
    source_path(video.id).write_bytes(b"\0" * 4096)
    assert lane_work(lane="encode")

    job = Job.objects.get()
    assert (job.status, job.attempt) == ("failed", 1)
    assert Operation.objects.get().error_message != ""
    assert not Output.objects.exists()


def test_a_full_disk_waits_and_does_not_count(video: Video, submit: Submit) -> None:
    submit(video)
    for _ in range(6):
        assert outcomes.step_fail(claim(), Problem("disk_full"))
        job = Job.objects.get()
        assert (job.status, job.attempt, job.error_code) == ("queued", 0, "disk_full")
        Step.objects.update(run_after=None)
    assert lane_work(lane="encode")
    assert Job.objects.get().status == Job.Status.COMPLETED


def test_a_full_disk_is_to_blame_and_not_the_result(video: Video, submit: Submit, settings: Settings) -> None:
    submit(video)
    taken = claim()
    source_path(video.id).write_bytes(b"what a full disk left")
    settings.DISK_RESERVE_BYTES = 2**60
    step_run(taken)
    job = Job.objects.get()
    assert (job.status, job.attempt, job.error_code) == ("queued", 0, "disk_full")


def test_a_full_disk_costs_no_original(alice: User, clip: Clip, settings: Settings) -> None:
    video = sample_submit(viewer=alice, clip=clip.path)
    taken = claim("short")
    source_path(video.id).write_bytes(b"what could be read of it")
    settings.DISK_RESERVE_BYTES = 2**60
    step_run(taken)
    assert Job.objects.get().status == Job.Status.QUEUED
    assert source_path(video.id).exists()
    video.refresh_from_db()
    assert video.status == Video.Status.PROCESSING


def test_postgresql_away_at_the_beginning_is_no_try(
    video: Video, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(video)
    taken = claim()

    def away(_job: str) -> dict[str, Path]:
        raise OperationalError("the connection is gone")

    monkeypatch.setattr(Claim, "is_alone", False)
    monkeypatch.setattr(execution, "parts_of", away)
    step_run(taken)
    job = Job.objects.get()
    assert (job.status, job.attempt) == ("queued", 0)


def test_claims_wait_while_the_disk_is_below_its_reserve(
    alice: User, clip: Clip, video: Video, submit: Submit, settings: Settings
) -> None:
    sample_submit(viewer=alice, clip=clip.path)
    submit(video)
    reserve, settings.DISK_RESERVE_BYTES = settings.DISK_RESERVE_BYTES, 2**60
    for lane in ("short", "encode"):
        assert not lane_work(lane=lane)
    assert set(Job.objects.values_list("status", "attempt", "error_code")) == {("queued", 0, "")}
    dispatch.flush()
    with redis.Redis.from_url(django_settings.REDIS.for_redis(RedisAddress.BROKER)) as client:
        client.flushall()
    assert reconcile().wake_ups_sent > 0, "so that workers look again"

    settings.DISK_RESERVE_BYTES = reserve
    for lane in ("short", "encode"):
        assert lane_work(lane=lane)
    assert set(Job.objects.values_list("status", flat=True)) == {"completed"}


def test_an_unforeseen_error_counts_as_ours(video: Video, submit: Submit) -> None:
    submit(video)
    Job.objects.update(plan={"nonsense": True})
    assert lane_work(lane="encode")
    job = Job.objects.get()
    assert (job.status, job.error_code, job.attempt) == ("queued", "internal_error", 1)


@pytest.mark.parametrize("threaded", [False, True])
def test_a_worker_that_lost_its_lease_publishes_nothing(
    video: Video, submit: Submit, media: Path, threaded: bool
) -> None:
    """It was frozen; meanwhile its lease ran out and another worker finished. Then it wakes up."""
    submit(video)
    frozen = claim()
    Step.objects.update(lease_until=Now() - timedelta(seconds=1))
    assert leases_expire() == 1
    Step.objects.update(run_after=None)
    if threaded:
        second = claim()
        step_run(frozen)
        assert Job.objects.get().status == Job.Status.ACTIVE
        assert not Output.objects.exists()
        step_run(second)
    else:
        assert lane_work(lane="encode")
        step_run(frozen)

    job = Job.objects.get()
    assert (job.status, job.attempt) == ("completed", 2)
    output = Output.objects.get()
    assert files_below(media / "outputs") == [output_path(output.id)]
    assert no_scratch(media)


def test_recording_twice_is_recording_once(
    video: Video, submit: Submit, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit went through but its answer was lost: the second try finds that it had won."""
    submit(video)
    taken = claim()
    records: list[bool] = []

    def twice(record: Callable[[], bool], watch: Watch) -> None:
        records.extend([record(), record()])

    monkeypatch.setattr(execution, "_insist", twice)
    step_run(taken)

    assert records == [True, True]
    assert files_below(media / "outputs") == [output_path(Output.objects.get().id)]


def test_cancel_kills_the_encoder(alice: User, long_job: Job, media: Path) -> None:
    taken = claim()
    with in_background(taken) as running:
        wait_for(lambda: media_tools(media), seconds=20, what="ffmpeg runs")
        job_cancel(viewer=alice, job_id=long_job.id)
        acknowledged = time.monotonic()
        wait_for(lambda: not media_tools(media), seconds=5, what="ffmpeg is gone")
        running.result(timeout=5)

    assert time.monotonic() - acknowledged < 5
    assert Job.objects.get().status == Job.Status.CANCELLED
    assert not Output.objects.exists()
    assert files_below(media / "outputs") == []
    assert no_scratch(media)


def test_deleting_the_video_stops_the_encoder(long_job: Job, media: Path) -> None:
    taken = claim()
    with in_background(taken) as running:
        wait_for(lambda: media_tools(media), seconds=20, what="ffmpeg runs")
        assert long_job.video is not None
        video_trash(video=long_job.video)
        running.result(timeout=5)
    assert media_tools(media) == []
    assert not Output.objects.exists()


def test_deleting_the_account_stops_the_encoder(alice: User, long_job: Job, media: Path) -> None:
    taken = claim()
    with in_background(taken) as running:
        wait_for(lambda: media_tools(media), seconds=20, what="ffmpeg runs")
        alice.delete()
        running.result(timeout=5)
    assert media_tools(media) == []
    assert files_below(media / "outputs") == []


def test_a_worker_that_shuts_down_hands_its_step_back(
    long_job: Job, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    monkeypatch.setattr(shutdown, "_pipe", (reading, writing))
    taken = claim()
    with in_background(taken) as running:
        wait_for(lambda: media_tools(media), seconds=20, what="ffmpeg runs")
        shutdown.request()
        running.result(timeout=5)
    assert not lane_work(lane="encode"), "nothing new is taken"
    os.close(reading)
    os.close(writing)

    assert media_tools(media) == []
    job = Job.objects.get(id=long_job.id)
    assert (job.status, job.attempt, job.run_after) == ("queued", 0, None)
    assert Step.objects.get().status == Step.Status.QUEUED


def test_silence_of_the_database_stops_the_encoder(
    long_job: Job, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can tell a worker that its lease is gone, so it must count for itself."""

    def unreachable(*_: object, **__: object) -> bool:
        raise OperationalError("connection refused")

    monkeypatch.setattr(watch, "SILENCE_LIMIT", 2.0)
    taken = claim()
    for name in ("lease_renew", "lease_look", "progress_write"):
        monkeypatch.setattr(leases, name, unreachable)
    with in_background(taken) as running:
        wait_for(lambda: media_tools(media), seconds=20, what="ffmpeg runs")
        running.result(timeout=8)

    assert media_tools(media) == []
    assert Job.objects.get().status == Job.Status.ACTIVE, "its lease runs out by itself"
    assert not Output.objects.exists()


def test_progress_reaches_the_row(long_job: Job, alice: User) -> None:
    taken = claim()
    seen: set[float] = set()
    with in_background(taken) as running:

        def three_values() -> bool:
            seen.add(Job.objects.get().progress)
            return len(seen) >= 3

        wait_for(three_values, seconds=30, what="three values of progress")
        job = Job.objects.get()
        job_cancel(viewer=alice, job_id=long_job.id)
        running.result(timeout=5)
    assert 0 < job.progress < 100
    assert job.seq > taken.job.seq


def test_two_steps_of_a_job_run_one_after_the_other(video: Video, submit: Submit) -> None:
    """The second needs the first; both recorded, the job completes once."""
    submit(video)
    job = Job.objects.get()
    assert job.plan is not None
    (planned,) = job.plan["steps"]
    job.plan["steps"].append({**planned, "position": 1, "kind": "late", "needs": [0]})
    job.save()
    first = claim()
    Step.objects.create(
        job=first.job, owner=first.job.owner, position=1, kind="late", lane="encode", priority=9, needs=[0]
    )
    assert outcomes.step_publish(first, placed=(), cpu_seconds=1, log="")
    assert Job.objects.get().status == Job.Status.ACTIVE
    second = claim()
    assert second.position == 1
    assert outcomes.step_publish(second, placed=(), cpu_seconds=1, log="")
    job = Job.objects.get()
    assert (job.status, job.cpu_seconds) == ("completed", 2)


def test_intake_is_no_encode(video: Video) -> None:
    Video.objects.update(status="processing")
    job_create(video=video, operation=None, priority=Priority.LOW, plan=None)
    assert not lane_work(lane="encode")
    assert lane_work(lane="short")
    assert threading.active_count() < 20


def test_a_wake_up_works_on_all_that_waits(video: Video, submit: Submit) -> None:
    for width in (160, 162, 164):
        submit(video, width=width)
    assert execution.lane_drain(lane="encode") == 3
    assert set(Job.objects.values_list("status", flat=True)) == {"completed"}
    assert execution.lane_drain(lane="encode") == 0


def test_a_wake_up_passes_the_word_on_after_a_while(
    video: Video, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "DRAIN_SECONDS", 0.0)
    for width in (160, 162):
        submit(video, width=width)
    dispatch.flush()
    assert execution.lane_drain(lane="encode") == 1
    dispatch.flush()
    assert dispatch.pending("encode") > 0


def test_wake_ups_do_not_pile_up(video: Video, submit: Submit, settings: Settings) -> None:
    settings.WORKER_CONCURRENCY = 2
    for number in range(8):
        submit(video, width=160 + 2 * number)
    dispatch.flush()
    assert dispatch.pending("encode") == 4
