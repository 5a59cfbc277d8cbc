"""Many files as one zip: names, sizes told beforehand, parts of it, and flat memory."""

from __future__ import annotations

import http.client
import io
import os
import socket
import time
import zipfile
from pathlib import Path

import psutil
import pytest

from problems import Problem
from tests.videos.cast import CONTENT, output_of, published, ready_video, stream_artifact
from tests.videos.conftest import Client, uploader
from users.models import User
from users.services import token_create
from videos import storage
from videos.archive import archive_of
from videos.models import Operation, Output, Video

MIB = 1024**2


def result(video: Video, filename: str, content: bytes = b"made") -> Output:
    """A result whose file is there, under any name."""
    operation = Operation.objects.create(
        video=video, type="resize", parameters={}, fingerprint=f"{filename}{time.monotonic_ns()}"[-64:]
    )
    output = Output.objects.create(
        operation=operation, role="video", filename=filename, size=len(content), sha256="", verification={}
    )
    path = storage.output_path(output.pk)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return output


def made(
    owner: User, *videos: Video, what: str = "results", outputs: tuple[Output, ...] = ()
) -> zipfile.ZipFile:
    archive = archive_of(
        viewer=owner,
        videos=[video.pk for video in videos],
        outputs=[output.pk for output in outputs],
        what=what,  # type: ignore[arg-type]  # the tests use the right words
    )
    data = b"".join(archive.pieces(0, archive.size))
    assert len(data) == archive.size
    found = zipfile.ZipFile(io.BytesIO(data))
    assert found.testzip() is None
    return found


