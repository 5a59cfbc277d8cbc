"""Staff of each kind, and their browsers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from tests.conftest import PASSWORD
from users.models import User


def browser_of(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def root(carol: User) -> Client:
    """A superuser's browser."""
    return browser_of(carol)


@pytest.fixture
def staff(db: None) -> Callable[[str], Client]:
    """The browser of a member of the group."""

    def make(group: str) -> Client:
        name = group.lower()
        user = User.objects.create_user(name, f"{name}@example.org", PASSWORD, is_staff=True)
        user.groups.add(Group.objects.get(name=group))
        return browser_of(user)

    return make
