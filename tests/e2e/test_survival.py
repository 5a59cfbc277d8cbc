"""Processes die and the broker forgets; the work goes on by itself."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
import redis

from engine.samples import sample_clip
from tests.e2e.client import Client
from tests.e2e.site import Site

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Takes this machine several seconds to encode."""
    path = tmp_path_factory.mktemp("clips") / "long.mp4"
    sample_clip(path, seconds=20, width=1280, height=720)
    return path


def _wait_until_running(client: Client, job_id: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if client.call("GET", f"jobs/{job_id}", 200)["progress"] > 0:
            return
        time.sleep(0.1)
    raise AssertionError("the job never made progress")


def test_killing_the_encode_worker_loses_no_job(site: Site, long_clip: Path) -> None:
    client = Client(site.url)
    video = client.ready_video(long_clip)
    job = client.operation(video, "resize", width=960)["job"]
    _wait_until_running(client, job["id"])
    assert site.pids(r"ffmpeg.*-progress")

    for pid in site.pids(r"celery.* -Q encode"):
        os.kill(pid, signal.SIGKILL)
    time.sleep(1)
    assert not site.pids(r"ffmpeg.*-progress"), "an encoder outlived its worker"

    ended = client.job_ended(job["id"], seconds=150)
    assert ended["status"] == "completed", ended
    assert ended["attempt"] == 2
    outputs = client.call("GET", f"operations/{ended['operation']}", 200)["outputs"]
    assert [(output["media_info"]["video"][0]["width"]) for output in outputs] == [960]
    assert not site.pids(r"ffmpeg.*-progress")


def test_flushing_the_broker_with_a_full_queue_loses_no_job(site: Site, long_clip: Path) -> None:
    client = Client(site.url)
    video = client.ready_video(long_clip)
    jobs = [client.operation(video, "resize", width=width)["job"] for width in (160, 192, 224, 256, 288)]

    _broker(site).flushall()

    ended = [client.job_ended(job["id"], seconds=150) for job in jobs]
    assert [job["status"] for job in ended] == ["completed"] * 5
    assert client.call("GET", "jobs", 200, params={"status": "completed"})["data"][0]["video"] == video["id"]


def _broker(site: Site) -> redis.Redis:
    """The site's own Valkey, reached as its processes reach it."""
    worker = site.pids(r"celery.* -Q short")[0]
    environment = dict(
        entry.split("=", 1)
        for entry in Path(f"/proc/{worker}/environ").read_text().split("\0")
        if "=" in entry
    )
    return redis.Redis.from_url(environment["REDIS_URL"])


def test_cancelling_ends_the_encoder_within_seconds(site: Site, long_clip: Path) -> None:
    client = Client(site.url)
    video = client.ready_video(long_clip)
    job = client.operation(video, "resize", width=1024)["job"]
    _wait_until_running(client, job["id"])

    assert client.call("POST", f"jobs/{job['id']}/cancel", 200)["status"] == "cancelled"

    deadline = time.monotonic() + 5
    while site.pids(r"ffmpeg.*-progress"):
        assert time.monotonic() < deadline, "the encoder still runs 5 s after the cancel"
        time.sleep(0.1)
    assert client.call("GET", f"videos/{video['id']}/operations", 200)["data"][0]["outputs"] == []
    assert client.call("POST", f"jobs/{job['id']}/cancel", 409)["code"] == "job_state_conflict"
