"""Small files through the API: sent, listed, handed out, removed, and never larger than they may be."""

from __future__ import annotations

import socket
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from rest_framework.test import APIClient

from problems import Problem
from tests.conftest import client_of
from tests.engine.clips import ffmpeg
from tests.videos.cast import sent_from
from tests.videos.conftest import Client
from users.models import User
from videos import storage
from videos.models import Asset
from videos.selectors import storage_usage
from videos.services import assets as service
from videos.services.videos import media_sweep

ASSETS = "/api/v1/assets"
SRT = b"1\n00:00:00,000 --> 00:00:01,000\n<script>Hi</script>\n"


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("picture") / "logo.png"
    ffmpeg("-f", "lavfi", "-i", "color=red:s=60x40", "-frames:v", "1", "-f", "image2", path)
    return path.read_bytes()


def files(media: Path) -> list[str]:
    return [path.name for path in media.rglob("*") if path.is_file()]


def asset_of(owner: User, content: bytes = SRT, filename: str = "talk.vtt") -> Asset:
    return service.asset_take(owner=owner, pieces=[content], filename=filename)


@pytest.mark.parametrize("form", [True, False])
def test_a_picture_is_sent(alice_uploads: Client, alice: User, picture: bytes, form: bool) -> None:
    body: dict[str, Any] = {"files": {"file": ("../My logo.webp", picture)}} if form else {"data": picture}
    path = ASSETS if form else f"{ASSETS}?filename=My%20logo.webp"
    answer = alice_uploads.call("POST", path, **body)

    assert answer.status_code == 201, answer.text
    asset = answer.json()
    assert answer.headers["Location"] == f"{ASSETS}/{asset['id']}"
    assert (asset["kind"], asset["filename"]) == ("picture", "My logo.png")
    assert asset["media_info"]["video"][0]["width"] == 60
    kept = storage.asset_path(asset["id"])
    assert (kept.stat().st_size, kept.read_bytes()[:4]) == (asset["size"], b"\x89PNG")
    assert storage_usage(alice) == asset["size"]


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        ({"data": b""}, 400, "upload_empty"),
        ({"data": b"hello"}, 422, "not_an_asset"),
        ({"data": bytes(21 * 1024**2)}, 413, "upload_too_large"),
        ({"data": iter([bytes(11 * 1024**2)] * 2)}, 413, "upload_too_large"),
        ({"data": SRT.ljust(6 * 1024**2)}, 413, "upload_too_large"),
        ({"json": {}}, 415, "unsupported_media_type"),
        ({"files": {"picture": b"x"}}, 400, "invalid_request"),
    ],
    ids=["empty", "text", "large", "large-chunked", "large-words", "json", "no-file"],
)
def test_refusals_leave_nothing_behind(
    alice_uploads: Client, media: Path, arguments: dict[str, Any], status: int, code: str
) -> None:
    answer = alice_uploads.call("POST", ASSETS, **arguments)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not Asset.objects.exists()
    assert not files(media)
    assert not list((media / "assets").iterdir()) if (media / "assets").exists() else True


def test_a_cut_leaves_nothing_behind(alice_uploads: Client, media: Path) -> None:
    place = urlsplit(alice_uploads.url)
    with socket.create_connection((place.hostname, place.port)) as connection:
        head = f"POST {ASSETS} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900000\r\n"
        head += f"Authorization: {alice_uploads.headers['Authorization']}\r\n\r\n"
        connection.sendall(head.encode() + SRT)
        time.sleep(0.3)
    deadline = time.monotonic() + 10
    while files(media) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not files(media)


def test_strangers_send_nothing(stranger_uploads: Client) -> None:
    assert stranger_uploads.call("POST", ASSETS, data=SRT).status_code == 401


def test_the_quota_holds(alice_uploads: Client, alice: User) -> None:
    alice.storage_bytes_override = 10
    alice.save()
    answer = alice_uploads.call("POST", ASSETS, data=SRT)
    assert (answer.status_code, answer.json()["code"]) == (413, "quota_exceeded")


@pytest.mark.django_db
class TestKept:
    def test_newest_first_and_only_ones_own(self, alice: User, bob: User, alices_client: APIClient) -> None:
        first, second = asset_of(alice, filename="one.srt"), asset_of(alice, filename="two.srt")
        theirs = asset_of(bob)
        listed = alices_client.get(ASSETS).json()["data"]
        assert [asset["id"] for asset in listed] == [second.pk, first.pk]
        assert alices_client.get(f"{ASSETS}/{first.pk}").json() == listed[1]
        for path in (f"{ASSETS}/{theirs.pk}", f"{ASSETS}/{theirs.pk}/file", f"{ASSETS}/vid_1"):
            assert alices_client.get(path).status_code == 404
        assert alices_client.delete(f"{ASSETS}/{theirs.pk}").status_code == 404

    def test_the_file_is_saved_and_never_shown(self, alice: User, alices_client: APIClient) -> None:
        asset = asset_of(alice)
        answer = alices_client.get(f"{ASSETS}/{asset.pk}/file?inline=1")
        assert sent_from(answer) == f"/assets/{asset.pk}/file"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="talk.srt"'
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert storage.asset_path(asset.pk).read_text() == "1\n00:00:00,000 --> 00:00:01,000\nHi\n\n"

    def test_it_can_be_removed(
        self, alice: User, alices_client: APIClient, media: Path, django_capture_on_commit_callbacks: Any
    ) -> None:
        asset = asset_of(alice)
        with django_capture_on_commit_callbacks(execute=True):
            assert alices_client.delete(f"{ASSETS}/{asset.pk}").status_code == 204
        assert not files(media)
        assert alices_client.get(f"{ASSETS}/{asset.pk}").status_code == 404

    def test_there_is_an_end(self, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(service, "MOST_ASSETS", 1)
        asset_of(alice)
        with pytest.raises(Problem) as caught:
            asset_of(alice)
        assert caught.value.code == "too_many_assets"

    def test_the_sweep_takes_what_no_row_names(self, alice: User, media: Path) -> None:
        kept = asset_of(alice)
        for name in ("ast_" + "0" * 32, "ast_" + "1" * 32):
            (media / "assets" / name).mkdir()
            (media / "assets" / name / "sent").write_bytes(b"x")
        assert media_sweep(untouched_for=timedelta(seconds=-5)) == 2
        assert [path.name for path in (media / "assets").iterdir()] == [kept.pk]

    def test_nobody_without_a_name(self, anonymous: APIClient, bob: User) -> None:
        assert anonymous.get(ASSETS).status_code == 401
        assert client_of(bob).get(ASSETS).json()["data"] == []
