"""`Idempotency-Key` on every POST of the API: the same request again gets the same reply and does nothing.

A middleware, so that no endpoint can forget it. It stands innermost, sees each finished response, and asks
the view's own authenticators who calls. Requests without an account (sign up, sign in) have no one to keep
a reply for; there the header means nothing.

Kept is what settles a request: success, and refusals that would be the same again. What may go better next
time (5xx, 401, 403, 429, problems marked retryable) gives the key back. Replies with `Cache-Control:
no-store` hold secrets: that they were given is kept, they themselves are not.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.crypto import salted_hmac
from rest_framework import exceptions

from problems import Problem
from problems.document import CONTENT_TYPE
from users.idempotency import (
    HEADER,
    KEY_MAX,
    MAY_GO_BETTER,
    REPLAYED,
    Begun,
    Reply,
    request_begin,
    request_finish,
    request_release,
)
from users.models import User
from videoproc.problem_responses import respond
from videos.crash_points import crash_point

log = logging.getLogger(__name__)

PREFIX = "/api/v1/"
_KEPT_HEADERS = ("Content-Type", "Location")


class IdempotencyMiddleware:
    """Must stand last in the list: nothing may come between it and the view."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        begun: Begun | None = getattr(request, "idempotency_begun", None)
        if begun is not None:
            _settle(begun, response)
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], _args: Any, _kwargs: Any
    ) -> HttpResponse | None:
        """Answers in the view's place where the request was answered before or cannot have the key."""
        key = request.headers.get(HEADER)
        if key is None or request.method != "POST" or not request.path.startswith(PREFIX):
            return None
        user = _caller(request, view)
        if user is None:
            return None
        if not 0 < len(key) <= KEY_MAX:
            return respond(request, Problem("idempotency_key_invalid", longest=KEY_MAX))
        try:
            begun = request_begin(user=user, key=key, fingerprint=_fingerprint(request))
        except Problem as problem:
            response = respond(request, problem)
            if problem.retryable:
                response["Retry-After"] = "1"
            return response
        if isinstance(begun, Reply):
            return HttpResponse(
                begun.body or b"", status=begun.status, headers={**begun.headers, REPLAYED: "true"}
            )
        request.idempotency_begun = begun  # type: ignore[attr-defined]  # ours, for __call__
        return None


def _caller(request: HttpRequest, view: Callable[..., HttpResponse]) -> User | None:
    """Who calls, by the view's own authenticators; None leaves the answer to the view."""
    view_class: Any = getattr(view, "cls", None)
    if view_class is None:
        return None
    signed_in = request.user
    try:
        user = view_class(**getattr(view, "initkwargs", {})).initialize_request(request).user
    except exceptions.APIException:
        return None
    finally:
        # REST framework puts what it found into the request; the view shall find it as it came.
        request.user = signed_in
    return user if isinstance(user, User) else None


def _fingerprint(request: HttpRequest) -> str:
    """Tells requests apart. Keyed, because bodies may hold passwords."""
    request_line = f"{request.method} {request.get_full_path()}\n".encode()
    return salted_hmac("videoproc.idempotency", request_line + request.body, algorithm="sha256").hexdigest()


def _settle(begun: Begun, response: HttpResponseBase) -> None:
    """Never raises: the work is done, and a key that could not be settled runs out by itself."""
    crash_point("before_reply_kept")
    try:
        reply = _reply_to_keep(response)
        if reply is None:
            request_release(begun)
        else:
            request_finish(begun, reply)
    except DatabaseError:
        log.warning("the reply to a request with an idempotency key could not be kept", exc_info=True)


def _reply_to_keep(response: HttpResponseBase) -> Reply | None:
    if not isinstance(response, HttpResponse):
        return None
    if response.status_code >= 500 or response.status_code in MAY_GO_BETTER:  # noqa: PLR2004 - HTTP's own
        return None
    if (
        response.get("Content-Type", "").startswith(CONTENT_TYPE)
        and json.loads(response.content)["retryable"]
    ):
        return None
    headers = {name: response[name] for name in _KEPT_HEADERS if name in response}
    secret = "no-store" in response.get("Cache-Control", "")
    return Reply(response.status_code, headers, None if secret else response.content)


def document_keys(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """drf-spectacular's hook: the header on every POST that a signed-in caller makes."""
    parameters = result["components"].setdefault("parameters", {})
    parameters["IdempotencyKey"] = {
        "name": HEADER,
        "in": "header",
        "required": False,
        "schema": {"type": "string", "minLength": 1, "maxLength": KEY_MAX},
        "description": (
            "Any text of your own, such as a UUID. The same request with the same key within 24 hours gets "
            f"the first reply again, with `{REPLAYED}: true`, and does nothing. Another request with the key "
            "is refused with 422 `idempotency_key_reused`; while the first still runs the answer is 409 "
            "`idempotency_key_in_use`. A reply that may be better next time (5xx, 401, 403, 429, problems "
            "marked retryable) is not kept, and neither is one that holds a secret: then a repetition gets "
            "409 `idempotency_reply_not_kept`."
        ),
    }
    for operations in result["paths"].values():
        post = operations.get("post")
        if post and post.get("security"):
            post.setdefault("parameters", []).append({"$ref": "#/components/parameters/IdempotencyKey"})
    return result
