"""Fixtures of the pages' tests: signed-in browsers and rows in every state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client
from pytest_django import Settings

from engine import catalogue
from engine.types.media import AudioStream, MediaInfo, VideoStream
from jobs.models import Job
from users.models import User
from videos.models import Operation, Video

MEDIA = MediaInfo(
    container="mp4",
    format_names=("mov", "mp4"),
    duration=75.0,
    size=4_000_000,
    bit_rate=426_000,
    video=(
        VideoStream(
            index=0,
            codec="h264",
            profile="High",
            width=1920,
            height=1080,
            pixel_format="yuv420p",
            frame_rate=29.97,
            duration=75.0,
        ),
    ),
    audio=(AudioStream(index=1, codec="aac", sample_rate=48_000, channels=2, duration=75.0),),
)


@pytest.fixture(autouse=True)
def _plain_static_files(settings: Settings) -> None:
    """Addresses of static files without the manifest, which only `collectstatic` writes."""
    settings.STORAGES = {
        **django_settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


def browser_of(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def browser(alice: User) -> Client:
    """Alice's browser."""
    return browser_of(alice)


@pytest.fixture
def strangers_browser(bob: User) -> Client:
    return browser_of(bob)


def video_make(owner: User, *, name: str = "Holiday", status: str = "ready", **fields: Any) -> Video:
    """A video's row; no page reads its bytes."""
    if status == Video.Status.READY:
        fields = {
            "media_info": MEDIA.model_dump(mode="json"),
            "container": "mp4",
            "duration": MEDIA.duration,
            "width": 1920,
            "height": 1080,
            "sha256": "0" * 64,
            **fields,
        }
    return Video.objects.create(owner=owner, name=name, status=status, **{"size": MEDIA.size, **fields})


@pytest.fixture
def video(alice: User) -> Video:
    return video_make(alice)


MakeJob = Callable[..., Job]


@pytest.fixture
def make_job() -> MakeJob:
    """A resize of a video in any state, as its worker would have left it."""

    def make(video: Video, status: str = "active", *, width: int = 640, **fields: Any) -> Job:
        parameters = catalogue.parameters_for("resize", {"width": width})
        operation = Operation.objects.create(
            video=video,
            type="resize",
            parameters=catalogue.normalised(parameters),
            fingerprint=catalogue.fingerprint("resize", parameters),
            status={"queued": "pending", "active": "processing", "paused": "processing"}.get(status, status),
            error_code=fields.get("error_code", ""),
            error_message=fields.get("error_message", ""),
        )
        finished = {"finished_at": video.created_at, "duration_ms": 1500} if status in Job.FINISHED else {}
        return Job.objects.create(
            owner=video.owner,
            video=video,
            operation=operation,
            type="resize",
            status=status,
            plan=catalogue.plan_for("resize", parameters, MEDIA).model_dump(mode="json"),
            **finished,
            **fields,
        )

    return make
