"""Log lines: their form, what they are about, and what never gets into them."""

from __future__ import annotations

import json
import logging
import logging.config
import sys
import threading

import pytest
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.http import HttpRequest
from django.test import Client
from django.utils.functional import SimpleLazyObject
from pytest_django import Settings

from telemetry import context
from tests.conftest import PASSWORD
from users.models import User
from users.services import token_create
from videoproc.logs import HIDDEN, JsonFormatter, TextFormatter
from videoproc.request_ids import _known_user


def _record(message: str, *arguments: object, error: bool = False) -> logging.LogRecord:
    return logging.LogRecord(
        "room", logging.WARNING, __file__, 1, message, arguments, sys.exc_info() if error else None
    )


def test_a_json_line_says_what_it_is_about() -> None:
    formatter = JsonFormatter(process="worker-encode")
    with context.bound(request_id="request-1234", job_id="job_1"), context.bound(step_id=7):
        line = json.loads(formatter.format(_record("frame %d\nof %s", 3, "ünïcode")))
    assert line.pop("time").endswith("+00:00")
    assert line.pop("pid")
    assert line == {
        "level": "warning",
        "logger": "room",
        "process": "worker-encode",
        "message": "frame 3\nof ünïcode",
        "request_id": "request-1234",
        "job_id": "job_1",
        "step_id": 7,
    }
    assert "job_id" not in json.loads(formatter.format(_record("later")))


def test_an_exception_is_one_line_of_json() -> None:
    try:
        int("password=hunter2hunter2")
    except ValueError:
        text = JsonFormatter().format(_record("failed", error=True))
    assert "\n" not in text
    assert "Traceback" in json.loads(text)["exception"]
    assert "hunter2" not in text


@pytest.mark.parametrize(
    "message",
    [
        "Authorization: Bearer {}",
        "{{'Authorization': 'Token {}'}}",
        "Cookie: videoproc_session={}; videoproc_csrf={}",
        "headers {{'cookie': 'a={}'}}",
        "password={}&login=alice",
        '{{"new_password": "{}"}}',
        "GET /ws/v1/events?ticket={} failed",
        "connection to postgresql://videoproc:{}@db:5432/videoproc failed",
        "redis://:{}@valkey:6379/0",
        "/accounts/password/reset/key/{}/",
        "the token vp_{} was used",
        "VIDEOPROC_SECRET_KEY={}",
    ],
)
def test_what_looks_like_a_secret_is_hidden(message: str) -> None:
    secret = "s3cr3tS3cr3tS3cr3t"
    record = _record(message.replace("{{", "{").replace("}}", "}").replace("{}", secret))
    for formatter in (TextFormatter(), JsonFormatter()):
        line = formatter.format(record)
        assert secret not in line
        assert HIDDEN in line


def test_the_secrets_of_the_site_are_hidden_wherever_they_stand() -> None:
    formatter = TextFormatter(secrets=["", "short", "a long+secret (of ours)", "a long+secret"])
    line = formatter.format(_record("x%sy and short", "a long+secret (of ours)"))
    assert "long" not in line
    assert "short" in line


@pytest.mark.parametrize("message", ["the token of step 3 is gone", "next: token", "no password was given"])
def test_ordinary_words_stay(message: str) -> None:
    assert message in TextFormatter().format(_record(message))


def test_a_sign_in_leaves_no_secret_in_the_log(alice: User, caplog: pytest.LogCaptureFixture) -> None:
    _, token = token_create(user=alice, name="test")
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    keep = Keep()
    keep.setFormatter(JsonFormatter())
    logging.getLogger().addHandler(keep)
    caplog.set_level(logging.DEBUG)
    try:
        client = Client()
        login = {"login": "alice", "password": PASSWORD}
        assert client.post("/accounts/login/", login).status_code == 302
        cookies = [morsel.value for morsel in client.cookies.values()]
        assert client.get("/", headers={"X-Request-Id": "request-1234"}).status_code == 200
        assert Client().get("/api/v1/me", headers={"Authorization": f"Bearer {token}"}).status_code == 200
        assert Client().get(f"/api/v1/none?token={token}&password={PASSWORD}").status_code == 404
        assert Client().get("/metrics", headers={"X-Request-Id": "refused-1234"}).status_code == 401
    finally:
        logging.getLogger().removeHandler(keep)
    everything = "\n".join(lines)
    for secret in (PASSWORD, token, *cookies):
        assert secret not in everything
    page = next(json.loads(line) for line in lines if "request-1234" in line)
    refused = [json.loads(line) for line in lines if "Unauthorized: /metrics" in line]
    assert [line["request_id"] for line in refused] == ["refused-1234"]
    assert (page["message"].partition(":")[0], page["user_id"]) == ("GET /", alice.id)


def test_servers_write_no_addresses_of_their_own() -> None:
    # Again, because a server of another test brings its own.
    logging.config.dictConfig(settings.LOGGING)
    access = logging.getLogger("uvicorn.access")
    assert not access.propagate
    assert not access.isEnabledFor(logging.ERROR)


def test_a_line_never_asks_the_database_who_the_user_is() -> None:
    request = HttpRequest()
    assert _known_user(request) is None
    request.user = SimpleLazyObject(lambda: pytest.fail("asked"))  # type: ignore[assignment]  # as Django does
    assert _known_user(request) is None
    request.user = AnonymousUser()
    assert _known_user(request) is None


def test_context_ends_with_its_block_and_is_not_shared_between_threads() -> None:
    seen: list[str] = []
    with context.bound(request_id="request-1234"):
        thread = threading.Thread(target=lambda: seen.append(context.current_request_id()))
        thread.start()
        thread.join()
        context.tell(user_id="usr_1")
        assert context.fields() == {"request_id": "request-1234", "user_id": "usr_1"}
    assert seen == [context.NO_REQUEST]
    assert context.fields() == {}


@pytest.mark.django_db
def test_a_slow_query_is_logged_with_its_place(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    settings.SLOW_QUERY_SECONDS = 0.05
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.1), %s", ["what somebody typed"])
    (record,) = [record for record in caplog.records if record.name == "videoproc.slow_queries"]
    message = record.getMessage()
    assert "at tests/videoproc/test_logs.py:" in message
    assert "in test_a_slow_query_is_logged_with_its_place" in message
    assert "SELECT pg_sleep(0.1)" in message
    assert "somebody typed" not in message


@pytest.mark.django_db
def test_a_quick_query_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert not User.objects.exists()
    assert not [record for record in caplog.records if record.name == "videoproc.slow_queries"]
