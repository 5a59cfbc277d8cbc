"""tus 1.0.0 as clients speak it, against the real server."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.utils import timezone
from tusclient.client import TusClient

from tests.videos.conftest import BYTES, TUS, Client, uploader
from users.models import User
from videos import storage
from videos.models import Upload, Video
from videos.services.uploads import uploads_expire
from videos.tus import body as tus_body
from videos.tus import sink as tus_sink


def b64(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def upload_of(path: str) -> Upload:
    return Upload.objects.get(pk=path.rpartition("/")[2])


class TestOptions:
    def test_tells_what_the_server_can(self, stranger_uploads: Client) -> None:
        response = stranger_uploads.call("OPTIONS", "/api/v1/uploads")

        assert response.status_code == 204
        assert response.headers["Tus-Resumable"] == response.headers["Tus-Version"] == "1.0.0"
        extensions = set(response.headers["Tus-Extension"].split(","))
        assert extensions == {
            "creation", "creation-with-upload", "creation-defer-length", "termination", "expiration",
            "checksum", "concatenation", "concatenation-unfinished",
        }  # fmt: skip
        assert response.headers["Tus-Checksum-Algorithm"] == "sha1,sha256"


class TestCreate:
    def test_answers_with_the_place(self, alice_uploads: Client, alice: User) -> None:
        metadata = f"filename {b64('My holiday.MP4')},title {b64('Höliday')},is_new"
        response = alice_uploads.create(100, **{"Upload-Metadata": metadata})

        assert response.status_code == 201
        upload = upload_of(response.headers["Location"])
        assert (upload.owner, upload.length, upload.offset) == (alice, 100, 0)
        assert (upload.filename, upload.title) == ("My holiday.MP4", "Höliday")
        assert response.headers["Upload-Expires"].endswith("GMT")
        head = alice_uploads.head(response.headers["Location"])
        assert (head.headers["Upload-Offset"], head.headers["Upload-Length"]) == ("0", "100")
        assert head.headers["Cache-Control"] == "no-store"
        assert f"title {b64('Höliday')}" in head.headers["Upload-Metadata"]

    @pytest.mark.parametrize(
        ("headers", "status", "code"),
        [
            ({}, 400, "upload_length_required"),
            ({"Upload-Length": "-1"}, 400, "upload_header_invalid"),
            ({"Upload-Length": "1e3"}, 400, "upload_header_invalid"),
            ({"Upload-Length": str(2**63)}, 400, "upload_header_invalid"),
            ({"Upload-Length": "0"}, 400, "upload_empty"),
            ({"Upload-Length": "5", "Upload-Defer-Length": "1"}, 400, "upload_header_invalid"),
            ({"Upload-Defer-Length": "2"}, 400, "upload_header_invalid"),
            ({"Upload-Length": "5", "Upload-Metadata": "filename ?"}, 400, "upload_header_invalid"),
            ({"Upload-Length": "5", "Upload-Metadata": "a YQ==,a YQ=="}, 400, "upload_header_invalid"),
            ({"Upload-Length": str(11 * 1024**3)}, 413, "upload_too_large"),
        ],
    )
    def test_refuses_nonsense(
        self, alice_uploads: Client, headers: dict[str, str], status: int, code: str
    ) -> None:
        response = alice_uploads.call("POST", "/api/v1/uploads", headers={**TUS, **headers})

        assert (response.status_code, response.json()["code"]) == (status, code)
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.json()["request_id"] == response.headers["X-Request-Id"]
        assert not Upload.objects.exists()

    def test_declared_bytes_count_at_once(self, alice_uploads: Client, alice: User) -> None:
        alice.storage_bytes_override = 250
        alice.save()
        alice_uploads.created(100)
        alice_uploads.created(100)

        refused = alice_uploads.create(100)
        assert (refused.status_code, refused.json()["code"]) == (413, "quota_exceeded")
        assert (refused.json()["used"], refused.json()["limit"]) == (200, 250)

    def test_racing_creations_share_one_quota(self, alice_uploads: Client, alice: User) -> None:
        alice.storage_bytes_override = 250
        alice.save()
        statuses: list[int] = []
        threads = [
            threading.Thread(target=lambda: statuses.append(alice_uploads.create(100).status_code))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(statuses) == [201] * 2 + [413] * 6

    def test_keeps_the_disk_reserve(self, alice_uploads: Client, settings: object) -> None:
        settings.DISK_RESERVE_BYTES = 2**60  # type: ignore[attr-defined]  # pytest-django's settings

        response = alice_uploads.create(100)
        assert (response.status_code, response.json()["code"]) == (507, "storage_full")

    def test_takes_the_first_bytes_along(self, alice_uploads: Client) -> None:
        headers = {**BYTES, "Upload-Length": "10"}
        response = alice_uploads.call("POST", "/api/v1/uploads", headers=headers, data=b"12345")

        assert (response.status_code, response.headers["Upload-Offset"]) == (201, "5")
        last = alice_uploads.patch(response.headers["Location"], 5, b"67890")
        assert last.headers["Videoproc-Video"].startswith("vid_")

    def test_takes_all_bytes_along(self, alice_uploads: Client) -> None:
        headers = {**BYTES, "Upload-Length": "5"}
        response = alice_uploads.call("POST", "/api/v1/uploads", headers=headers, data=b"12345")

        assert response.status_code == 201
        video = Video.objects.get(pk=response.headers["Videoproc-Video"])
        assert storage.source_path(video.pk).read_bytes() == b"12345"


class TestAppend:
    def test_in_three_parts(self, alice_uploads: Client, alice: User, media: Path) -> None:
        content = os.urandom(300_000)
        path = alice_uploads.created(len(content), **{"Upload-Metadata": f"filename {b64('clip.mp4')}"})
        for start in (0, 100_000, 200_000):
            response = alice_uploads.patch(path, start, content[start : start + 100_000])
            assert response.status_code == 204
            assert response.headers["Upload-Offset"] == str(start + 100_000)

        video = Video.objects.get(pk=response.headers["Videoproc-Video"])
        assert (video.owner, video.name, video.size) == (alice, "clip", 300_000)
        assert (video.original_filename, video.status) == ("clip.mp4", "processing")
        assert storage.source_path(video.pk).read_bytes() == content
        assert not list((media / "uploads").iterdir())
        seen = alice_uploads.call("GET", path).json()
        assert (seen["video"], seen["offset"], seen["length"]) == (video.pk, 300_000, 300_000)

    def test_one_byte_at_a_time(self, alice_uploads: Client) -> None:
        path = alice_uploads.created(5)
        for offset, byte in enumerate(b"12345"):
            response = alice_uploads.patch(path, offset, bytes([byte]))
        assert storage.source_path(response.headers["Videoproc-Video"]).read_bytes() == b"12345"

    def test_last_answer_lost_and_asked_again(self, alice_uploads: Client) -> None:
        path = alice_uploads.created(5)
        first, again = alice_uploads.patch(path, 0, b"12345"), alice_uploads.patch(path, 5, b"")

        assert (again.status_code, again.headers["Upload-Offset"]) == (204, "5")
        assert again.headers["Videoproc-Video"] == first.headers["Videoproc-Video"]
        assert alice_uploads.head(path).headers["Videoproc-Video"] == first.headers["Videoproc-Video"]
        assert Video.objects.count() == 1

    @pytest.mark.parametrize("offset", [0, 2, 4, 99])
    def test_wrong_offset(self, alice_uploads: Client, offset: int) -> None:
        path = alice_uploads.created(10)
        alice_uploads.patch(path, 0, b"123")

        response = alice_uploads.patch(path, offset, b"x")
        assert (response.status_code, response.json()["code"]) == (409, "upload_offset_conflict")
        assert response.headers["Upload-Offset"] == "3" == str(response.json()["offset"])
        assert alice_uploads.offset(path) == 3

    @pytest.mark.parametrize("value", ["", "-1", "x", "1.5"])
    def test_unreadable_offset(self, alice_uploads: Client, value: str) -> None:
        path = alice_uploads.created(10)
        response = alice_uploads.patch(path, 0, b"x", **{"Upload-Offset": value})
        assert (response.status_code, response.json()["code"]) == (400, "upload_header_invalid")

    def test_wrong_content_type(self, alice_uploads: Client) -> None:
        path = alice_uploads.created(10)
        response = alice_uploads.patch(path, 0, b"x", **{"Content-Type": "application/octet-stream"})
        assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")

    def test_body_past_the_length(self, alice_uploads: Client) -> None:
        path = alice_uploads.created(10)
        alice_uploads.patch(path, 0, b"123")

        response = alice_uploads.patch(path, 3, b"12345678")
        assert (response.status_code, response.json()["code"]) == (413, "upload_body_too_long")
        assert alice_uploads.offset(path) == 3
        assert alice_uploads.patch(path, 3, b"4567890").status_code == 204

    def test_chunked_body_past_the_length(self, alice_uploads: Client) -> None:
        path = alice_uploads.created(10)

        response = alice_uploads.patch(path, 0, iter([b"12345", b"x" * 100_000]))
        assert (response.status_code, response.json()["code"]) == (413, "upload_body_too_long")
        assert int(response.headers["Upload-Offset"]) == alice_uploads.offset(path) <= 5
        assert not Video.objects.exists()

    def test_refusal_of_a_large_body_does_not_hang(self, alice_uploads: Client, bob_uploads: Client) -> None:
        path = alice_uploads.created(100_000_000)
        block = bytes(1024**2)

        began = time.monotonic()
        refused = bob_uploads.patch(path, 0, iter([block] * 50))
        assert refused.status_code == 404
        assert time.monotonic() - began < 10

    def test_with_method_override(self, alice_uploads: Client) -> None:
        path = alice_uploads.created(5)
        headers = {**BYTES, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
        assert alice_uploads.call("POST", path, headers=headers, data=b"12345").status_code == 204

    def test_deferred_length(self, alice_uploads: Client) -> None:
        path = alice_uploads.created(None)
        assert alice_uploads.head(path).headers["Upload-Defer-Length"] == "1"
        assert alice_uploads.patch(path, 0, b"123").status_code == 204
        assert "Upload-Length" not in alice_uploads.head(path).headers

        last = alice_uploads.patch(path, 3, b"45", **{"Upload-Length": "5"})
        assert last.headers["Videoproc-Video"].startswith("vid_")

    def test_length_is_told_once(self, alice_uploads: Client) -> None:
        path = alice_uploads.created(None)
        assert alice_uploads.patch(path, 0, b"12", **{"Upload-Length": "5"}).status_code == 204
        assert alice_uploads.patch(path, 2, b"3", **{"Upload-Length": "6"}).status_code == 400
        assert alice_uploads.patch(path, 2, b"3", **{"Upload-Length": "5"}).status_code == 204

    def test_deferred_length_ends_at_the_quota(self, alice_uploads: Client, alice: User) -> None:
        alice.storage_bytes_override = 1000
        alice.save()
        path = alice_uploads.created(None)

        response = alice_uploads.patch(path, 0, iter([b"x" * 900, b"y" * 200]))
        assert (response.status_code, response.json()["code"]) == (413, "quota_exceeded")


class TestChecksum:
    @pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
    def test_right(self, alice_uploads: Client, algorithm: str) -> None:
        path = alice_uploads.created(5)
        checksum = f"{algorithm} {b64(hashlib.new(algorithm, b'12345').digest())}"
        assert alice_uploads.patch(path, 0, b"12345", **{"Upload-Checksum": checksum}).status_code == 204

    def test_wrong_keeps_nothing(self, alice_uploads: Client) -> None:
        path = alice_uploads.created(3_000_005)
        alice_uploads.patch(path, 0, b"12345")
        checksum = f"sha256 {b64(hashlib.sha256(b'other').digest())}"

        response = alice_uploads.patch(path, 5, b"x" * 3_000_000, **{"Upload-Checksum": checksum})
        assert (response.status_code, response.json()["code"]) == (460, "upload_checksum_mismatch")
        assert alice_uploads.offset(path) == 5
        assert storage.upload_path(upload_of(path).pk).stat().st_size == 5

    @pytest.mark.parametrize("value", ["md5 AAAA", "sha1", "sha1 ?", f"sha1 {b64('short')}"])
    def test_unknown(self, alice_uploads: Client, value: str) -> None:
        path = alice_uploads.created(5)
        response = alice_uploads.patch(path, 0, b"12345", **{"Upload-Checksum": value})
        assert (response.status_code, response.json()["code"]) == (400, "upload_header_invalid")
        assert alice_uploads.offset(path) == 0


class TestTermination:
    def test_frees_the_bytes(self, alice_uploads: Client, media: Path) -> None:
        path = alice_uploads.created(10)
        alice_uploads.patch(path, 0, b"12345")

        assert alice_uploads.call("DELETE", path, headers=TUS).status_code == 204
        assert alice_uploads.head(path).status_code == 404
        assert alice_uploads.patch(path, 5, b"67890").status_code == 404
        assert not list((media / "uploads").iterdir())

    def test_leaves_a_finished_video(self, alice_uploads: Client) -> None:
        path = alice_uploads.created(5)
        video = alice_uploads.patch(path, 0, b"12345").headers["Videoproc-Video"]

        assert alice_uploads.call("DELETE", path, headers=TUS).status_code == 204
        assert storage.source_path(video).read_bytes() == b"12345"
        assert Video.objects.filter(pk=video).exists()


class TestExpiry:
    def test_is_410_then_404(self, alice_uploads: Client, media: Path) -> None:
        path = alice_uploads.created(10)
        alice_uploads.patch(path, 0, b"12345")
        Upload.objects.update(expires_at=timezone.now())

        assert alice_uploads.head(path).status_code == 410
        assert alice_uploads.patch(path, 5, b"67890").json()["code"] == "upload_gone"
        assert uploads_expire() == 1
        assert alice_uploads.head(path).status_code == 404
        assert not list((media / "uploads").iterdir())


class TestDoor:
    METHODS = (
        ("POST", "/api/v1/uploads"),
        ("POST", "/api/v1/videos"),
        ("GET", "{upload}"),
        ("HEAD", "{upload}"),
        ("PATCH", "{upload}"),
        ("DELETE", "{upload}"),
    )

    @pytest.mark.parametrize(("method", "path"), METHODS)
    def test_strangers_and_others(
        self, alice_uploads: Client, bob_uploads: Client, stranger_uploads: Client, method: str, path: str
    ) -> None:
        upload = alice_uploads.created(5)
        headers = {**BYTES, "Upload-Offset": "0"}

        anonymous = stranger_uploads.call(method, path.format(upload=upload), headers=headers, data=b"")
        assert anonymous.status_code == 401
        assert anonymous.headers["WWW-Authenticate"] == "Bearer"
        if "{upload}" in path:
            for other in (upload, upload[:-1], "/api/v1/uploads/vid_0", "/api/v1/uploads/..%2f..%2fetc"):
                assert bob_uploads.call(method, other.format(), headers=headers, data=b"").status_code == 404
        assert alice_uploads.offset(upload) == 0

    def test_a_read_only_token_looks_only(self, uploads_url: str, alice: User, alice_uploads: Client) -> None:
        reader = uploader(uploads_url, alice, scope="read")
        path = alice_uploads.created(5)

        assert reader.head(path).status_code == 200
        assert reader.patch(path, 0, b"12345").json()["code"] == "permission_denied"
        assert reader.create(5).status_code == 403

    @pytest.mark.parametrize("version", [None, "0.2.2"])
    def test_another_protocol_version(self, alice_uploads: Client, version: str | None) -> None:
        headers = {"Upload-Length": "5"} | ({"Tus-Resumable": version} if version else {})
        response = alice_uploads.call("POST", "/api/v1/uploads", headers=headers)

        assert (response.status_code, response.json()["code"]) == (412, "tus_version_unsupported")
        assert response.headers["Tus-Version"] == "1.0.0"

    def test_unknown_methods_and_places(self, alice_uploads: Client) -> None:
        response = alice_uploads.call("PUT", "/api/v1/uploads")
        assert (response.status_code, response.headers["Allow"]) == (405, "GET, OPTIONS, POST")
        assert alice_uploads.call("POST", "/api/v1/elsewhere").status_code == 404


class TestBrokenConnections:
    def send_part(
        self, client: Client, path: str, *, announced: int, sent: bytes, headers: str = ""
    ) -> socket.socket:
        """A PATCH of which only the beginning is sent; the connection stays open."""
        place = urlsplit(client.url)
        connection = socket.create_connection((place.hostname, place.port))
        head = f"PATCH {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
        head += f"Content-Type: application/offset+octet-stream\r\nContent-Length: {announced}\r\n"
        head += f"Authorization: {client.headers['Authorization']}\r\n{headers}\r\n"
        connection.sendall(head.encode() + sent)
        return connection

    def test_what_arrived_before_a_cut_is_kept(self, alice_uploads: Client) -> None:
        content = os.urandom(3_000_000)
        path = alice_uploads.created(len(content))
        connection = self.send_part(alice_uploads, path, announced=len(content), sent=content[:2_000_000])
        time.sleep(0.5)
        connection.close()

        offset = alice_uploads.offset_when_still(path, at_least=2_000_000)
        assert offset == 2_000_000
        last = alice_uploads.patch(path, offset, content[offset:])
        assert storage.source_path(last.headers["Videoproc-Video"]).read_bytes() == content

    def test_a_cut_drops_what_a_checksum_covers(self, alice_uploads: Client) -> None:
        path = alice_uploads.created(10_000_000)

        checksum = f"Upload-Checksum: sha256 {b64(hashlib.sha256(b'x').digest())}\r\n"
        connection = self.send_part(
            alice_uploads, path, announced=10_000_000, sent=b"x" * 5_000_000, headers=checksum
        )
        time.sleep(0.3)
        connection.close()

        assert alice_uploads.offset_when_still(path) == 0
        assert alice_uploads.patch(path, 0, b"again").status_code == 204

    def test_two_writers(self, alice_uploads: Client) -> None:
        path = alice_uploads.created(10_000_000)
        connection = self.send_part(alice_uploads, path, announced=10_000_000, sent=b"x" * 1000)
        time.sleep(0.3)

        second = alice_uploads.patch(path, 0, b"y" * 1000)
        assert (second.status_code, second.json()["code"]) == (423, "upload_locked")
        connection.close()
        assert alice_uploads.offset_when_still(path, at_least=1000) == 1000

    def test_a_silent_writer_makes_room(self, alice_uploads: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tus_sink, "SILENT_AFTER", 0.2)
        path = alice_uploads.created(2000)
        connection = self.send_part(alice_uploads, path, announced=2000, sent=b"x" * 1000)
        time.sleep(0.5)

        assert alice_uploads.offset(path) == 1000
        assert alice_uploads.patch(path, 1000, b"y" * 1000).status_code == 204
        assert connection.recv(12) == b"HTTP/1.1 408"
        connection.close()

    def test_a_stalled_body_is_given_up(self, alice_uploads: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tus_body, "STALLED_AFTER", 0.3)
        path = alice_uploads.created(2000)
        connection = self.send_part(alice_uploads, path, announced=2000, sent=b"x" * 1000)

        assert connection.recv(12) == b"HTTP/1.1 408"
        connection.close()
        assert alice_uploads.offset(path) == 1000

    def test_a_crash_between_the_last_byte_and_the_video(self, alice_uploads: Client) -> None:
        """The upload is complete and its bytes have moved, but the process died before the commit."""
        path = alice_uploads.created(6)
        alice_uploads.patch(path, 0, b"12345")
        upload = upload_of(path)
        with storage.upload_path(upload.pk).open("ab") as file:
            file.write(b"6")
        upload.offset, upload.reserved_video_id = 6, "vid_" + "0" * 32
        upload.save()
        storage.adopt(storage.upload_path(upload.pk), storage.source_path(upload.reserved_video_id))

        assert alice_uploads.head(path).headers["Videoproc-Video"] == upload.reserved_video_id
        assert storage.source_path(upload.reserved_video_id).read_bytes() == b"123456"

    def test_uncounted_bytes_of_a_killed_process_are_written_again(self, alice_uploads: Client) -> None:
        path = alice_uploads.created(6)
        alice_uploads.patch(path, 0, b"123")
        with storage.upload_path(upload_of(path).pk).open("ab") as file:
            file.write(b"rubbish beyond the end")

        last = alice_uploads.patch(path, 3, b"456")
        assert storage.source_path(last.headers["Videoproc-Video"]).read_bytes() == b"123456"

    def test_a_full_disk_tells_the_true_offset(
        self, alice_uploads: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The device fills up after 1.5 MB: the kernel's refusal is what is played here."""
        room = 1_500_000
        real = os.pwrite

        def pwrite(descriptor: int, data: memoryview, position: int) -> int:
            if position >= room:
                raise OSError(28, "No space left on device")
            return real(descriptor, data[: room - position], position)

        path = alice_uploads.created(4_000_000)
        with monkeypatch.context() as full:
            full.setattr(os, "pwrite", pwrite)
            response = alice_uploads.patch(path, 0, b"x" * 4_000_000)
            assert (response.status_code, response.json()["code"]) == (507, "storage_full")
            assert response.headers["Upload-Offset"] == str(room)
        assert alice_uploads.offset(path) == room
        assert alice_uploads.patch(path, room, b"x" * (4_000_000 - room)).status_code == 204


class TestRealClient:
    def test_tuspy_uploads_and_resumes(self, alice_uploads: Client, tmp_path: Path) -> None:
        content = os.urandom(1_000_000)
        source = tmp_path / "clip.mp4"
        source.write_bytes(content)
        client = TusClient(f"{alice_uploads.url}/api/v1/uploads", headers=dict(alice_uploads.headers))
        with source.open("rb") as file:
            first: Any = client.uploader(
                file_stream=file, chunk_size=300_000, metadata={"filename": "clip.mp4"}
            )
            first.upload_chunk()
            first.upload_chunk()

        with source.open("rb") as file:
            second = client.uploader(file_stream=file, chunk_size=300_000, url=first.url)
            assert second.offset == 600_000
            second.upload()
        video = Video.objects.get()
        assert storage.source_path(video.pk).read_bytes() == content
