"""What every test may use: the cast, their API clients, and a media folder that is thrown away.

Alice owns things. Bob is a stranger to her. Carol is staff.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from django.contrib.auth.hashers import BCryptSHA256PasswordHasher
from django.core.cache import cache
from pytest_django import Settings
from rest_framework.test import APIClient

from users.models import User
from users.services import token_create

PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def _cheap_bcrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same algorithm as in production, with the fewest rounds it allows."""
    monkeypatch.setattr(BCryptSHA256PasswordHasher, "rounds", 4)


@pytest.fixture(autouse=True)
def _fresh_rate_limits() -> Iterator[None]:
    yield
    cache.clear()


@pytest.fixture(autouse=True)
def _static_files_as_they_are(settings: Settings) -> None:
    """Pages name static files without the manifest that set-up makes."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> Path:
    """Where this test's files go."""
    folder = tmp_path / "media"
    folder.mkdir()
    settings.MEDIA = folder
    settings.S3_PREFIX = f"{uuid4().hex}/"  # where the run has a bucket
    return folder


def _person(name: str, **fields: object) -> User:
    return User.objects.create_user(name, f"{name}@example.org", PASSWORD, **fields)


@pytest.fixture
def alice(db: None) -> User:
    return _person("alice")


@pytest.fixture
def bob(db: None) -> User:
    return _person("bob")


@pytest.fixture
def carol(db: None) -> User:
    return _person("carol", is_staff=True, is_superuser=True)


def client_of(user: User) -> APIClient:
    """An API client with a token of this user's."""
    _, text = token_create(user=user, name="test")
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client


@pytest.fixture
def alices_client(alice: User) -> APIClient:
    return client_of(alice)


@pytest.fixture
def bobs_client(bob: User) -> APIClient:
    return client_of(bob)


@pytest.fixture
def anonymous() -> APIClient:
    return APIClient()
