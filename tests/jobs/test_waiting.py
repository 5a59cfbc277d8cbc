"""Many who wait for a job at once, at the real web process."""

from __future__ import annotations

import http.client
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from jobs.steering import job_cancel
from tests.jobs.conftest import Submit
from tests.jobs.web import Site
from users.models import User
from users.services import token_create
from videos.models import Video


class _Connection(http.client.HTTPConnection):
    def __init__(self, address: Path) -> None:
        super().__init__("127.0.0.1", timeout=60)
        self._address = address

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(self._address))


def get(site: Site, path: str, token: str) -> Any:
    connection = _Connection(site.address)
    try:
        connection.request("GET", f"/api/v1/{path}", headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        assert answer.status == 200
        return json.loads(answer.read())
    finally:
        connection.close()


def test_fifty_wait_and_others_are_served(alice: User, video: Video, submit: Submit, site: Site) -> None:
    job = submit(video)
    _, token = token_create(user=alice, name="test")
    get(site, f"jobs/{job.id}", token)  # the first request loads the addresses
    with ThreadPoolExecutor(50) as threads:
        waiting = [threads.submit(get, site, f"jobs/{job.id}?wait=40", token) for _ in range(50)]
        time.sleep(3)
        assert not any(one.done() for one in waiting)
        started = time.monotonic()
        assert get(site, "jobs", token)["data"][0]["status"] == "queued"
        assert time.monotonic() - started < 5
        job_cancel(viewer=alice, job_id=job.id)
        answers = [one.result(timeout=20) for one in waiting]
    assert {answer["status"] for answer in answers} == {"cancelled"}
