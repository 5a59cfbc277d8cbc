"""WebSockets made to do harm, against the real web process. More are in `tests/jobs/test_events.py`."""

from __future__ import annotations

import json

import pytest
import websockets.sync.client
from django.conf import settings
from django.test import Client
from websockets.exceptions import ConnectionClosed, InvalidStatus

from jobs import consumers
from tests.jobs.test_events import cookie_of
from tests.jobs.web import Site, Socket
from users.models import User


@pytest.fixture(autouse=True)
def _committed(transactional_db: None) -> None:
    """The web process reads what the test has written."""


@pytest.mark.parametrize("origin", [None, "null", "https://127.0.0.1.evil.example", "http://localhost@evil"])
def test_a_page_from_elsewhere_cannot_listen(alice: User, site: Site, origin: str | None) -> None:
    """58."""
    headers = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={cookie_of(alice)}"}
    with pytest.raises(InvalidStatus) as caught:
        websockets.sync.client.unix_connect(
            str(site.address),
            "ws://127.0.0.1/ws/v1/events",
            origin=None if origin is None else websockets.Origin(origin),
            additional_headers=headers,
        )
    assert caught.value.response.status_code == 403


def ends(socket: Socket, messages: list[str]) -> bool:
    """Whether the other side closes once it gets these, whatever it says before."""
    try:
        for message in messages:
            socket.send(message)
        while True:
            socket.recv(timeout=10)
    except ConnectionClosed:
        return True
    except TimeoutError:
        return False


def test_a_frame_of_two_megabytes_ends_its_socket_only(alice: User, site: Site) -> None:
    """59."""
    cookie = cookie_of(alice)
    with site.connect(cookie=cookie) as other:
        assert json.loads(other.recv(timeout=10))["type"] == "snapshot"
        with site.connect(cookie=cookie) as socket:
            socket.recv(timeout=10)
            assert ends(socket, ["x" * 2 * 1024**2])
        other.send("{}")
        assert json.loads(other.recv(timeout=10))["code"] == "invalid_request"


def test_ten_thousand_messages_end_their_socket_only(alice: User, site: Site) -> None:
    """59."""
    cookie = cookie_of(alice)
    with site.connect(cookie=cookie) as socket:
        assert ends(socket, ['{"subscribe": ["vid_x"]}'] * 10_000)
    with site.connect(cookie=cookie) as socket:
        assert json.loads(socket.recv(timeout=10))["type"] == "snapshot"


def test_a_socket_after_sign_out(alice: User) -> None:
    """60: what the check finds, which every socket makes twice a minute."""
    assert consumers.CHECK_EVERY <= 30
    client = Client()
    client.force_login(alice)
    key = str(client.cookies[settings.SESSION_COOKIE_NAME].value)
    assert consumers._session_is_of(key, alice.id)
    client.logout()
    assert not consumers._session_is_of(key, alice.id)
