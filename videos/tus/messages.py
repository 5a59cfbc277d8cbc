"""A request as it is read from the ASGI scope, and an answer as it is sent."""

from __future__ import annotations

import io
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from django.core.handlers.asgi import ASGIRequest

from problems import Problem
from problems.document import CONTENT_TYPE, problem_document
from telemetry import context

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

TUS_VERSION = "1.0.0"
_OVERRIDES = {"PATCH", "DELETE", "HEAD"}
# Django parses no body of ours, so it is not told of one.
_BODY_HEADERS = {b"content-type", b"content-length", b"transfer-encoding"}


class Request:
    """Method, path and headers; the body is read apart, by `videos.tus.body`."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.path: str = scope["path"].rstrip("/")
        self.headers: dict[str, str] = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        self.sent_method: str = scope["method"].upper()
        override = self.headers.get("x-http-method-override", "").upper()
        overridden = self.sent_method == "POST" and override in _OVERRIDES
        self.method = override if overridden else self.sent_method
        self.query_string: str = scope.get("query_string", b"").decode("latin-1")
        self.query = dict(parse_qsl(self.query_string, keep_blank_values=True))
        self.id = context.request_id(self.headers.get("x-request-id", ""))

    @property
    def content_type(self) -> str:
        """Without parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def content_length(self) -> int | None:
        """None for a chunked body. The server has refused anything that is no number."""
        value = self.headers.get("content-length")
        return int(value) if value is not None and value.isdecimal() else None

    def for_django(self) -> ASGIRequest:
        """The same request, without its body, for what Django knows about cookies, hosts and CSRF."""
        headers = [
            (name, value) for name, value in self._scope["headers"] if name.lower() not in _BODY_HEADERS
        ]
        return ASGIRequest({**self._scope, "headers": headers}, io.BytesIO())


@dataclass(slots=True)
class Answer:
    """One response, small enough to be sent whole."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    async def send(self, send: Send, request: Request) -> None:
        headers = {
            "Tus-Resumable": TUS_VERSION,
            "X-Request-Id": request.id,
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
            "Content-Length": str(len(self.body)),
            **self.headers,
        }
        if self.status == 204:  # noqa: PLR2004 - it has no body, so no length either
            del headers["Content-Length"]
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})
        body = b"" if request.method == "HEAD" else self.body
        await send({"type": "http.response.body", "body": body})


class Refusal(Exception):
    """A problem together with headers that the client needs to carry on."""

    def __init__(self, problem: Problem, **headers: str) -> None:
        super().__init__(str(problem))
        self.problem = problem
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def json_answer(status: int, document: Any, **headers: str) -> Answer:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Answer(status, {"Content-Type": "application/json", **_dashed(headers)}, body)


def problem_answer(problem: Problem, request: Request, headers: dict[str, str] | None = None) -> Answer:
    body = json.dumps(problem_document(problem, request_id=request.id)).encode()
    extra = dict(headers or {})
    if problem.status == 401:  # noqa: PLR2004 - RFC 9110 asks for the challenge
        extra["WWW-Authenticate"] = "Bearer"
    if problem.code == "tus_version_unsupported":
        extra["Tus-Version"] = TUS_VERSION
    return Answer(problem.status, {"Content-Type": CONTENT_TYPE, **extra}, body)


def _dashed(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
