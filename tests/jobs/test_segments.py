"""Jobs of several steps: what each step's end does to the job, to the others, and to the parts on disk."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest
from pytest_django import Settings

from jobs import outcomes
from jobs.claiming import Claim, step_claim
from jobs.execution import lane_work, step_run
from jobs.housekeeping import clean
from jobs.leases import Lease, lease_look, progress_write
from jobs.models import Job, Step
from jobs.parts import parts_of
from jobs.steering import job_cancel, job_pause, job_resume
from problems import Problem
from tests.engine.clips import ffmpeg, picture, sound
from tests.jobs.conftest import Clip, Submit, clip_of, video_make
from tests.jobs.test_execution import files_below, in_background, no_scratch
from tests.jobs.worker import media_tools, wait_for
from users.ids import public_id_new
from users.models import Tier, User
from videos.models import Output, Video

SECONDS = 4
FRAMES = SECONDS * 25


@pytest.fixture(scope="session")
def cuttable(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """A key frame each second, and a sound track that is copied."""
    folder = tmp_path_factory.mktemp("cuttable")
    path = folder / "clip.mkv"
    shape = ["-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-c:a", "ac3", "-f", "matroska"]
    ffmpeg(*picture("160x90", seconds=SECONDS), *sound(seconds=SECONDS), *shape, path)
    return clip_of(path)


@pytest.fixture
def video(alice: User, cuttable: Clip) -> Video:
    return video_make(alice, cuttable)


Divide = Callable[..., Job]


@pytest.fixture
def divide(video: Video, submit: Submit, settings: Settings) -> Divide:
    """Queues an encode of four segments."""
    settings.SEGMENT_SECONDS = 1

    def divide(of: Video = video, *, width: int = 128) -> Job:
        return submit(of, width=width)

    return divide


def claim(lane: str = "encode") -> Claim:
    taken = step_claim(lane=lane, worker="here/1")
    assert taken is not None
    return taken


def work_off(lane: str) -> None:
    while lane_work(lane=lane):
        pass


def statuses(job: Job) -> list[str]:
    return list(Step.objects.filter(job=job).order_by("position").values_list("status", flat=True))


def test_the_segments_become_one_result(divide: Divide, media: Path) -> None:
    job = divide()
    kinds = list(Step.objects.order_by("position").values_list("kind", flat=True))
    assert kinds == ["segment"] * SECONDS + ["assemble"]
    assert not lane_work(lane="short"), "nothing to assemble so far"
    work_off("encode")
    job.refresh_from_db()
    assert job.status == Job.Status.ACTIVE
    assert 90 < job.progress < 100
    assert {path.name for path in files_below(media / "work")} == set(parts_of(job.id))
    assert lane_work(lane="short")

    job.refresh_from_db()
    assert (job.status, job.progress, job.attempt) == ("completed", 100, 1)
    output = Output.objects.get()
    checks = {check["name"]: check["actual"] for check in output.verification["report"]}
    assert checks["frames"] == str(FRAMES)
    assert no_scratch(media)
    assert not (media / "work" / "parts" / job.id).exists()


def test_a_step_that_fails_leaves_the_others_alone(divide: Divide) -> None:
    job = divide()
    step_run(claim())
    failing, running = claim(), claim()
    assert outcomes.step_fail(failing, Problem("encoder_crashed", signal=11))

    job.refresh_from_db()
    assert (job.status, job.attempt, job.error_code) == ("active", 1, "encoder_crashed")
    assert job.run_after is not None
    assert statuses(job) == ["done", "queued", "active", "queued", "blocked"]
    assert job.progress == pytest.approx(100 * 1 / (SECONDS * 1.03), abs=0.5)
    assert lease_look(running) is Lease.HELD
    Step.objects.update(run_after=None)
    again = claim()
    assert (again.position, again.attempt) == (failing.position, 2)


def test_the_job_waits_once_no_step_of_it_runs(divide: Divide) -> None:
    job = divide()
    step_run(claim())
    assert outcomes.step_hand_back(claim())
    job.refresh_from_db()
    assert (job.status, job.attempt) == ("queued", 1)
    assert statuses(job)[:2] == ["done", "queued"]


def test_a_step_that_gives_up_ends_the_job(divide: Divide, media: Path) -> None:
    job = divide()
    step_run(claim())
    failing, running = claim(), claim()
    assert outcomes.step_fail(failing, Problem("input_corrupt"))

    job.refresh_from_db()
    assert (job.status, job.error_code) == ("failed", "input_corrupt")
    assert lease_look(running) is Lease.LOST
    assert files_below(media / "work") == []
    step_run(running)
    assert files_below(media / "work") == [], "a worker that comes too late leaves nothing"


def test_a_part_that_is_gone_is_made_again(divide: Divide, media: Path) -> None:
    job = divide()
    work_off("encode")
    parts = parts_of(job.id)
    parts["segment-2.mp4"].unlink()
    os.truncate(parts["segment-3.mp4"], 100)
    assert lane_work(lane="short")

    job.refresh_from_db()
    assert job.status == Job.Status.QUEUED
    assert statuses(job) == ["done", "done", "queued", "queued", "queued"]
    work_off("encode")
    work_off("short")
    job.refresh_from_db()
    assert job.status == Job.Status.COMPLETED
    assert list(Step.objects.order_by("position").values_list("attempt", flat=True)) == [1, 1, 2, 2, 1]
    assert no_scratch(media)


def test_parts_that_do_not_join_are_encoded_as_one(divide: Divide, media: Path) -> None:
    job = divide()
    work_off("encode")
    parts = parts_of(job.id)
    shutil.copyfile(parts["segment-1.mp4"], parts["segment-2.mp4"])
    step = Step.objects.get(position=2)
    assert step.result is not None
    step.result["parts"]["segment-2.mp4"] = parts["segment-1.mp4"].stat().st_size
    step.save()
    assert lane_work(lane="short")
    job.refresh_from_db()
    assert job.error_code == "parts_do_not_join"
    assert no_scratch(media)
    assert [(step.kind, step.attempt) for step in Step.objects.all()] == [("encode", 1)]
    work_off("encode")
    job.refresh_from_db()
    assert job.status == Job.Status.COMPLETED
    assert Output.objects.count() == 1


def test_cancel_stops_every_step(alice: User, video: Video, submit: Submit, settings: Settings) -> None:
    settings.SEGMENT_SECONDS = 1
    job = submit(video, width=1920, parameters={"upscale": True})
    media = Path(settings.MEDIA)
    with ExitStack() as stack:
        running = [stack.enter_context(in_background(claim())) for _ in range(2)]
        wait_for(lambda: len(media_tools(media)) >= 2, seconds=20, what="two tools run")
        job_cancel(viewer=alice, job_id=job.id)
        wait_for(lambda: not media_tools(media), seconds=5, what="both are gone")
        for one in running:
            one.result(timeout=5)
    assert files_below(media / "work") == []
    assert not Output.objects.exists()


def test_pause_holds_back_what_waits_and_resume_goes_on(alice: User, divide: Divide) -> None:
    job = divide()
    step_run(claim())
    running, handed_back = claim(), claim()
    job_pause(viewer=alice, job_id=job.id)
    assert lease_look(running) is Lease.PAUSED
    assert outcomes.step_hand_back(handed_back)
    assert statuses(job) == ["done", "active", "paused", "paused", "blocked"]
    assert step_claim(lane="encode", worker="here/1") is None

    assert job_resume(viewer=alice, job_id=job.id).status == "active"
    assert statuses(job) == ["done", "active", "queued", "queued", "blocked"]
    assert lease_look(running) is Lease.HELD


def test_progress_is_that_of_all_steps_and_does_not_fall(divide: Divide) -> None:
    job = divide()
    one, other = claim(), claim()
    first = progress_write(one, per_cent=50, speed=2.0, eta_seconds=1)
    both = progress_write(other, per_cent=50, speed=1.0, eta_seconds=1)
    assert first is not None
    assert both is not None
    assert both.per_cent == pytest.approx(2 * first.per_cent)
    assert both.per_cent == pytest.approx(100 * 1 / (SECONDS * 1.03), rel=0.02)
    assert both.speed == pytest.approx(3.0)
    assert both.eta_seconds == pytest.approx((SECONDS * 1.03 - 1) / 3, rel=0.02)
    again = progress_write(one, per_cent=40, speed=2.0, eta_seconds=1)
    assert again is not None
    assert again.per_cent == both.per_cent
    assert Job.objects.get(id=job.id).seq == again.seq


def test_the_cap_counts_jobs_and_not_steps(divide: Divide) -> None:
    Tier.objects.update(concurrent_jobs=1)
    first = divide()
    divide(width=64)
    assert [claim().job.id for _ in range(SECONDS)] == [first.id] * SECONDS
    assert step_claim(lane="encode", worker="here/1") is None


def test_segments_of_one_do_not_keep_others_waiting(divide: Divide, bob: User, cuttable: Clip) -> None:
    alices = divide()
    claims = [claim(), claim()]
    bobs = divide(video_make(bob, cuttable))
    claims += [claim(), claim()]
    assert [taken.job.id for taken in claims] == [alices.id, alices.id, bobs.id, bobs.id]


def test_the_sweep_finds_what_a_crash_left(divide: Divide, media: Path) -> None:
    job = divide()
    step_run(claim())
    parts = media / "work" / "parts"
    stray = [parts / job.id / str(uuid4()), parts / public_id_new("job") / str(uuid4())]
    for folder in stray:
        folder.mkdir(parents=True)
        (folder / "segment-0.mp4").write_bytes(b"half")
    long_ago = time.time() - 7200
    for path in parts.rglob("*"):
        os.utime(path, (long_ago, long_ago))

    assert clean().parts == len(stray)
    assert [path.name for path in files_below(parts)] == ["segment-0.mp4"]
    assert all(path.is_file() for path in parts_of(job.id).values())
