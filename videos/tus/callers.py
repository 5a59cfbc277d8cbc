"""Who sends bytes: the same tokens, sessions and CSRF rules as everywhere else."""

from __future__ import annotations

from importlib import import_module

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest
from rest_framework.authentication import CSRFCheck

from problems import Problem
from users.headers import token_from_authorization
from users.models import ApiToken, User
from users.selectors import user_by_token
from videos.tus.messages import Request

_SAFE = {"GET", "HEAD", "OPTIONS"}


def caller_of(request: Request) -> User:
    """The user behind a request. Uses the database.

    Raises `not_authenticated`, `permission_denied` for a read-only token, and `csrf_failed`.
    """
    token_text = token_from_authorization(request.headers.get("authorization", ""))
    if token_text is None:
        return _session_user(request)
    found = user_by_token(token_text)
    if found is None:
        raise Problem("not_authenticated")
    user, token = found
    if token.scope != ApiToken.Scope.WRITE and request.method not in _SAFE:
        raise Problem("permission_denied")
    return user


def _session_user(request: Request) -> User:
    django_request = request.for_django()
    key = django_request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    if not key:
        raise Problem("not_authenticated")
    django_request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    user = get_user(django_request)
    if not isinstance(user, User):
        raise Problem("not_authenticated")
    # The method as it was sent: an override must not talk its way past the check.
    if request.sent_method not in _SAFE:
        _csrf_check(django_request)
    return user


def _csrf_check(request: HttpRequest) -> None:
    check = CSRFCheck(lambda _: None)  # type: ignore[arg-type]  # it never gets to call a view
    check.process_request(request)
    if check.process_view(request, None, (), {}):  # type: ignore[arg-type]  # as DRF calls it
        raise Problem("csrf_failed")
