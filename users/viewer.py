"""Whose request this is, for views that only signed-in people reach."""

from __future__ import annotations

from django.http import HttpRequest

from problems import Problem
from users.models import User


def viewer_of(request: HttpRequest) -> User:
    """The signed-in user. Raises `not_authenticated`, which `login_required` prevents."""
    if not isinstance(request.user, User):
        raise Problem("not_authenticated")
    return request.user
