"""Live events over a real Redis: snapshot + events == a fresh snapshot, and who may listen."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import pytest
import websockets.sync.client
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.test import Client
from websockets.exceptions import ConnectionClosed

from jobs import consumers, selectors
from jobs.claiming import step_claim
from jobs.events import JobState, job_message, job_state, snapshot_message
from jobs.execution import lane_work
from jobs.outbox import Outbox
from jobs.outcomes import step_fail
from jobs.publish import publish_now
from jobs.services import job_retry, sample_submit
from jobs.socket_outbox import SocketOutbox
from jobs.steering import job_cancel
from problems import Problem
from tests.jobs.conftest import Clip, Submit, video_make
from tests.jobs.web import Site, Socket
from users.models import User
from users.services import socket_ticket_create
from videos.models import Video


def cookie_of(user: User) -> str:
    client = Client()
    client.force_login(user)
    assert client.session[SESSION_KEY] == user.pk
    return str(client.cookies[settings.SESSION_COOKIE_NAME].value)


def received(socket: Socket, *, seconds: float = 10) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(socket.recv(timeout=seconds))
    return message


def received_until(socket: Socket, type_: str) -> list[dict[str, Any]]:
    """Messages up to the first of this type."""
    messages = [received(socket)]
    while messages[-1]["type"] != type_:
        messages.append(received(socket))
    return messages


# What follows from the whole queue and from the clock is not in every message.
_OF_THE_MOMENT: Any = {"queue_position": None, "estimate": None, "eta_seconds": None}


class Page:
    """What a page does with messages: keeps of each job the state with the highest seq."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}

    def take(self, message: dict[str, Any]) -> None:
        for job in message.get("jobs", [message["job"]] if "job" in message else []):
            if job["seq"] >= self.jobs.get(job["id"], job)["seq"]:
                self.jobs[job["id"]] = job

    def live(self) -> dict[str, dict[str, Any]]:
        return {
            key: {**job, **_OF_THE_MOMENT}
            for key, job in self.jobs.items()
            if job["status"] in {"queued", "active", "paused"}
        }


def live_now(user: User) -> dict[str, JobState]:
    states = selectors.job_states(selectors.jobs_live_for(user))
    return {state["id"]: {**state, **_OF_THE_MOMENT} for state in states}


def test_snapshot_and_events_make_a_fresh_snapshot(
    alice: User, clip: Clip, video: Video, submit: Submit, site: Site
) -> None:
    submit(video, width=160)
    page = Page()
    types: list[str] = []
    with site.connect(cookie=cookie_of(alice)) as socket:
        first = received(socket)
        assert first["type"] == "snapshot"
        page.take(first)
        assert page.live() == live_now(alice)

        uploaded = sample_submit(viewer=alice, clip=clip.path)
        assert lane_work(lane="short")
        assert lane_work(lane="encode")
        failing = submit(video, width=162)
        taken = step_claim(lane="encode", worker="here/1")
        assert taken is not None
        assert step_fail(taken, Problem("encoder_crashed", signal=11))
        job_cancel(viewer=alice, job_id=failing.id)
        job_retry(viewer=alice, job_id=failing.id)
        taken = step_claim(lane="encode", worker="here/1")
        assert taken is not None
        assert step_fail(taken, Problem("input_corrupt"))
        submit(video, width=164)
        last = submit(video, width=166)
        while not types or page.jobs.get(last.id) is None:
            message = received(socket)
            types.append(message["type"])
            assert message["v"] == 1
            assert message["seq"] == message["job"]["seq"]
            page.take(message)

    assert page.live() == live_now(alice)
    assert set(types) >= {
        "job.queued",
        "job.started",
        "job.retrying",
        "job.completed",
        "job.failed",
        "job.cancelled",
        "video.ready",
    }
    ready = types.index("video.ready")
    assert "job.completed" in types[:ready]
    uploaded.refresh_from_db()
    assert uploaded.status == Video.Status.READY


def test_progress_counts_up_and_comes_at_most_four_times_a_second(
    alice: User, busy_job: Any, site: Site
) -> None:
    with site.connect(cookie=cookie_of(alice)) as socket:
        received(socket)
        assert lane_work(lane="encode")
        messages = received_until(socket, "job.completed")

    progress = [message["job"] for message in messages if message["type"] == "job.progress"]
    assert len({job["progress"] for job in progress}) >= 3
    assert [job["progress"] for job in progress] == sorted(job["progress"] for job in progress)
    seqs = [message["seq"] for message in messages]
    assert seqs == sorted(seqs)
    assert len(set(seqs)) == len(seqs)
    took = messages[-1]["job"]["duration_ms"] / 1000
    assert len(progress) <= 4 * took + 2


def test_strangers_hear_nothing(bob: User, video: Video, clip: Clip, submit: Submit, site: Site) -> None:
    with site.connect(cookie=cookie_of(bob)) as socket:
        assert received(socket)["jobs"] == []
        submit(video)
        own = submit(video_make(bob, clip))
        heard = received(socket)
    assert heard["job"]["id"] == own.id


def test_nobody_is_told_to_sign_in(alice: User, site: Site) -> None:
    for options in ({}, {"ticket": "made-up"}, {"cookie": "made-up"}):
        with site.connect(**options) as socket, pytest.raises(ConnectionClosed) as caught:
            socket.recv(timeout=10)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 4401


