"""The uploads process as it runs in production, on a port of its own, inside the test's process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
import uvicorn
from django.db import connection, transaction

from users.models import User
from users.services import token_create
from videos.models import Upload, Video
from videos.services.videos import video_create_from_upload
from videos.tus.app import TusApplication

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {**TUS, "Content-Type": "application/offset+octet-stream"}


def video_of(*, upload_id: str) -> Video:
    """What the jobs floor does on completion, without the job."""
    with transaction.atomic():
        return video_create_from_upload(upload=Upload.objects.get(pk=upload_id))


@dataclass(frozen=True)
class Client:
    """A program that uploads with somebody's token."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, *, timeout: float = 30, **arguments: Any) -> requests.Response:
        headers = {**self.headers, **arguments.pop("headers", {})}
        return requests.request(method, self.url + path, headers=headers, timeout=timeout, **arguments)

    def create(self, length: int | None, **headers: str) -> requests.Response:
        size = {"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}
        return self.call("POST", "/api/v1/uploads", headers={**TUS, **size, **headers})

    def created(self, length: int | None, **headers: str) -> str:
        """The path of a new upload."""
        response = self.create(length, **headers)
        assert response.status_code == 201, response.text
        return response.headers["Location"]

    def patch(self, path: str, offset: int, data: Any, **headers: str) -> requests.Response:
        return self.call("PATCH", path, headers={**BYTES, "Upload-Offset": str(offset), **headers}, data=data)

    def head(self, path: str) -> requests.Response:
        return self.call("HEAD", path, headers=TUS)

    def offset(self, path: str) -> int:
        return int(self.head(path).headers["Upload-Offset"])

    def offset_when_still(self, path: str, *, at_least: int = 0) -> int:
        """The offset once the server has noticed that a connection is gone."""
        deadline = time.monotonic() + 10
        seen = -1
        while time.monotonic() < deadline:
            before, seen = seen, self.offset(path)
            if seen == before and seen >= at_least:
                break
            time.sleep(0.2)
        return seen


@pytest.fixture
def uploads_url(transactional_db: None) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        TusApplication(on_complete=video_of), log_level="warning", timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=20)
    assert not thread.is_alive()
    listener.close()


def uploader(url: str, user: User, **token: Any) -> Client:
    _, text = token_create(user=user, name="uploads", **token)
    return Client(url, {"Authorization": f"Bearer {text}"})


@pytest.fixture
def alice_uploads(uploads_url: str, alice: User) -> Client:
    return uploader(uploads_url, alice)


@pytest.fixture
def bob_uploads(uploads_url: str, bob: User) -> Client:
    return uploader(uploads_url, bob)


@pytest.fixture
def stranger_uploads(uploads_url: str) -> Client:
    return Client(uploads_url)


@pytest.fixture
def uploads_process(
    transactional_db: None, media: Path, tmp_path: Path
) -> Iterator[tuple[psutil.Process, str]]:
    """uvicorn as the supervisor starts it, on the test's database, and its address."""
    with uploads_running(media, tmp_path / "uploads.sock") as process:
        yield process, str(tmp_path / "uploads.sock")


def database_url() -> str:
    """The test's database, for processes of their own."""
    database = connection.settings_dict
    account = f"{database['USER']}:{database['PASSWORD']}" if database["PASSWORD"] else database["USER"]
    port = f"&port={database['PORT']}" if database["PORT"] else ""
    return f"postgresql://{account}@/{database['NAME']}?host={database['HOST']}{port}"


@contextmanager
def uploads_running(
    media: Path, address: Path, *, around: Sequence[str] = (), **more: str
) -> Iterator[psutil.Process]:
    """The uploads process, with the command `around` it and `more` in its environment."""
    environment = {**os.environ, "DATABASE_URL": database_url(), "VIDEOPROC_MEDIA": str(media), **more}
    command = [*around, sys.executable, "-m", "uvicorn", "--uds", str(address), "--no-access-log"]
    command += ["--timeout-graceful-shutdown", "1"]
    command += ["tests.videos.site_of_uploads:application"]
    with subprocess.Popen(command, env=environment) as child:
        deadline = time.monotonic() + 60
        try:
            while not address.exists():
                assert child.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield psutil.Process(child.pid)
        finally:
            child.kill()
