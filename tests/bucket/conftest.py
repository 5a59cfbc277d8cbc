"""A bucket for these tests, whether or not the whole run has one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.files.storage import storages
from pytest_django import Settings
from storages.backends.s3 import S3Storage

from tests.bucket.seaweed import ACCESS_KEY, NAME, SECRET_KEY, Server, server
from videoproc.s3 import S3_CLIENT
from videos import storage
from videos.bucket import Bucket


@pytest.fixture(scope="session")
def seaweed() -> Iterator[Server]:
    with server() as running:
        yield running


@pytest.fixture
def bucket(seaweed: Server, settings: Settings, media: Path) -> Iterator[Bucket]:
    """The site's bucket, empty, with an empty media folder before it."""
    options = {"bucket_name": NAME, "endpoint_url": seaweed.endpoint, "region_name": "us-east-1",
               "access_key": ACCESS_KEY, "secret_key": SECRET_KEY, "client_config": S3_CLIENT}  # fmt: skip
    backend = {"BACKEND": f"{S3Storage.__module__}.{S3Storage.__qualname__}", "OPTIONS": options}
    settings.S3_BUCKET = NAME
    settings.STORAGES = {**settings.STORAGES, "bucket": backend}
    assert "bucket" in storages.backends
    storage.bucket.cache_clear()
    found = storage.bucket()
    assert found is not None
    yield found
    storage.bucket.cache_clear()
