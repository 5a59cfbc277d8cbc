"""Whose turn it is: priority and how it ages, what was used lately, and the processor of a machine."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from engine.segments import Machine
from jobs import outcomes
from jobs.claim_sql import AGEING_SECONDS, HALF_LIFE_SECONDS
from jobs.claiming import Claim, lanes_claimable, step_claim
from jobs.execution import lane_work
from jobs.models import Job, Step, Turn, Usage
from jobs.selectors import queue_positions
from jobs.steering import job_pause
from jobs.transitions import job_create
from jobs.usage import usage_add
from tests.jobs.conftest import Clip, Submit, job_copies, video_make
from users.models import Priority, Tier, User
from videos.models import Video

POINT = timedelta(seconds=AGEING_SECONDS)


def claim(lane: str = "encode", machine: Machine | None = None, worker: str = "here/1") -> Claim | None:
    return step_claim(lane=lane, worker=worker, machine=machine)


def claimed(machine: Machine | None = None) -> Claim:
    taken = claim(machine=machine)
    assert taken is not None
    return taken


def end(taken: Claim) -> None:
    assert outcomes.step_publish(taken, placed=(), cpu_seconds=0, log="")


def waited(job: Job, time: timedelta) -> None:
    Job.objects.filter(id=job.id).update(queued_at=Now() - time)


@pytest.fixture
def alices(alice: User, clip: Clip) -> Video:
    return video_make(alice, clip)


@pytest.fixture
def bobs(bob: User, clip: Clip) -> Video:
    return video_make(bob, clip)


@pytest.fixture(autouse=True)
def _wide_caps(db: None) -> None:
    Tier.objects.update(concurrent_jobs=100, priority=Priority.HIGH)


class TestAgeing:
    def test_a_low_priority_rises_while_it_waits(self, alices: Video, bobs: Video, submit: Submit) -> None:
        low = submit(alices, priority=Priority.LOW)
        high = submit(bobs)
        waited(low, 9 * POINT - timedelta(seconds=5))
        assert queue_positions([low, high]) == {low.id: 2, high.id: 1}
        waited(low, 10 * POINT + timedelta(seconds=5))
        assert queue_positions([low, high]) == {low.id: 1, high.id: 2}
        assert claimed().job.id == low.id

    def test_it_is_counted_from_the_last_turn(self, alices: Video, bobs: Video, submit: Submit) -> None:
        """Whoever is served all the time does not starve, however long their queue."""
        lows = [submit(alices, width=160 + 2 * n, priority=Priority.LOW) for n in range(3)]
        for low in lows:
            waited(low, 20 * POINT)
        high = submit(bobs)
        assert claimed().job.id == lows[0].id
        assert claimed().job.id == high.id
        Turn.objects.filter(priority=Priority.LOW).update(served_at=Now() - 11 * POINT)
        submit(bobs, width=170)
        assert claimed().job.id == lows[1].id

    def test_nobody_starves_beside_a_stream_of_higher_priority(
        self, alices: Video, bobs: Video, submit: Submit
    ) -> None:
        """Each claim is followed by a new one of high priority, and time passes."""
        low = submit(alices, priority=Priority.LOW)
        order = []
        for number in range(25):
            submit(bobs, width=160 + 2 * number)
            taken = claimed()
            order.append(taken.job.id)
            end(taken)
            Job.objects.update(queued_at=F("queued_at") - POINT)
            Turn.objects.update(served_at=F("served_at") - POINT)
        assert 8 <= order.index(low.id) <= 11


class TestUsage:
    def test_who_used_less_goes_first(self, alice: User, alices: Video, bobs: Video, submit: Submit) -> None:
        submit(alices)
        bobs_job = submit(bobs)
        usage_add(owner_id=alice.pk, cpu_seconds=30)
        assert claimed().job.id == bobs_job.id

    def test_only_what_was_used_lately_counts(
        self, alice: User, bob: User, alices: Video, bobs: Video, submit: Submit
    ) -> None:
        usage_add(owner_id=alice.pk, cpu_seconds=1000)
        Usage.objects.update(measured_at=Now() - timedelta(seconds=6 * HALF_LIFE_SECONDS))
        usage_add(owner_id=bob.pk, cpu_seconds=30)
        usage_add(owner_id=alice.pk, cpu_seconds=1)
        used = dict(Usage.objects.values_list("owner_id", "cpu_seconds"))
        assert used[alice.pk] == pytest.approx(1 + 1000 / 64, abs=0.1)
        submit(bobs)
        alices_job = submit(alices)
        assert claimed().job.id == alices_job.id

    def test_what_runs_counts_before_it_ends(self, alices: Video, bobs: Video, submit: Submit) -> None:
        submit(alices, width=160)
        claimed()
        Step.objects.filter(status="active").update(started_at=Now() - timedelta(minutes=5), threads=2)
        submit(alices, width=162)
        bobs_job = submit(bobs)
        Job.objects.filter(id=bobs_job.id).update(queued_at=Now())
        assert claimed().job.id == bobs_job.id

    def test_equals_take_turns(self, alices: Video, bobs: Video, submit: Submit) -> None:
        a = [submit(alices, width=160 + 2 * n) for n in range(4)]
        b = [submit(bobs, width=160 + 2 * n) for n in range(2)]
        expected = [a[0], b[0], a[1], b[1], a[2], a[3]]
        places = queue_positions([*a, *b])
        assert [places[job.id] for job in expected] == [1, 2, 3, 4, 5, 6]
        taken = []
        for _ in expected:
            one = claimed()
            taken.append(one.job.id)
            end(one)
        assert taken == [job.id for job in expected]

    def test_every_step_is_measured_however_it_ends(self, alice: User, video: Video, submit: Submit) -> None:
        done = submit(video, width=160)
        assert lane_work(lane="encode")
        after_first = Usage.objects.get(owner=alice).cpu_seconds
        assert Step.objects.get(job=done).cpu_seconds > 0
        assert after_first > 0
        failed = submit(video, width=162)
        Job.objects.filter(id=failed.id).update(plan={})
        assert lane_work(lane="encode")
        assert Step.objects.get(job=failed).cpu_seconds > 0
        assert Job.objects.get(id=failed.id).cpu_seconds > 0
        assert Usage.objects.get(owner=alice).cpu_seconds > after_first


class TestTwoHundredClips:
    """The line by which the queue is judged: 200 clips of one user, then one of another's."""

    @pytest.mark.parametrize("places", [1, 2, 5])
    def test_the_others_clip_is_the_next_to_start(
        self, alices: Video, bobs: Video, submit: Submit, places: int
    ) -> None:
        first = submit(alices, width=160)
        job_copies(first, 199)
        running = [claimed() for _ in range(places)]
        for _ in range(3):
            end(running.pop(0))
            running.append(claimed())
        wanted = submit(bobs)
        assert queue_positions([wanted]) == {wanted.id: 1}
        end(running.pop(0))
        assert claimed().job.id == wanted.id


