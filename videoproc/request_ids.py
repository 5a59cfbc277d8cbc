"""One id per request: in the reply, in problem documents, in its log lines, in the jobs it makes."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.functional import LazyObject, empty

from telemetry import context

HEADER = "X-Request-Id"


class RequestIdMiddleware:
    """Takes over a client's own id where it is harmless, else makes one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = context.request_id(request.headers.get(HEADER, ""))
        with context.bound(request_id=request_id, user_id=lambda: _known_user(request)):
            response = self.get_response(request)
        response.headers[HEADER] = request_id
        # Django writes a line about a refusal after the last middleware, and hands the request along.
        request.__dict__[context.ATTRIBUTE] = request_id
        return response


def _known_user(request: HttpRequest) -> str | None:
    """Who sent it, as far as somebody has looked already: a log line must not read from the database."""
    user = request.__dict__.get("user")
    if user is None or (isinstance(user, LazyObject) and user.__dict__.get("_wrapped", empty) is empty):
        return None
    return user.pk if user.is_authenticated else None
