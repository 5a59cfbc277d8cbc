"""Presets are operations as if they had been asked for by hand; the site's run on an ordinary clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from engine.binaries import ffprobe_path
from jobs.execution import lane_work
from jobs.models import Job
from tests.engine.results import raw_probe
from tests.jobs.conftest import Clip, _clip, video_make
from users.models import User
from videos.models import Operation, Output, Preset, Video
from videos.services.presets import preset_create
from videos.site_presets import SHIPPED
from videos.storage import output_path


@pytest.fixture(scope="module")
def short_clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return _clip(tmp_path_factory.mktemp("short_clip"), seconds=1.0)


def post(client: APIClient, video: Video, body: object, query: str = "") -> Any:
    return client.post(f"/api/v1/videos/{video.id}/operations{query}", body, format="json")


MADE = {
    "web-1080p": ["h264", "aac"],
    "phone-720p": ["h264", "aac"],
    "email-25mb": ["h264", "aac"],
    "gif-preview": ["gif"],
    "podcast-mp3": ["mp3"],
    "archive": ["hevc", "aac"],
    "streaming": ["h264"],
}


@pytest.mark.parametrize("key", list(SHIPPED))
def test_each_of_the_site_runs(alices_client: APIClient, alice: User, short_clip: Clip, key: str) -> None:
    video = video_make(alice, short_clip)
    preset = Preset.objects.get(owner=None, name=SHIPPED[key].name)
    plan = post(alices_client, video, {"preset": preset.id}, "?plan=true")
    assert plan.status_code == 200, plan.json()
    assert plan.json()["type"] == preset.type
    assert not Operation.objects.exists()
    made = post(alices_client, video, {"preset": preset.id})
    assert made.status_code == 202, made.json()
    while lane_work(lane="encode") or lane_work(lane="short"):
        pass
    job = Job.objects.get()
    assert job.status == "completed", job.log
    output = Output.objects.get()
    path: Path = output_path(output.id)
    if output.members:
        path = path.parent / "files" / "180p.mp4"
    found = [stream["codec_name"] for stream in raw_probe(path)["streams"]]
    assert found == MADE[key], ffprobe_path()
    if key == "web-1080p":
        head = path.read_bytes()
        assert head.index(b"moov") < head.index(b"mdat"), "it begins before it is all there"


def test_equal_to_the_same_by_hand(alices_client: APIClient, alice: User, video: Video) -> None:
    wishes: list[tuple[str, dict[str, Any]]] = [
        ("resize", {"height": "90"}),
        ("pipeline", {"steps": [{"type": "resize", "parameters": {"short_side": 90}}]}),
    ]
    for number, (type_, parameters) in enumerate(wishes):
        preset = preset_create(owner=alice, name=f"p{number}", type=type_, parameters=parameters)
        by_hand = post(alices_client, video, {"type": type_, "parameters": parameters})
        by_preset = post(alices_client, video, {"preset": preset.id, "priority": "low"})
        assert (by_hand.status_code, by_preset.status_code) == (202, 200)
        assert by_preset.json()["id"] == by_hand.json()["id"]
    assert Operation.objects.count() == 2


@pytest.mark.parametrize("query", ["", "?plan=true"])
def test_wrong_wishes(alices_client: APIClient, alice: User, bob: User, video: Video, query: str) -> None:
    mine, off, old, strange = (
        preset_create(owner=owner, name=name, type="resize", parameters={"width": 160}).id
        for owner, name in ((alice, "a"), (alice, "b"), (alice, "c"), (bob, "d"))
    )
    Preset.objects.filter(pk=off).update(enabled=False)
    Preset.objects.filter(pk=old).update(parameters={"width": 160, "gone": 1})
    for body, status, code, where in [
        ({"preset": strange}, 400, "invalid_request", "/preset"),
        ({"preset": "nonsense"}, 400, "invalid_request", "/preset"),
        ({"preset": ""}, 400, "invalid_request", "/preset"),
        ({"preset": mine, "type": "resize"}, 400, "invalid_request", "/preset"),
        ({"preset": mine, "parameters": {}}, 400, "invalid_request", "/preset"),
        ({}, 400, "invalid_request", "/type"),
        ({"preset": off}, 409, "preset_disabled", None),
        ({"preset": old}, 422, "invalid_parameters", "/parameters/gone"),
    ]:
        answer = post(alices_client, video, body, query)
        assert (answer.status_code, answer.json()["code"]) == (status, code), body
        if where is not None:
            assert [error["pointer"] for error in answer.json()["errors"]] == [where]
    assert not Operation.objects.exists()