@pytest.mark.django_db
class TestContents:
    def test_names_are_told_apart_and_safe(self, alice: User) -> None:
        video = ready_video(alice)
        for filename in (
            "a.mp4",
            "A.mp4",
            "a.mp4",
            "../../etc/passwd",
            "日本 語.mp4",
            "CON:x?.gif",
            "é.mp4",
            "e\u0301.mp4",
        ):
            result(video, filename, filename.encode())
        found = made(alice, video)
        names = found.namelist()
        assert names[:3] == ["a.mp4", "A (2).mp4", "a (3).mp4"]
        assert names[3:] == ["passwd", "日本 語.mp4", "CON_x_.gif", "é.mp4", "é (2).mp4"]
        assert found.read("日本 語.mp4") == "日本 語.mp4".encode()
        assert all(info.compress_type == zipfile.ZIP_STORED for info in found.infolist())

    def test_several_videos_have_folders(self, alice: User, tmp_path: Path) -> None:
        first, second = ready_video(alice), ready_video(alice)
        output_of(first, tmp_path)
        stream = published(second, "hls", stream_artifact(tmp_path))
        assert made(alice, first).namelist() == ["clip - resize.mp4"]
        names = made(alice, first, second, what="all").namelist()
        assert names == [
            "clip/clip.mp4",
            "clip/clip - resize.mp4",
            "clip (2)/clip.mp4",
            "clip (2)/clip - hls/clip - hls.m3u8",
            "clip (2)/clip - hls/files/180p.mp4",
            "clip (2)/clip - hls/files/180p.m3u8",
        ]
        single = made(alice, outputs=(stream,)).namelist()
        assert single[0] == "clip - hls/clip - hls.m3u8"
        assert made(alice, first, what="originals").read("clip.mp4") == CONTENT

    def test_refuses(self, alice: User, bob: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        mine, others = ready_video(alice), ready_video(bob)
        kept = output_of(others, tmp_path)
        wishes = {
            "archive_empty": {"videos": [mine.pk]},
            "not_found": {"videos": [mine.pk, others.pk]},
            "archive_too_large": {"videos": ["vid_x"] * 101},
        }
        for code, wish in wishes.items():
            with pytest.raises(Problem) as caught:
                archive_of(viewer=alice, what="results", **wish)
            assert caught.value.code == code
        with pytest.raises(Problem, match="nothing here"):
            archive_of(viewer=alice, videos=[], outputs=[kept.pk], what="results")
        gone = result(mine, "gone.mp4")
        storage.output_path(gone.pk).unlink()
        with pytest.raises(Problem) as caught:
            archive_of(viewer=alice, videos=[mine.pk], what="results")
        assert caught.value.code == "source_missing"
        monkeypatch.setattr("videos.archive.MOST_FILES", 1)
        result(mine, "second.mp4")
        result(mine, "third.mp4")
        with pytest.raises(Problem) as caught:
            archive_of(viewer=alice, videos=[mine.pk], what="results")
        assert caught.value.code == "archive_too_large"

    def test_every_part_is_of_the_same_bytes(self, alice: User) -> None:
        video = ready_video(alice)
        for number in range(3):
            result(video, f"{number}.bin", os.urandom(3000 + number))
        archive = archive_of(viewer=alice, videos=[video.pk], what="results")
        whole = b"".join(archive.pieces(0, archive.size))
        again = archive_of(viewer=alice, videos=[video.pk], what="results")
        assert (again.etag, again.size) == (archive.etag, archive.size)
        for first in (0, 1, 57, 3100, archive.size - 1):
            for length in (1, 100, archive.size - first):
                part = b"".join(again.pieces(first, min(length, archive.size - first)))
                assert part == whole[first : first + length]
        result(video, "another.bin")
        assert archive_of(viewer=alice, videos=[video.pk], what="results").etag != archive.etag


@pytest.fixture
def filled(alice: User) -> Video:
    video = ready_video(alice)
    for number in range(2):
        result(video, f"Größe {number}.bin", os.urandom(700_000))
    return video


class TestOverHttp:
    def test_has_its_size_and_parts(self, alice_uploads: Client, bob_uploads: Client, filled: Video) -> None:
        path = f"/api/v1/videos/{filled.pk}/archive"
        whole = alice_uploads.call("GET", path)
        assert whole.status_code == 200
        assert len(whole.content) == int(whole.headers["Content-Length"])
        assert whole.headers["Content-Type"] == "application/zip"
        assert whole.headers["Content-Disposition"] == 'attachment; filename="clip.zip"'
        assert whole.headers["X-Content-Type-Options"] == "nosniff"
        assert zipfile.ZipFile(io.BytesIO(whole.content)).testzip() is None
        head = alice_uploads.call("HEAD", path)
        assert (head.headers["Content-Length"], head.content) == (str(len(whole.content)), b"")

        tag = whole.headers["ETag"]
        rest = alice_uploads.call("GET", path, headers={"Range": "bytes=900000-", "If-Range": tag})
        assert (rest.status_code, rest.content) == (206, whole.content[900000:])
        assert rest.headers["Content-Range"] == f"bytes 900000-{len(whole.content) - 1}/{len(whole.content)}"
        last = alice_uploads.call("GET", path, headers={"Range": "bytes=-22"})
        assert last.content == whole.content[-22:]
        for wanted, status in (
            ({"Range": "bytes=900000-", "If-Range": '"older"'}, 200),
            ({"Range": f"bytes={len(whole.content)}-"}, 416),
            ({"Range": "bytes=5-1"}, 416),
            ({"Range": "bytes=0-1,5-6"}, 200),
            ({"If-None-Match": tag}, 304),
        ):
            assert alice_uploads.call("GET", path, headers=wanted).status_code == status, wanted
        assert bob_uploads.call("GET", path).status_code == 404
        assert alice_uploads.call("POST", path).status_code == 405

    def test_of_a_selection(self, alice_uploads: Client, filled: Video, alice: User) -> None:
        other = ready_video(alice)
        output = Output.objects.order_by("pk").first()
        assert output is not None
        query = [("video", filled.pk), ("video", other.pk), ("output", output.pk), ("what", "all")]
        answer = alice_uploads.call("GET", "/api/v1/archive", params=query)
        assert answer.status_code == 200
        names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
        assert names == [
            "clip/clip.mp4",
            "clip/Größe 0.bin",
            "clip/Größe 1.bin",
            "clip (2)/clip.mp4",
            "Größe 0.bin",
        ]
        for query, code in (([("what", "odd")], "invalid_request"), ([], "archive_empty")):
            assert alice_uploads.call("GET", "/api/v1/archive", params=query).json()["code"] == code

    def test_a_browser_is_known_by_its_cookie_and_a_read_token_may_look(
        self, uploads_url: str, alice: User, filled: Video
    ) -> None:
        reader = uploader(uploads_url, alice, scope="read")
        assert reader.call("HEAD", f"/api/v1/videos/{filled.pk}/archive").status_code == 200
        stranger = Client(uploads_url)
        assert stranger.call("GET", f"/api/v1/videos/{filled.pk}/archive").status_code == 401


def test_memory_stays_flat_however_slow_the_reader(
    uploads_process: tuple[psutil.Process, str], alice: User
) -> None:
    server, address = uploads_process
    video = ready_video(alice)
    block = os.urandom(MIB)
    for number in range(2):
        output = result(video, f"{number}.bin", b"x")
        with storage.output_path(output.pk).open("wb") as file:
            for _ in range(80):
                file.write(block)
    _, token = token_create(user=alice, name="reader")
    before = server.memory_info().rss
    line = _Line(address)
    line.request("GET", f"/api/v1/videos/{video.pk}/archive", headers={"Authorization": f"Bearer {token}"})
    answer = line.getresponse()
    time.sleep(1)  # it takes nothing for a while
    stalled = server.memory_info().rss
    size = sum(len(piece) for piece in iter(lambda: answer.read(MIB), b""))
    after = server.memory_info().rss
    line.close()
    assert size == int(answer.headers["Content-Length"])
    assert size > 160 * MIB
    assert max(stalled, after) - before < 30 * MIB, (before, stalled, after)


class _Line(http.client.HTTPConnection):
    """HTTP over a socket that has a path."""

    def __init__(self, address: str) -> None:
        super().__init__("127.0.0.1", timeout=60)
        self._address = address

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self._address)
