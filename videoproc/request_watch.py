"""Counts, times and traces requests: a middleware of the web process, a wrapper of the uploads process."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import nullcontext
from typing import Any

from django.http import HttpRequest, HttpResponse

from telemetry import context, tracing
from telemetry.metrics import HTTP_DURATION, HTTP_REQUESTS

log = logging.getLogger(__name__)

_CLASSES = {
    "api": "api",
    "admin": "admin",
    "accounts": "accounts",
    "static": "static",
    "internal": "internal",
    "healthz": "internal",
    "metrics": "internal",
}
# What asks again every few seconds, and changes nothing, would bury everything else.
_UNTRACED = {"internal", "static"}
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_SAFE = {"GET", "HEAD", "OPTIONS"}
_UPLOADS = "uploads"
_SERVER_ERROR = 500

_App = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]


class RequestWatchMiddleware:
    """Comes right after the request's id is known."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        class_ = _CLASSES.get(request.path.lstrip("/").partition("/")[0], "page")
        began = time.monotonic()
        method = request.method if request.method in _METHODS else "other"
        traced = class_ not in _UNTRACED
        with tracing.span(f"{method} {class_}", server=True) if traced else nullcontext() as span:
            response = self.get_response(request)
            route = "unknown" if request.resolver_match is None else f"/{request.resolver_match.route}"
            if request.resolver_match is None and class_ == "page":
                class_ = "unknown"
            elif response.has_header("X-Accel-Redirect"):
                class_ = "media"
            if span is not None:
                span.update_name(f"{method} {route}")
                span.set_attributes(_attributes(method, route, response.status_code))
                if response.status_code >= _SERVER_ERROR:
                    tracing.failed(str(response.status_code))
            _count(class_, method, response.status_code, time.monotonic() - began, route)
        return response


class UploadsWatch:
    """The same around the ASGI application of the uploads process."""

    def __init__(self, application: _App) -> None:
        self._application = application

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        began = time.monotonic()
        method = scope["method"] if scope["method"] in _METHODS else "other"
        # 499: the client went away before it had an answer.
        status = 499

        async def watching_send(event: MutableMapping[str, Any]) -> None:
            nonlocal status
            if event["type"] == "http.response.start":
                status = event["status"]
            await send(event)

        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        with (
            context.bound(request_id=context.request_id(given)),
            tracing.span(f"{method} {_UPLOADS}", server=True) as span,
        ):
            try:
                await self._application(scope, receive, watching_send)
            finally:
                if span is not None:
                    span.set_attributes(_attributes(method, _UPLOADS, status))
                _count(_UPLOADS, method, status, time.monotonic() - began, _UPLOADS)


def _count(class_: str, method: str, status: int, seconds: float, route: str) -> None:
    HTTP_REQUESTS.add(route=class_, method=method, status=str(status))
    HTTP_DURATION.observe(seconds, route=class_)
    level = logging.INFO if method not in _SAFE or status >= _SERVER_ERROR else logging.DEBUG
    # The route, not the address: addresses may carry tickets and links that reset a password.
    log.log(level, "%s %s: %d after %.3f s", method, route, status, seconds)


def _attributes(method: str, route: str, status: int) -> dict[str, str | int]:
    return {
        "http.request.method": method,
        "http.route": route,
        "http.response.status_code": status,
        "videoproc.request_id": context.current_request_id(),
    }
