"""When jobs will begin and end: what is learned, what is told, and what is not made up."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import Settings
from rest_framework.test import APIClient

from engine import execute
from engine.types.results import Progress
from jobs import eta_pace
from jobs.claiming import machine_of, step_claim, worker_name
from jobs.eta import estimates, queue_end
from jobs.eta_live import RUNS_END, Forecast
from jobs.eta_pace import KEPT, Span, Took, pace_learn, paces_for
from jobs.eta_queue import Load, Own, Queue, Running, begin_of, end_of
from jobs.eta_work import intake_cost, key_levels, step_cost
from jobs.execution import lane_work
from jobs.leases import progress_write
from jobs.models import Job, Pace, Step
from jobs.services import operation_plan
from jobs.site import site_settings, site_settings_save
from jobs.steering import job_pause
from tests.jobs.conftest import Clip, Submit, video_make
from users.models import Priority, Tier, User
from videos.models import Video

KEY = "resize|encode|libx264|medium|0|h264|0"


def learn(
    key: str = KEY,
    *,
    wall: float,
    cpu: float | None = None,
    tail: float = 0.0,
    work: float = 1.0,
    crowd: int = 1,
) -> None:
    took = Took(wall, tail, crowd)
    used = wall if cpu is None else cpu
    pace_learn(key=key, work=work, took=took, cpu_seconds=used, machine=machine_of(worker_name()))


class TestWork:
    def test_more_pixels_and_slower_presets_are_more_work(
        self, clip: Clip, alice: User, submit: Submit
    ) -> None:
        video = video_make(alice, clip)
        costs = {}
        for name, parameters in {
            "small": {"format": "mkv", "video_codec": "h264", "crf": 23},
            "slow": {"format": "mkv", "video_codec": "h264", "crf": 23, "preset": "slow"},
        }.items():
            plan = operation_plan(viewer=alice, video_id=video.id, type="convert", parameters=parameters)
            (step,) = plan.steps
            costs[name] = step_cost("convert", plan, step, clip.media)
        assert costs["slow"].work > costs["small"].work
        assert costs["slow"].key != costs["small"].key

    def test_a_key_leads_to_coarser_ones(self) -> None:
        levels = key_levels(KEY)
        assert levels[0] == KEY
        assert levels[-1] == "*|*|*|*|*|*|*"
        assert len(set(levels)) == 5
        assert key_levels(intake_cost(1000).key)[-1].startswith("intake|*")
        assert key_levels("") == (), "steps from before anything was noted of them"

    def test_every_operation_has_a_key_that_fits(self, clip: Clip, alice: User, submit: Submit) -> None:
        job = submit(video_make(alice, clip))
        step = job.steps.get()
        assert step.cost_key.startswith("resize|encode|libx264|medium|0|h264|")
        assert step.work > 0


@pytest.mark.usefixtures("db")
class TestLearning:
    def test_the_median_of_the_last_figures_counts(self) -> None:
        for wall in (2.0, 2.1, 50.0, 1.9, 2.0):
            learn(wall=wall)
        span = paces_for([KEY]).span(KEY, 3.0)
        assert span is not None
        assert span.wall == pytest.approx(6.0)
        assert 0 < span.doubt < 0.3

    def test_old_figures_are_forgotten(self) -> None:
        for _ in range(KEPT):
            learn(wall=9.0)
        for _ in range(KEPT):
            learn(wall=1.0)
        span = paces_for([KEY]).span(KEY, 1.0)
        assert span is not None
        assert span.wall == pytest.approx(1.0)
        assert all(len(row.wall) == KEPT for row in Pace.objects.all())

    def test_coarser_kinds_help_out_and_are_less_sure(self) -> None:
        for _ in range(5):
            learn(wall=2.0)
        others = {
            "exact": KEY,
            "another size": KEY.replace("|0|h264", "|4|vp9"),
            "another operation": KEY.replace("resize|", "crop|"),
            "anything": "hls|encode|libvpx-vp9|4|0|h264|3",
        }
        paces = paces_for(others.values())
        doubts = []
        for key in others.values():
            span = paces.span(key, 1.0)
            assert span is not None
            doubts.append(span.doubt)
        assert doubts == sorted(doubts)
        assert paces_for(["intake|intake|-|-|-|-|0"]).span("intake|intake|-|-|-|-|0", 1.0) is None

    def test_a_step_that_was_held_up_teaches_its_processor_time_only(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(eta_pace, "cores", lambda: 2)
        learn(wall=5.0, cpu=2.0, crowd=5)
        row = Pace.objects.get(key=KEY)
        assert (row.wall, row.cpu) == ([], [2.0])
        learn(wall=1.2, cpu=2.0, crowd=1)
        learn(wall=5.0, cpu=0.5, crowd=5)
        row.refresh_from_db()
        assert row.wall == [5.0, 1.2], "one that waited for something else was not held up"

    def test_nonsense_teaches_nothing(self) -> None:
        learn(key="", wall=1.0)
        learn(wall=0.0)
        learn(wall=1.0, work=0.0)
        assert not Pace.objects.exists()

    def test_a_finished_step_is_learned_from(self, video: Video, submit: Submit) -> None:
        submit(video)
        assert lane_work(lane="encode")
        step = Step.objects.get()
        row = Pace.objects.get(key=step.cost_key)
        assert step.started_at is not None
        assert step.finished_at is not None
        whole = (step.finished_at - step.started_at).total_seconds()
        assert 0 < row.wall[0] * step.work <= whole
        assert 0 < row.tail[0] < row.wall[0]
        assert row.cpu[0] * step.work == pytest.approx(step.cpu_seconds)
        assert Pace.objects.filter(key="*|*|*|*|*|*|*").exists()


SPAN = Span(wall=10.0, cpu=10.0, tail=1.0, doubt=0.2)


class TestForecast:
    def test_the_end_of_the_runs_is_where_the_engine_has_it(self) -> None:
        assert RUNS_END == execute._RUNS_END

    def test_before_any_progress_what_was_learned_counts(self) -> None:
        left = Forecast(SPAN).left(2.0)
        assert left is not None
        assert left.seconds == pytest.approx(8.0)
        assert left.low < left.seconds < left.high

    def test_the_own_pace_counts_more_and_more(self) -> None:
        """It is twice as slow as learned: 18 s of tools instead of 9."""
        expected = []
        for share in (0.05, 0.2, 0.5, 0.9):
            forecast = Forecast(SPAN)
            forecast.progressed(Progress(fraction=share * RUNS_END), 18 * share)
            left = forecast.left(18 * share)
            assert left is not None
            expected.append(18 * share + left.seconds)
        assert expected == sorted(expected)
        assert expected[-1] == pytest.approx(19, rel=0.05)

    def test_after_the_tools_only_the_looks_are_left(self) -> None:
        forecast = Forecast(SPAN)
        forecast.progressed(Progress(fraction=RUNS_END), 9.0)
        left = forecast.left(9.4)
        assert left is not None
        assert left.seconds == pytest.approx(0.6)
        assert forecast.tail(9.4) == pytest.approx(0.4)

    def test_nothing_learned_and_no_progress_is_no_estimate(self) -> None:
        forecast = Forecast(None)
        assert forecast.left(5.0) is None
        forecast.progressed(Progress(fraction=0.001), 5.0)
        assert forecast.left(5.0) is None
        forecast.progressed(Progress(fraction=0.5 * RUNS_END), 10.0)
        left = forecast.left(10.0)
        assert left is not None
        assert left.seconds == pytest.approx(10.0)

    @hypothesis_settings(deadline=None)
    @given(st.floats(0, 1), st.floats(0, 1e5), st.floats(0.01, 1e5), st.floats(0, 2))
    def test_whatever_happens_it_is_a_sane_number(
        self, share: float, at: float, wall: float, doubt: float
    ) -> None:
        forecast = Forecast(Span(wall, wall, wall / 10, doubt))
        forecast.progressed(Progress(fraction=share), at)
        left = forecast.left(at)
        assert left is not None
        assert 0 <= left.low <= left.seconds <= left.high
        assert math.isfinite(left.high)


ALICE, BOB = "alice", "bob"


def own(ahead: Load | None = None, *, priority: int = 2, cap: int | None = None) -> Own:
    return Own("encode", ALICE, priority, ahead or Load(), cap)


def running(*lefts: float, owner: str = BOB) -> tuple[Running, ...]:
    return tuple(Running(owner, "encode", left, False) for left in lefts)


class TestQueue:
    @pytest.fixture(autouse=True)
    def _small(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        settings.WORKER_CONCURRENCY = 2
        monkeypatch.setattr(eta_pace, "cores", lambda: 2)

    def seconds(self, mine: Own, queue: Queue) -> float:
        left = begin_of(mine, queue)
        assert left is not None
        assert left.low <= left.seconds <= left.high
        return left.seconds

    def test_an_idle_place_is_taken_at_once(self) -> None:
        assert self.seconds(own(), Queue(running=running(50.0))) == 0

    def test_else_the_first_that_ends_makes_room(self) -> None:
        assert self.seconds(own(), Queue(running=running(50.0, 20.0))) == 20

    def test_own_jobs_come_before(self) -> None:
        ahead = Load(2, wall=20.0, cpu=20.0)
        assert self.seconds(own(ahead), Queue(running=running(5.0, 5.0))) == 15

    def test_a_cap_holds_back(self) -> None:
        queue = Queue(running=running(30.0, owner=ALICE))
        assert self.seconds(own(cap=1), queue) == 30
        assert self.seconds(own(cap=2), queue) == 0

    def test_others_take_turns(self) -> None:
        """However many jobs bob has, alice's first comes after one of his."""
        hundred = Load(100, wall=1000.0, cpu=1000.0)
        queue = Queue(ready={("encode", 2, BOB): hundred}, running=running(5.0, 5.0))
        assert 5 <= self.seconds(own(), queue) <= 15
        left = begin_of(own(), queue)
        assert left is not None
        assert left.high > 400, "at the latest after all of them"

    def test_more_urgent_jobs_of_others_come_first_and_less_urgent_ones_do_not(self) -> None:
        ten = Load(10, wall=100.0, cpu=100.0)
        urgent = Queue(ready={("encode", 1, BOB): ten}, running=running(5.0, 5.0))
        assert self.seconds(own(), urgent) > 40
        later = Queue(ready={("encode", 3, BOB): ten}, running=running(5.0, 5.0))
        assert self.seconds(own(), later) == 5

    @pytest.mark.parametrize(
        "queue",
        [
            Queue(drained=frozenset({"encode"})),
            Queue(running=(Running(BOB, "encode", None, False), Running(BOB, "encode", 1.0, False))),
            Queue(ready={("encode", 1, BOB): Load(5, 0, 0, 5)}, running=running(1.0, 1.0)),
            Queue(running=(Running(BOB, "encode", None, True), Running(BOB, "encode", None, True))),
        ],
        ids=["drained", "nobody knows what runs", "nobody knows what waits", "all places are held"],
    )
    def test_what_nobody_can_tell_is_not_told(self, queue: Queue) -> None:
        assert begin_of(own(), queue) is None

    def test_the_end_waits_for_the_owner_with_the_smallest_cap(self) -> None:
        ten = Load(10, wall=100.0, cpu=100.0)
        queue = Queue(ready={("encode", 2, BOB): ten}, running=running(10.0), caps={BOB: 1})
        left = end_of(queue)
        assert left is not None
        assert left.seconds == pytest.approx(110)

    def test_the_end_of_all_work(self) -> None:
        ten = Load(10, wall=100.0, cpu=100.0)
        queue = Queue(ready={("encode", 2, BOB): ten}, running=running(10.0, 10.0))
        left = end_of(queue)
        assert left is not None
        assert left.seconds == pytest.approx(60)
        assert end_of(Queue(ready={("encode", 2, BOB): Load(1, 0, 0, 1)})) is None
        assert end_of(Queue(ready={("encode", 2, BOB): ten}, drained=frozenset({"encode"}))) is None


