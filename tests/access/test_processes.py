"""What Django's resolver does not know: the routes of the uploads process, and the WebSockets."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from channels.testing import WebsocketCommunicator
from django.conf import settings

from jobs.routing import websocket_urlpatterns
from tests.access.conftest import Caller, Things
from tests.access.routes import VERBS
from tests.conftest import client_of
from tests.pages.conftest import browser_of
from tests.videos.conftest import BYTES
from users.models import User
from users.services import token_create
from videos.tus.app import TusApplication

ROOT = Path(__file__).resolve().parents[2]
# Verbs that a route of the uploads process has, by its address at the edge.
UPLOADS: dict[str, set[str]] = {
    "/api/v1/uploads": {"GET", "POST"},
    "/api/v1/uploads/*": {"GET", "HEAD", "PATCH", "DELETE"},
    "/api/v1/videos": {"POST"},
    "/api/v1/assets": {"POST"},
    "/api/v1/archive": {"GET", "HEAD"},
    "/api/v1/videos/*/archive": {"GET", "HEAD"},
}
OF_AN_OWNER = {"/api/v1/uploads/*": "upload_id", "/api/v1/videos/*/archive": "video_id"}


def test_every_way_to_the_uploads_process_is_known() -> None:
    """Read from the Caddyfile: a new one fails until it is named above."""
    text = (ROOT / "deploy" / "Caddyfile").read_text()
    names = re.findall(r"handle @(\w+) \{\s*import to_uploads", text)
    assert names
    ways = set()
    for name in names:
        block = re.search(rf"@{name} \{{(.*?)\n\t\t\}}", text, re.DOTALL)
        assert block is not None
        for line in re.findall(r"^\s*path (.+)$", block[1], re.MULTILINE):
            ways.update(line.split())
    assert ways == set(UPLOADS)


def asked(verb: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
    """Status and body of the uploads application's answer."""
    sent: list[dict[str, Any]] = []
    incoming = [{"type": "http.request", "body": b"x", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if incoming:
            return incoming.pop()
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(event: Any) -> None:
        sent.append(event)

    named = {"Host": "127.0.0.1", **headers}
    scope = {
        "type": "http",
        "method": verb,
        "path": path,
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in named.items()],
    }

    def never(*, upload_id: str) -> Any:
        raise AssertionError(upload_id)

    asyncio.run(TusApplication(on_complete=never)(scope, receive, send))
    body = b"".join(event.get("body", b"") for event in sent[1:])
    return sent[0]["status"], body.decode(errors="replace")


def headers_of(caller: Caller) -> dict[str, str]:
    """What a test client sends of itself: its token, or its cookies."""
    known = caller.client.defaults.get("HTTP_AUTHORIZATION")
    if known:
        return {"Authorization": known}
    cookies = {name: morsel.value for name, morsel in caller.client.cookies.items()}
    cookies["videoproc_csrf"] = "x" * 32
    listed = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return {"Cookie": listed, "X-CSRFToken": "x" * 32, "Origin": settings.PUBLIC_URL}


@pytest.mark.django_db(transaction=True)
def test_the_uploads_process_knows_everybody(
    things: Things, outsiders: list[Caller], strangers: list[Caller], alice: User
) -> None:
    faults = []
    _, text = token_create(user=alice, name="reader", scope="read")
    reader = {"Authorization": f"Bearer {text}"}
    for route, verbs in UPLOADS.items():
        path = route.replace("*", things.names.get(OF_AN_OWNER.get(route, ""), ""))
        for verb in VERBS:
            if verb == "OPTIONS" or (verb == "GET" and route in {"/api/v1/videos", "/api/v1/assets"}):
                continue
            tus = {**BYTES, "Upload-Offset": "0", "Upload-Length": "1"} if "uploads" in route else {}
            answers = {caller.name: asked(verb, path, {**tus, **headers_of(caller)}) for caller in outsiders}
            expected = 401 if verb in verbs else 405
            faults += [
                f"{name}: {verb} {route}: {code}" for name, (code, _) in answers.items() if code != expected
            ]
            if verb not in verbs:
                continue
            if route in OF_AN_OWNER:
                for caller in strangers:
                    code, body = asked(verb, path, {**tus, **headers_of(caller)})
                    if code != 404 or any(word in body for word in things.words):
                        faults.append(f"{caller.name}: {verb} {route}: {code}")
            code, _ = asked(verb, path, {**tus, **reader})
            if (code == 403) != (verb not in {"GET", "HEAD"}):
                faults.append(f"reader: {verb} {route}: {code}")
    assert not faults, "\n".join(faults)
    assert things.are_untouched()


SOCKETS = {"ws/v1/events"}


def test_every_websocket_is_known() -> None:
    assert {str(entry.pattern) for entry in websocket_urlpatterns} == SOCKETS


@pytest.mark.django_db(transaction=True)
def test_a_websocket_is_for_those_who_are_signed_in(
    things: Things, outsiders: list[Caller], bob: User, alice: User
) -> None:
    from videoproc.asgi import application  # noqa: PLC0415 - it sets Django up, which must have been done

    async def closed_with(headers: dict[str, str], subscribe: str = "", query: str = "") -> int | None:
        """The code the socket is closed with; None where it stays open."""
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        socket = WebsocketCommunicator(
            application,
            f"/ws/v1/events{query}",
            headers=[(b"host", b"127.0.0.1"), (b"origin", settings.PUBLIC_URL.encode()), *raw],
        )
        await socket.connect()
        if subscribe:
            await socket.send_json_to({"subscribe": [subscribe]})
        try:
            while (event := await socket.receive_output(timeout=2))["type"] != "websocket.close":
                pass
        except TimeoutError:  # which ends the application as well
            return None
        await socket.disconnect()
        return int(event["code"])

    close = async_to_sync(closed_with)
    for caller in outsiders:
        assert close(headers_of(caller)) == 4401, caller.name
    assert close({}, query="?ticket=nonsense") == 4401
    video = things.names["video_id"]
    assert close(headers_of(Caller("stranger", browser_of(bob))), subscribe=video) == 4403
    assert close(headers_of(Caller("owner", browser_of(alice))), subscribe=video) is None
    ticket = client_of(alice).post("/api/v1/ws-ticket").json()["ticket"]
    assert close({}, query=f"?ticket={ticket}") is None
    assert close({}, query=f"?ticket={ticket}") == 4401, "it was good once"
