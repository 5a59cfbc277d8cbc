"""Operations that use small files, from the request to the result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rest_framework.test import APIClient

from jobs.execution import lane_work
from jobs.models import Job
from tests.engine.clips import ffmpeg
from users.models import User
from videos.models import Asset, Operation, Output, Video
from videos.services.assets import asset_delete, asset_take

SRT = b"1\n00:00:00,500 --> 00:00:01,000\nHi\n"


def words(owner: User) -> Asset:
    return asset_take(owner=owner, pieces=[SRT], filename="talk.srt")


def ask(client: APIClient, video: Video, type_: str, **parameters: Any) -> Any:
    wish = {"type": type_, "parameters": parameters}
    return client.post(f"/api/v1/videos/{video.id}/operations", wish, format="json")


def test_a_picture_is_laid_over(alice: User, alices_client: APIClient, video: Video, tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "color=red:s=60x40", "-frames:v", "1", "-f", "image2", tmp_path / "logo.png")
    logo = asset_take(owner=alice, pieces=[(tmp_path / "logo.png").read_bytes()], filename="logo.png")
    assert ask(alices_client, video, "watermark", image=logo.pk).status_code == 202
    assert lane_work(lane="encode")
    job = Job.objects.get()
    assert (job.status, job.error_message) == ("completed", "")


def test_subtitles_become_a_track(alice: User, alices_client: APIClient, video: Video) -> None:
    asked = ask(alices_client, video, "subtitles", action="add", file=words(alice).pk, language="eng")
    assert asked.status_code == 202
    assert lane_work(lane="short")
    media_info = Output.objects.get().media_info
    assert media_info is not None
    assert [track["language"] for track in media_info["subtitles"]] == ["eng"]


def test_a_strangers_file_is_none_of_yours(alices_client: APIClient, video: Video, bob: User) -> None:
    theirs = words(bob)
    for unknown in (theirs.pk, "ast_" + "0" * 32):
        answer = ask(alices_client, video, "subtitles", file=unknown)
        assert answer.status_code == 422
        assert [error["code"] for error in answer.json()["errors"]] == ["not_found"]
    assert not Operation.objects.exists()


def test_a_file_of_another_kind_does_not_fit(alice: User, alices_client: APIClient, video: Video) -> None:
    answer = ask(alices_client, video, "watermark", image=words(alice).pk)
    assert (answer.status_code, answer.json()["code"]) == (422, "parameters_do_not_fit")


def test_a_file_that_was_removed_meanwhile_is_missed(
    alice: User, alices_client: APIClient, video: Video
) -> None:
    asset = words(alice)
    assert ask(alices_client, video, "subtitles", file=asset.pk).status_code == 202
    asset_delete(asset=asset)
    assert lane_work(lane="encode")
    job = Job.objects.get()
    assert (job.status, job.error_code) == ("failed", "source_missing")
