"""What is counted of requests, in both processes that answer them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import MutableMapping
from typing import Any

import pytest
from django.test import Client

from jobs.services import upload_finish
from telemetry import context
from telemetry.recorder import recorder
from tests.conftest import PASSWORD
from tests.videoproc.test_metrics import _value, client_of_redis
from users.models import User
from users.services import token_create
from videoproc.request_watch import UploadsWatch
from videos.tus.app import TusApplication

__all__ = ["client_of_redis"]  # every test here begins with empty sums

pytestmark = pytest.mark.django_db


def _counted(route: str, method: str, status: int) -> float | None:
    recorder.flush()
    return _value("videoproc_http_requests_total", route=route, method=method, status=str(status))


def test_requests_are_counted_by_class_of_route(alice: User, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "videoproc")
    client = Client()
    client.force_login(alice)
    client.get("/")
    client.get("/api/v1/me")
    client.get("/no/such/page?ticket=s3cr3t")
    client.generic("BREW", "/api/v1/me")
    client.post("/accounts/login/", {"login": "alice", "password": PASSWORD})
    assert _counted("page", "GET", 200) == 1
    assert _counted("api", "GET", 200) == 1
    assert _counted("unknown", "GET", 404) == 1
    assert _counted("api", "other", 405) == 1
    assert _counted("accounts", "POST", 302) == 1
    assert _value("videoproc_http_request_duration_seconds_count", route="api") == 2
    lines = [(record.levelname, record.getMessage().partition(":")[0]) for record in caplog.records]
    assert ("INFO", "POST /accounts/login/") in lines
    assert ("DEBUG", "GET /api/v1/me") in lines
    assert "s3cr3t" not in "".join(line for _, line in lines)


@pytest.mark.django_db(transaction=True)
def test_uploads_are_counted_and_keep_the_id_of_their_request(
    alice: User, caplog: pytest.LogCaptureFixture
) -> None:
    _, token = token_create(user=alice, name="test")
    application = UploadsWatch(TusApplication(on_complete=upload_finish))
    caplog.set_level(logging.INFO, "videoproc")
    headers = {
        "host": "127.0.0.1",
        "authorization": f"Bearer {token}",
        "tus-resumable": "1.0.0",
        "upload-length": "5",
        "content-type": "application/offset+octet-stream",
        "x-request-id": "upload-1234",
    }
    about: list[dict[str, str | int]] = []

    class WithContext(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            about.append(context.fields())

    with_context = WithContext()
    watch = logging.getLogger("videoproc.request_watch")
    watch.addHandler(with_context)
    try:
        reply = asyncio.run(_ask(application, "POST", "/api/v1/uploads", headers, b"12345"))
    finally:
        watch.removeHandler(with_context)
    assert about == [{"request_id": "upload-1234", "user_id": alice.id}]
    assert reply["status"] == 201
    assert dict(reply["headers"])[b"x-request-id"] == b"upload-1234"
    assert _counted("uploads", "POST", 201) == 1
    assert _value("videoproc_uploaded_bytes_total") == 5
    made = alice.jobs.get()
    assert made.trace == {"request_id": "upload-1234"}
    assert any(record.getMessage().startswith("POST uploads: 201") for record in caplog.records)


async def _ask(
    application: UploadsWatch, method: str, path: str, headers: dict[str, str], body: bytes
) -> MutableMapping[str, Any]:
    sent: list[MutableMapping[str, Any]] = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> MutableMapping[str, Any]:
        return waiting.pop() if waiting else await asyncio.Future()

    async def send(event: MutableMapping[str, Any]) -> None:
        sent.append(event)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    raw.append((b"content-length", str(len(body)).encode()))
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": raw,
        "query_string": b"",
    }
    await application({**scope, "scheme": "http", "server": ("127.0.0.1", 80)}, receive, send)
    return sent[0]
