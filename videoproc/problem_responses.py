"""The one place where failures become responses: RFC 9457 for programs, pages for people."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from rest_framework import exceptions
from rest_framework.response import Response

from problems import FieldError, Problem
from problems.document import CONTENT_TYPE, problem_document
from telemetry.context import current_request_id

log = logging.getLogger(__name__)


class ProblemMiddleware:
    """Answers a `Problem` that a page or API view did not handle itself."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        return respond(request, exception) if isinstance(exception, Problem) else None


def respond(request: HttpRequest, problem: Problem) -> HttpResponse:
    """The response for `problem` in the form that suits the request's path."""
    if request.path.startswith("/api/"):
        document = problem_document(problem, request_id=current_request_id())
        return JsonResponse(document, status=problem.status, content_type=CONTENT_TYPE)
    context = {"problem": problem, "request_id": current_request_id()}
    return render(request, "problem.html", context, status=problem.status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return respond(request, Problem("malformed_body", reason=type(exception).__name__))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return respond(request, Problem("permission_denied"))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return respond(request, Problem("not_found"))


def server_error(request: HttpRequest) -> HttpResponse:
    return respond(request, Problem("internal_error"))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    log.info("CSRF check failed: %s", reason)
    return respond(request, Problem("csrf_failed"))


def api_exception_handler(exception: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's hook: every anticipated exception as a problem document, None for the unforeseen."""
    problem = _as_problem(exception, context)
    if problem is None:
        return None
    headers = {}
    if isinstance(exception, exceptions.APIException):
        if challenge := getattr(exception, "auth_header", None):
            headers["WWW-Authenticate"] = challenge
        if wait := getattr(exception, "wait", None):
            headers["Retry-After"] = str(int(wait) + 1)
    document = problem_document(problem, request_id=current_request_id())
    return Response(document, status=problem.status, headers=headers, content_type=CONTENT_TYPE)


def _as_problem(exception: Exception, context: dict[str, Any]) -> Problem | None:
    if isinstance(exception, Problem):
        return exception
    for kinds, translate in _TRANSLATIONS:
        if isinstance(exception, kinds):
            return translate(exception, context["request"])
    return None


_Translation = tuple[tuple[type[Exception], ...], Callable[[Any, Any], Problem]]
_TRANSLATIONS: tuple[_Translation, ...] = (
    (
        (exceptions.ValidationError,),
        lambda e, _: Problem("invalid_request", errors=tuple(_field_errors(e.get_full_details(), ""))),
    ),
    ((exceptions.ParseError,), lambda e, _: Problem("malformed_body", reason=str(e.detail))),
    (
        (exceptions.NotAuthenticated, exceptions.AuthenticationFailed),
        lambda *_: Problem("not_authenticated"),
    ),
    (
        (exceptions.PermissionDenied, PermissionDenied),
        lambda e, _: Problem("csrf_failed" if "CSRF" in str(e) else "permission_denied"),
    ),
    ((exceptions.NotFound, Http404), lambda *_: Problem("not_found")),
    ((exceptions.MethodNotAllowed,), lambda _, request: Problem("method_not_allowed", method=request.method)),
    ((exceptions.NotAcceptable,), lambda *_: Problem("not_acceptable")),
    (
        (exceptions.UnsupportedMediaType,),
        lambda _, request: Problem("unsupported_media_type", content_type=request.content_type),
    ),
    ((exceptions.Throttled,), lambda e, _: Problem("throttled", wait=int(e.wait or 0) + 1)),
)


def _field_errors(details: Any, pointer: str) -> Iterator[FieldError]:
    """DRF's nested error details, flattened to JSON pointers."""
    if isinstance(details, dict) and set(details) == {"message", "code"}:
        yield FieldError(pointer, str(details["code"]), str(details["message"]))
    elif isinstance(details, dict):
        for name, inner in details.items():
            step = "" if name == "non_field_errors" else f"/{name}"
            yield from _field_errors(inner, pointer + step)
    elif isinstance(details, list):
        for inner in details:
            yield from _field_errors(inner, pointer)