class TestProcessor:
    TWO = Machine(cores=2, slots=5)

    def test_one_that_is_alone_gets_all_of_it_and_others_wait(self, video: Video, submit: Submit) -> None:
        submit(video, width=160)
        assert claimed(self.TWO).threads == 2
        submit(video, width=162)
        assert claim(machine=self.TWO) is None
        assert lanes_claimable() == ["encode"], "for another machine"
        assert claim(machine=self.TWO, worker="there/1")

    def test_those_that_could_start_together_share_it(self, video: Video, submit: Submit) -> None:
        for width in (160, 162, 164):
            submit(video, width=width)
        first, second = claimed(self.TWO), claimed(self.TWO)
        assert (first.threads, second.threads) == (1, 1)
        assert claim(machine=self.TWO) is None
        end(first)
        assert claimed(self.TWO).threads == 1, "the other core is taken"

    def test_whoever_may_not_start_gets_no_share(self, video: Video, submit: Submit) -> None:
        Tier.objects.update(concurrent_jobs=1)
        for width in (160, 162, 164):
            submit(video, width=width)
        assert claimed(self.TWO).threads == 2

    def test_no_more_shares_than_places(self, video: Video, submit: Submit) -> None:
        for width in (160, 162, 164):
            submit(video, width=width)
        assert claimed(Machine(cores=8, slots=1)).threads == 8

    @pytest.mark.parametrize(
        ("machine", "unfinished", "threads"),
        [
            (TWO, 4, [1, 1]),
            (TWO, 2, [1, 1]),
            (TWO, 1, [2]),
            (Machine(cores=3, slots=5), 2, [2, 1]),
            (Machine(cores=16, slots=4), 10, [4, 4, 4, 4]),
            (Machine(cores=2, slots=1), 4, [2]),
        ],
    )
    def test_segments_fill_it(
        self, video: Video, submit: Submit, machine: Machine, unfinished: int, threads: list[int]
    ) -> None:
        job = submit(video)
        Step.objects.filter(job=job).update(kind="segment")
        shape = {"owner_id": job.owner_id, "priority": job.priority, "type": job.type, "kind": "segment"}
        for position in range(1, unfinished):
            Step.objects.create(job=job, position=position, lane="encode", **shape)
        granted = []
        while one := claim(machine=machine):
            granted.append(one.threads)
        assert granted == threads

    def test_sound_needs_one_core(self, video: Video, submit: Submit) -> None:
        job = submit(video)
        Step.objects.filter(job=job).update(kind="audio")
        assert claimed(self.TWO).threads == 1

    def test_what_is_held_still_leaves_the_processor_to_others(
        self, alice: User, video: Video, submit: Submit
    ) -> None:
        job = submit(video, width=160)
        claimed(self.TWO)
        submit(video, width=162)
        job_pause(viewer=alice, job_id=job.id)
        assert claimed(self.TWO).threads == 2

    def test_what_a_dead_worker_held_is_free_at_once(self, video: Video, submit: Submit) -> None:
        """Its lease goes on for half a minute."""
        submit(video, width=160)
        gone = _pid_that_is_free()
        assert claim(machine=self.TWO, worker=f"here/{gone}")
        submit(video, width=162)
        assert claim(machine=self.TWO, worker=f"here/{os.getpid()}")
        submit(video, width=164)
        assert claim(machine=self.TWO, worker=f"here/{os.getpid()}") is None

    def test_claims_at_once_keep_to_it(self, alices: Video, bobs: Video, submit: Submit) -> None:
        for video in (alices, bobs):
            for width in range(160, 172, 2):
                submit(video, width=width)
        start = threading.Barrier(8)

        def take(number: int) -> list[Claim]:
            start.wait()
            try:
                worker, machine = f"here/{os.getpid()}", Machine(cores=3, slots=8)
                return [one for _ in range(2) if (one := claim(machine=machine, worker=worker))]
            finally:
                connection.close()

        with ThreadPoolExecutor(8) as threads:
            claims = [one for some in threads.map(take, range(8)) for one in some]
        assert sum(one.threads for one in claims) == 3

    def test_quick_work_is_not_held_up_by_encodes(self, alice: User, video: Video, submit: Submit) -> None:
        """Every core is taken, and the owner is at the cap: inspections start, and copies of others."""
        Tier.objects.update(concurrent_jobs=1)
        submit(video, width=160)
        assert claimed(self.TWO).threads == 2
        submit(video, width=162)
        assert claim(machine=self.TWO) is None
        job_create(video=video, operation=None, priority=Priority.LOW, plan=None)
        assert claim("short", self.TWO)

    def test_the_assembly_of_a_running_job_is_not_held_up(self, video: Video, submit: Submit) -> None:
        Tier.objects.update(concurrent_jobs=1)
        job = submit(video, width=160)
        claimed(self.TWO)
        shape = {"owner_id": job.owner_id, "priority": job.priority, "type": job.type, "kind": "assemble"}
        Step.objects.create(job=job, position=1, lane="short", **shape)
        taken = claim("short", self.TWO)
        assert taken is not None
        assert taken.position == 1


def _pid_that_is_free() -> int:
    return next(pid for pid in range(4_000_000, 1, -1) if not Path("/proc", str(pid)).exists())
