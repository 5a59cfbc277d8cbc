"""Counts, pending operations, finding an operation by what was asked, and what somebody has."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from engine import catalogue
from problems import Problem
from tests.conftest import client_of
from users.models import User
from videos.models import Operation, Output, Video
from videos.selectors import (
    operation_find,
    owner_statistics,
    videos_counted,
    videos_for,
    videos_with_pending_operations,
)

pytestmark = pytest.mark.django_db


def video_of(owner: User, name: str, **fields: Any) -> Video:
    fields = {"status": "failed", "error_code": "not_a_video", "size": 10, "duration": 2.0, **fields}
    return Video.objects.create(owner=owner, name=name, **fields)


def operation_of(video: Video, status: str, type_: str = "resize", **parameters: Any) -> Operation:
    checked = catalogue.parameters_for(type_, parameters)
    return Operation.objects.create(
        video=video,
        type=type_,
        status=status,
        parameters=catalogue.normalised(checked),
        fingerprint=catalogue.fingerprint(type_, checked),
    )


def test_counts_by_status_with_the_filters_of_the_list(
    alice: User, bob: User, alices_client: APIClient
) -> None:
    video_of(alice, "summer one")
    video_of(alice, "summer two", status="processing", error_code="")
    video_of(alice, "winter", status="processing", error_code="")
    video_of(bob, "summer of another")
    assert videos_counted(videos_for(alice)) == {"processing": 2, "ready": 0, "failed": 1}
    counted = alices_client.get("/api/v1/videos/counts", {"search": "summer"}).json()
    assert counted == {"total": 2, "by_status": {"processing": 1, "ready": 0, "failed": 1}}
    assert alices_client.get("/api/v1/videos/counts", {"status": "odd"}).status_code == 400


def test_videos_with_pending_operations(alice: User, alices_client: APIClient) -> None:
    waits, done, plain = (video_of(alice, name) for name in ("waits", "done", "plain"))
    operation_of(waits, "pending", width=100)
    operation_of(waits, "processing", width=200)
    operation_of(done, "completed", width=100)
    assert list(videos_with_pending_operations(videos_for(alice))) == [waits]
    names = {
        wanted: {
            video["name"] for video in alices_client.get("/api/v1/videos", {"pending": wanted}).json()["data"]
        }
        for wanted in ("true", "false")
    }
    assert names == {"true": {"waits"}, "false": {"done", plain.name}}


def test_an_operation_by_its_parameters(alice: User, alices_client: APIClient) -> None:
    video = video_of(alice, "v")
    resize = operation_of(video, "completed", width=100, height=50)
    operation_of(video, "completed", width=200)
    convert = operation_of(video, "failed", "convert", format="mkv")
    assert operation_find(video, "resize", {"height": 50, "width": 100, "fit": "contain"}) == resize
    assert operation_find(video, "resize", {"width": 101}) is None
    with pytest.raises(Problem) as caught:
        operation_find(video, "resize", {"wide": 1})
    assert caught.value.code == "invalid_parameters"
    address = f"/api/v1/videos/{video.pk}/operations"

    def ids(**query: Any) -> list[str]:
        return [operation["id"] for operation in alices_client.get(address, query).json()["data"]]

    assert len(ids()) == 3
    assert ids(type="convert") == [convert.pk]
    assert ids(type="resize", parameters=json.dumps({"width": 100, "height": 50})) == [resize.pk]
    assert ids(type="resize", parameters='{"width": 7000}') == []
    for query in (
        {"parameters": "{}"},
        {"type": "resize", "parameters": "[1"},
        {"type": "x", "parameters": "{}"},
    ):
        answer = alices_client.get(address, query)
        assert answer.status_code in {400, 422}, query
        assert answer.json()["code"] in {"invalid_request", "unknown_operation"}


def test_what_somebody_has(alice: User, bob: User, carol: User, alices_client: APIClient) -> None:
    video = video_of(alice, "v", status="processing", error_code="", size=1000, duration=2.5)
    trashed = video_of(alice, "gone", size=5000)
    Video.objects.filter(pk=trashed.pk).update(deleted_at=trashed.created_at)
    done = operation_of(video, "completed", width=100)
    operation_of(video, "pending", width=200)
    for role in ("video", "sound"):
        Output.objects.create(operation=done, role=role, filename="x", size=30, sha256="", verification={})
    video_of(bob, "other")
    found = owner_statistics(alice)
    assert (found.video_bytes, found.video_seconds, found.outputs, found.output_bytes) == (1000, 2.5, 2, 60)
    assert found.storage_bytes == 1060
    assert found.videos == {"processing": 1, "ready": 0, "failed": 0}
    assert {name: count for name, count in found.operations.items() if count} == {
        "completed": 1,
        "pending": 1,
    }
    with CaptureQueriesContext(connection) as queries:
        owner_statistics(alice)
    assert len(queries) == 3
    mine = alices_client.get("/api/v1/me/statistics").json()
    assert mine == client_of(carol).get(f"/api/v1/users/{alice.pk}/statistics").json()
    assert mine["output_bytes"] == 60
    nothing = owner_statistics(carol)
    assert (nothing.video_bytes, nothing.outputs, nothing.video_seconds) == (0, 0, 0.0)
