"""Pause, resume, bump and cancel all: what they do to the queue, to workers and to caps."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from django.db import connection
from django.db.models.functions import Now
from pytest_django import Settings

from jobs import outcomes, shutdown
from jobs.claiming import Claim, lanes_claimable, step_claim
from jobs.execution import lane_work, step_run
from jobs.leases import Lease, lease_look, lease_renew, progress_write
from jobs.models import Job, Step
from jobs.reconcile import leases_expire
from jobs.selectors import queue_positions
from jobs.services import job_retry
from jobs.steering import job_bump, job_cancel, job_pause, job_resume, jobs_cancel_all
from jobs.transitions import job_create
from problems import Problem
from tests.jobs.conftest import Clip, Submit, video_make
from tests.jobs.costs import claim_and_pages
from tests.jobs.worker import media_tools, wait_for
from users.models import Priority, Tier, User
from videos.models import Operation, Output, Video


def claim(lane: str = "encode") -> Claim | None:
    return step_claim(lane=lane, worker="here/1")


def claimed() -> Claim:
    taken = claim()
    assert taken is not None
    return taken


def order_of(*jobs: Job) -> list[Job]:
    """The jobs as workers would take them."""
    positions = queue_positions(Job.objects.filter(id__in=[job.id for job in jobs]))
    return sorted(jobs, key=lambda job: positions[job.id])


@contextmanager
def in_background(taken: Claim) -> Iterator[threading.Thread]:
    def run() -> None:
        try:
            step_run(taken)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield thread
    finally:
        if thread.is_alive():
            Step.objects.update(status="cancelled", lease_until=None, lease_token=None)
        thread.join()


def stands_still(media: Path) -> bool:
    return {psutil.Process(pid).status() for pid in media_tools(media)} == {psutil.STATUS_STOPPED}


def ended(thread: threading.Thread, *, within: float) -> None:
    thread.join(within)
    assert not thread.is_alive()


class TestQueued:
    def test_is_not_claimed_until_it_is_resumed(self, alice: User, video: Video, submit: Submit) -> None:
        job, other = submit(video, width=160), submit(video, width=162)
        paused = job_pause(viewer=alice, job_id=job.id)
        assert paused.paused_at is not None
        assert queue_positions([paused, other]) == {other.id: 1}
        assert claimed().job.id == other.id
        assert claim() is None
        assert lanes_claimable() == []

        job_resume(viewer=alice, job_id=job.id)
        assert claimed().job.id == job.id

    def test_keeps_its_place(self, alice: User, video: Video, submit: Submit) -> None:
        jobs = [submit(video, width=width) for width in (160, 162, 164)]
        job_pause(viewer=alice, job_id=jobs[1].id)
        job_resume(viewer=alice, job_id=jobs[1].id)
        assert order_of(*jobs) == jobs

    def test_is_found_as_it_is_when_asked_for_again(self, alice: User, video: Video, submit: Submit) -> None:
        job = submit(video)
        job_pause(viewer=alice, job_id=job.id)
        assert submit(video).id == job.id
        assert Job.objects.get().status == "paused"

    def test_cancel_and_retry(self, alice: User, video: Video, submit: Submit) -> None:
        job = submit(video)
        job_pause(viewer=alice, job_id=job.id)
        cancelled = job_cancel(viewer=alice, job_id=job.id)
        assert cancelled.paused_at is None
        assert Step.objects.get().status == "cancelled"
        assert job_retry(viewer=alice, job_id=job.id).status == "queued"

    def test_ten_thousand_of_them_do_not_slow_a_claim(self, video: Video, submit: Submit) -> None:
        wanted = submit(video, width=160)
        shape = {"owner": video.owner, "priority": wanted.priority, "status": "paused"}
        jobs = Job.objects.bulk_create(
            Job(video=video, type="resize", paused_at=wanted.queued_at, **shape) for _ in range(10_000)
        )
        Step.objects.bulk_create(
            Step(job=job, position=0, kind="encode", lane="encode", **shape) for job in jobs
        )
        Step.objects.filter(job=wanted).update(place=10**9)
        job_id, pages = claim_and_pages()
        assert job_id == wanted.id
        assert pages < 200


class TestRunning:
    def test_lease_goes_on_and_tells_to_stand_still(self, alice: User, video: Video, submit: Submit) -> None:
        job = submit(video)
        taken = claimed()
        assert progress_write(taken, per_cent=40, speed=2, eta_seconds=9) is not None
        paused = job_pause(viewer=alice, job_id=job.id)
        assert (paused.progress, paused.speed, paused.eta_seconds) == (40, None, None)
        assert lease_look(taken) is Lease.PAUSED
        assert lease_renew(taken) is Lease.PAUSED
        assert progress_write(taken, per_cent=50, speed=2, eta_seconds=9) is None

        resumed = job_resume(viewer=alice, job_id=job.id)
        assert (resumed.status, resumed.progress) == ("active", 40)
        assert lease_look(taken) is Lease.HELD

    def test_counts_against_the_cap_while_a_worker_holds_it(
        self, alice: User, video: Video, submit: Submit
    ) -> None:
        Tier.objects.update(concurrent_jobs=1)
        job = submit(video, width=160)
        submit(video, width=162)
        taken = claimed()
        job_pause(viewer=alice, job_id=job.id)
        assert claim() is None
        assert outcomes.step_hand_back(taken)
        assert claimed().job.id != job.id

    def test_work_that_ended_as_the_pause_arrived_counts(
        self, alice: User, video: Video, submit: Submit
    ) -> None:
        job = submit(video)
        taken = claimed()
        job_pause(viewer=alice, job_id=job.id)
        assert outcomes.step_publish(taken, placed=(), cpu_seconds=1, log="")
        job.refresh_from_db()
        assert (job.status, job.paused_at) == ("completed", None)

    def test_a_fault_waits_for_the_resume(self, alice: User, video: Video, submit: Submit) -> None:
        job = submit(video)
        taken = claimed()
        job_pause(viewer=alice, job_id=job.id)
        assert outcomes.step_fail(taken, Problem("encoder_crashed", signal=11))
        job.refresh_from_db()
        assert (job.status, job.attempt, job.error_code) == ("paused", 1, "encoder_crashed")
        Step.objects.update(run_after=None)
        assert claim() is None
        job_resume(viewer=alice, job_id=job.id)
        assert claimed().attempt == 2

    def test_a_later_step_waits_for_the_resume(self, alice: User, video: Video, submit: Submit) -> None:
        job = submit(video)
        Step.objects.create(
            job=job, owner=alice, position=1, kind="late", lane="encode", priority=9, needs=[0]
        )
        taken = claimed()
        job_pause(viewer=alice, job_id=job.id)
        assert outcomes.step_publish(taken, placed=(), cpu_seconds=1, log="")
        assert Job.objects.get().status == "paused"
        assert claim() is None
        assert job_resume(viewer=alice, job_id=job.id).status == "queued"
        assert claimed().position == 1

    def test_a_lost_worker_costs_a_paused_job_no_try(self, alice: User, video: Video, submit: Submit) -> None:
        job = submit(video)
        Step.objects.update(attempt=3)
        claimed()
        job_pause(viewer=alice, job_id=job.id)
        Step.objects.update(lease_until=Now() - timedelta(seconds=1))
        assert leases_expire() == 1
        job.refresh_from_db()
        assert (job.status, job.attempt, job.progress) == ("paused", 3, 0)
        assert Step.objects.get().status == "paused"
        assert claim() is None
        assert job_resume(viewer=alice, job_id=job.id).status == "queued"
        assert claimed().attempt == 4


class TestWithTheEngine:
    def test_stands_still_and_goes_on(self, alice: User, busy_job: Job, media: Path) -> None:
        with in_background(claimed()) as thread:
            wait_for(lambda: Job.objects.get().progress > 0, seconds=30, what="progress")
            job_pause(viewer=alice, job_id=busy_job.id)
            wait_for(lambda: stands_still(media), seconds=3, what="ffmpeg stands still")
            before = Job.objects.get()
            lease = Step.objects.get().lease_until
            assert lease is not None
            wait_for(
                lambda: (Step.objects.get().lease_until or lease) > lease, seconds=8, what="the lease goes on"
            )
            assert stands_still(media)
            after = Job.objects.get()
            assert (after.progress, after.seq, after.speed) == (before.progress, before.seq, None)
            job_resume(viewer=alice, job_id=busy_job.id)
            ended(thread, within=90)
        job = Job.objects.get()
        assert (job.status, job.attempt) == ("completed", 1)
        assert Output.objects.count() == 1
        assert Operation.objects.get().status == Operation.Status.COMPLETED

    def test_cancel_ends_what_stands_still(self, alice: User, long_job: Job, media: Path) -> None:
        with in_background(claimed()) as thread:
            wait_for(lambda: media_tools(media), seconds=20, what="ffmpeg runs")
            job_pause(viewer=alice, job_id=long_job.id)
            wait_for(lambda: stands_still(media), seconds=3, what="ffmpeg stands still")
            job_cancel(viewer=alice, job_id=long_job.id)
            ended(thread, within=5)
        assert media_tools(media) == []
        assert not Output.objects.exists()

    def test_a_worker_that_shuts_down_hands_it_back(
        self, alice: User, long_job: Job, media: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reading, writing = os.pipe()
        monkeypatch.setattr(shutdown, "_pipe", (reading, writing))
        with in_background(claimed()) as thread:
            wait_for(lambda: media_tools(media), seconds=20, what="ffmpeg runs")
            job_pause(viewer=alice, job_id=long_job.id)
            wait_for(lambda: stands_still(media), seconds=3, what="ffmpeg stands still")
            shutdown.request()
            ended(thread, within=5)
        os.close(reading)
        os.close(writing)
        assert media_tools(media) == []
        job = Job.objects.get()
        assert (job.status, job.attempt, job.progress) == ("paused", 0, 0)
        assert Step.objects.get().status == "paused"

    def test_a_long_pause_gives_the_worker_to_others(
        self, alice: User, long_job: Job, media: Path, settings: Settings
    ) -> None:
        settings.PAUSE_KEEPS_WORKER_SECONDS = 2
        with in_background(claimed()) as thread:
            wait_for(lambda: media_tools(media), seconds=20, what="ffmpeg runs")
            job_pause(viewer=alice, job_id=long_job.id)
            ended(thread, within=8)
        assert media_tools(media) == []
        assert (Job.objects.get().status, Step.objects.get().status) == ("paused", "paused")
        job_resume(viewer=alice, job_id=long_job.id)
        assert claimed().attempt == 1


class TestBump:
    def test_goes_before_the_owners_others_and_moves_nobody_else(
        self, alice: User, bob: User, clip: Clip, submit: Submit
    ) -> None:
        alices, bobs = video_make(alice, clip), video_make(bob, clip)
        a1, b1, a2, b2, a3 = (
            submit(owner, width=width)
            for owner, width in ((alices, 160), (bobs, 160), (alices, 162), (bobs, 162), (alices, 164))
        )
        assert order_of(a1, b1, a2, b2, a3) == [a1, b1, a2, b2, a3]
        job_bump(viewer=alice, job_id=a3.id)
        assert order_of(a1, b1, a2, b2, a3) == [a3, b1, a1, b2, a2]
        job_bump(viewer=alice, job_id=a2.id)
        assert order_of(a1, b1, a2, b2, a3) == [a2, b1, a3, b2, a1]
        assert [claimed().job.id for _ in range(4)] == [a2.id, b1.id, a3.id, b2.id]

    def test_stays_within_its_priority(self, alice: User, video: Video, submit: Submit) -> None:
        Tier.objects.update(priority=Priority.HIGH)
        high = submit(video, width=160)
        low = submit(video, width=162, priority=Priority.LOW)
        job_bump(viewer=alice, job_id=low.id)
        assert order_of(high, low) == [high, low]

    def test_again_changes_nothing(self, alice: User, video: Video, submit: Submit) -> None:
        jobs = [submit(video, width=width) for width in (160, 162, 164)]
        for _ in range(2):
            job_bump(viewer=alice, job_id=jobs[2].id)
        assert order_of(*jobs) == [jobs[2], jobs[0], jobs[1]]

    def test_leaves_out_what_runs_and_what_is_paused(self, alice: User, video: Video, submit: Submit) -> None:
        jobs = [submit(video, width=width) for width in (160, 162, 164, 166)]
        claimed()
        job_pause(viewer=alice, job_id=jobs[1].id)
        job_bump(viewer=alice, job_id=jobs[3].id)
        job_resume(viewer=alice, job_id=jobs[1].id)
        assert order_of(*jobs[1:]) == [jobs[1], jobs[3], jobs[2]]

    def test_beside_claims(self, alice: User, video: Video, submit: Submit) -> None:
        """Every job is taken once, and no place is there twice."""
        User.objects.update(concurrent_jobs_override=100)
        jobs = [submit(video, width=160 + 2 * n) for n in range(20)]
        taken: list[str] = []

        def work() -> None:
            try:
                while found := claim():
                    taken.append(found.job.id)
            finally:
                connection.close()

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for job in reversed(jobs):
            with contextlib.suppress(Problem):  # it runs by now
                job_bump(viewer=alice, job_id=job.id)
        for thread in threads:
            thread.join()
        assert sorted(taken) == sorted(job.id for job in jobs)
        assert len(set(Step.objects.values_list("place", flat=True))) == 20


def test_cancel_all_ends_every_live_job_of_the_viewer_alone(
    alice: User, bob: User, clip: Clip, submit: Submit
) -> None:
    video, other = video_make(alice, clip), video_make(bob, clip)
    done = submit(video, width=158)
    assert lane_work(lane="encode")
    for width in (160, 162, 164):
        submit(video, width=width)
    paused = submit(video, width=166)
    job_pause(viewer=alice, job_id=paused.id)
    intake = job_create(video=video, operation=None, priority=Priority.LOW, plan=None)
    bobs = submit(other)
    claimed()

    assert jobs_cancel_all(viewer=alice) == 4
    assert jobs_cancel_all(viewer=alice) == 0
    live = set(Job.objects.filter(finished_at=None).values_list("id", flat=True))
    assert live == {intake.id, bobs.id}
    assert Job.objects.get(id=done.id).status == "completed"