def test_a_ticket_opens_one_socket(alice: User, video: Video, submit: Submit, site: Site) -> None:
    job = submit(video)
    ticket = socket_ticket_create(user=alice)
    with site.connect(ticket=ticket) as socket:
        assert [one["id"] for one in received(socket)["jobs"]] == [job.id]
        with site.connect(ticket=ticket) as second, pytest.raises(ConnectionClosed) as caught:
            second.recv(timeout=10)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 4401


def test_a_foreign_page_cannot_listen(alice: User, site: Site) -> None:
    with pytest.raises(websockets.exceptions.InvalidStatus):
        site.connect(cookie=cookie_of(alice), origin="https://evil.example")


def test_subscribing(alice: User, video: Video, clip: Clip, submit: Submit, site: Site) -> None:
    other = submit(video_make(alice, clip))
    job = submit(video)
    with site.connect(cookie=cookie_of(alice)) as socket:
        assert {one["id"] for one in received(socket)["jobs"]} == {job.id, other.id}
        socket.send(json.dumps({"subscribe": [video.id]}))
        snapshot = received(socket)
        assert (snapshot["type"], snapshot["video"]) == ("snapshot", video.id)
        assert [one["id"] for one in snapshot["jobs"]] == [job.id]
        job_cancel(viewer=alice, job_id=job.id)
        assert received(socket)["type"] == "job.cancelled"
        submit(video, width=162)
        assert received(socket)["type"] == "job.queued", "and no event came twice"

        for nonsense in ("{", "[]", "{}", '{"subscribe": "vid"}', '{"subscribe": [1]}', '{"dance": []}'):
            socket.send(nonsense)
            assert received(socket)["code"] == "invalid_request"
        socket.send(b"\x00")
        assert received(socket)["code"] == "invalid_request"


def test_subscribing_to_a_strangers_video_ends_the_socket(bob: User, video: Video, site: Site) -> None:
    with site.connect(cookie=cookie_of(bob)) as socket:
        received(socket)
        socket.send(json.dumps({"subscribe": [video.id]}))
        assert received(socket)["code"] == "not_found"
        with pytest.raises(ConnectionClosed) as caught:
            socket.recv(timeout=10)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 4403


def test_a_chatterbox_is_cut_off(alice: User, site: Site) -> None:
    with site.connect(cookie=cookie_of(alice)) as socket:
        received(socket)
        for _ in range(consumers.MESSAGES):
            socket.send("{}")
            assert received(socket)["code"] == "invalid_request"
        socket.send("{}")
        with pytest.raises(ConnectionClosed) as caught:
            socket.recv(timeout=10)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1008


def test_sessions_that_ended_may_not_watch(alice: User) -> None:
    key = cookie_of(alice)
    assert consumers._session_is_of(key, alice.id)
    Session.objects.all().delete()
    assert not consumers._session_is_of(key, alice.id)

    key = cookie_of(alice)
    alice.set_password("another correct horse")
    alice.save()
    assert not consumers._session_is_of(key, alice.id)

    User.objects.update(is_active=False)
    assert consumers._fresh(alice.id) is None


@pytest.fixture
def state(video: Video, submit: Submit) -> JobState:
    return job_state(submit(video))


def test_a_slow_reader_loses_old_progress_first(state: JobState) -> None:
    def progress(job: str, seq: int) -> Any:
        return job_message("job.progress", {**state, "id": job, "seq": seq})

    async def run() -> list[tuple[str, int]]:
        outbox = SocketOutbox(limit=3)
        for seq in range(1, 6):
            assert outbox.put(progress("a", seq)), "a newer progress takes the place of the older"
        assert outbox.put(job_message("job.completed", {**state, "id": "a", "seq": 6}))
        assert outbox.put(progress("b", 7))
        assert outbox.put(snapshot_message([])), "the oldest progress makes room"
        assert outbox.put(job_message("job.failed", {**state, "id": "c", "seq": 8}))
        assert not outbox.put(snapshot_message([])), "nothing left to drop"
        sent: list[tuple[str, int]] = []

        async def send(message: Any) -> None:
            sent.append((message["type"], message["seq"]))

        drain = asyncio.create_task(outbox.drain(send))
        await asyncio.sleep(0.05)
        drain.cancel()
        return sent

    assert asyncio.run(run()) == [("job.completed", 6), ("snapshot", 0), ("job.failed", 8)]


def test_publishing_without_redis_neither_fails_nor_waits(state: JobState, alice: User) -> None:
    broken: list[str] = []

    def send(item: str) -> None:
        broken.append(item)
        raise ConnectionError("no Redis")

    outbox: Outbox[str] = Outbox("test", send, capacity=2)
    outbox.put("one")
    outbox.put("two")
    assert outbox.flush(5)
    assert broken == ["one", "two"], "the thread lives on"
    publish_now(job_message("job.progress", state), owner_id=alice.id, video_id=None)


def test_a_forked_child_sends_with_a_thread_of_its_own() -> None:
    sent: list[int] = []
    outbox: Outbox[int] = Outbox("test", sent.append)
    outbox.put(1)
    assert outbox.flush(5)
    child = os.fork()
    if child == 0:
        outbox.put(2)
        os._exit(0 if outbox.flush(5) and sent == [1, 2] else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