def states(client: APIClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/api/v1/jobs?type=resize").json()["data"]
    return found


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


class TestWhatIsTold:
    def test_nothing_is_made_up(self, alices_client: APIClient, video: Video, submit: Submit) -> None:
        submit(video)
        (waiting,) = states(alices_client)
        assert waiting["estimate"] == {"state": "estimating", **dict.fromkeys(TIMES)}
        assert waiting["eta_seconds"] is None
        assert alices_client.get("/api/v1/queue").json() == {
            "state": "estimating", "waiting": 1, "running": 0,
            "ends_at": None, "ends_earliest": None, "ends_latest": None,
        }  # fmt: skip
        body = {"type": "resize", "parameters": {"width": 80}}
        plan = alices_client.post(
            f"/api/v1/videos/{video.id}/operations?plan=true", body, format="json"
        ).json()
        assert (plan["estimated_seconds"], plan["estimated_between"]) == (None, None)
        assert step_claim(lane="encode", worker="other/1") is not None
        (running,) = states(alices_client)
        assert (running["status"], running["estimate"]["state"]) == ("active", "estimating")

    def test_what_was_learned_is_told_everywhere(
        self, alices_client: APIClient, video: Video, submit: Submit
    ) -> None:
        submit(video)
        assert lane_work(lane="encode")
        body = {"type": "resize", "parameters": {"width": 162}}
        plan = alices_client.post(
            f"/api/v1/videos/{video.id}/operations?plan=true", body, format="json"
        ).json()
        low, high = plan["estimated_between"]
        assert 0 < low <= plan["estimated_seconds"] <= high
        before = datetime.now(UTC)
        job = submit(video, width=162)
        waiting = alices_client.get(f"/api/v1/jobs/{job.id}").json()
        told = waiting["estimate"]
        assert told["state"] == "known"
        assert moment(told["starts_earliest"]) <= moment(told["starts_at"]) <= moment(told["starts_latest"])
        assert moment(told["starts_at"]) < moment(told["ends_at"])
        assert moment(told["ends_earliest"]) < moment(told["ends_at"]) < moment(told["ends_latest"])
        expected = (moment(told["ends_at"]) - before).total_seconds()
        assert waiting["eta_seconds"] == pytest.approx(expected, abs=20)
        assert alices_client.get("/api/v1/queue").json()["state"] == "known"
        assert step_claim(lane="encode", worker="other/1") is not None
        running = alices_client.get(f"/api/v1/jobs/{job.id}").json()
        assert running["estimate"]["starts_at"] is None
        assert running["eta_seconds"] > 0

    def test_what_the_worker_said_counts_down(
        self, alices_client: APIClient, video: Video, submit: Submit
    ) -> None:
        job = submit(video)
        taken = step_claim(lane="encode", worker="other/1")
        assert taken is not None
        assert progress_write(taken, per_cent=20, speed=2, eta_seconds=100, eta_range=(80, 120)) is not None
        Job.objects.update(eta_at=datetime.now(UTC) - timedelta(seconds=30))
        told = alices_client.get(f"/api/v1/jobs/{job.id}").json()
        assert told["eta_seconds"] == pytest.approx(70, abs=20)
        gap = moment(told["estimate"]["ends_latest"]) - moment(told["estimate"]["ends_earliest"])
        assert gap.total_seconds() == pytest.approx(40, abs=0.1)

    def test_a_job_that_ended_or_is_paused_expects_nothing(
        self, alices_client: APIClient, alice: User, video: Video, submit: Submit
    ) -> None:
        submit(video)
        assert lane_work(lane="encode")
        job_pause(viewer=alice, job_id=submit(video, width=162).id)
        for state in states(alices_client):
            assert (state["estimate"], state["eta_seconds"]) == (None, None)
        assert alices_client.get("/api/v1/queue").json()["state"] == "idle"

    def test_a_wait_before_the_next_try_is_counted_in(self, video: Video, submit: Submit) -> None:
        submit(video)
        assert lane_work(lane="encode")
        job = submit(video, width=162)
        Job.objects.filter(id=job.id).update(run_after=datetime.now(UTC) + timedelta(seconds=500))
        found = estimates([Job.objects.get(id=job.id)])[job.id]
        assert found.seconds is not None
        assert found.seconds > 490

    def test_a_drained_lane_has_no_start(self, video: Video, submit: Submit) -> None:
        submit(video)
        assert lane_work(lane="encode")
        settings = site_settings()
        settings.drained_encode = True
        site_settings_save(settings)
        job = submit(video, width=162)
        assert estimates([job])[job.id].ends is None
        assert queue_end().ends is None

    def test_a_long_list_costs_as_many_queries_as_a_short_one(
        self, alice: User, bob: User, clip: Clip, submit: Submit
    ) -> None:
        Tier.objects.filter(name="free").update(priority=Priority.NORMAL)
        videos = [video_make(alice, clip), video_make(bob, clip)]
        learn(wall=1.0)
        counts = []
        for width in range(40, 60, 2):
            for video in videos:
                submit(video, width=width)
            cache.clear()
            jobs = list(Job.objects.all())
            with CaptureQueriesContext(connection) as queries:
                found = estimates(jobs)
            counts.append(len(queries))
            assert all(one.ends is not None for one in found.values())
        assert len(set(counts)) == 1
        assert counts[0] <= 8

    def test_the_pages_say_it(self, alice: User, video: Video, submit: Submit) -> None:
        from django.test import Client as Browser  # noqa: PLC0415

        browser = Browser()
        browser.force_login(alice)
        submit(video)
        assert "estimating" in browser.get("/jobs/").content.decode()
        assert lane_work(lane="encode")
        submit(video, width=162)
        page = browser.get("/jobs/").content.decode()
        assert "starts now, done in about" in page
        assert "All work on this site is expected to be done in about" in page


TIMES = ("starts_at", "starts_earliest", "starts_latest", "ends_at", "ends_earliest", "ends_latest")
