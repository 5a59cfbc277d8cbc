"""Concatenation: partial uploads that become one video."""

from __future__ import annotations

import base64
import os
import threading
from pathlib import Path
from typing import Any

import pytest
import requests
from django.utils import timezone

from tests.videos.conftest import BYTES, TUS, Client
from users.models import User
from videos import storage
from videos.models import Upload, Video
from videos.selectors import storage_usage, uploads_unfinished_for
from videos.services import concatenation as service
from videos.services.usage import usage_check
from videos.tus import concatenation

PARTIAL = {"Upload-Concat": "partial"}


def name(text: str) -> str:
    return f"filename {base64.b64encode(text.encode()).decode()}"


def id_of(path: str) -> str:
    return path.rpartition("/")[2]


def part(client: Client, content: bytes, *, sent: int | None = None) -> str:
    """The path of a partial upload, with as much of its content as is `sent`."""
    path = client.created(len(content), **PARTIAL)
    if sent != 0:
        assert client.patch(path, 0, content[:sent]).status_code == 204
    return path


def final(client: Client, *paths: str, **headers: str) -> requests.Response:
    concat = {"Upload-Concat": f"final;{' '.join(paths)}"}
    return client.call("POST", "/api/v1/uploads", headers={**TUS, **concat, **headers})


def video_of(response: requests.Response) -> bytes:
    return storage.source_path(response.headers["Videoproc-Video"]).read_bytes()


def files(media: Path) -> list[str]:
    return sorted(path.name for path in (media / "uploads").iterdir())


class TestJoining:
    def test_parts_become_one_video_in_their_order(
        self, alice_uploads: Client, alice: User, media: Path
    ) -> None:
        contents = [os.urandom(size) for size in (100_000, 1, 2_500_000)]
        paths = [part(alice_uploads, content) for content in contents]
        before = storage_usage(alice)
        asked = [paths[2], alice_uploads.url + paths[0], paths[1]]

        response = final(alice_uploads, *asked, **{"Upload-Metadata": name("film.mp4")})

        assert response.status_code == 201
        assert video_of(response) == contents[2] + contents[0] + contents[1]
        video = Video.objects.get()
        assert (video.original_filename, video.size) == ("film.mp4", 2_600_001)
        head = alice_uploads.head(response.headers["Location"])
        assert head.headers["Upload-Offset"] == head.headers["Upload-Length"] == "2600001"
        assert head.headers["Upload-Concat"] == f"final;{' '.join(asked)}"
        assert head.headers["Videoproc-Video"] == video.pk
        assert [alice_uploads.head(path).status_code for path in paths] == [404] * 3
        assert not files(media)
        assert storage_usage(alice) == before == 2_600_001
        assert usage_check() == []

    def test_a_part_is_no_video_by_itself(self, alice_uploads: Client, alice: User) -> None:
        path = part(alice_uploads, b"12345")

        head = alice_uploads.head(path)
        assert (head.headers["Upload-Concat"], head.headers["Upload-Offset"]) == ("partial", "5")
        assert "Videoproc-Video" not in head.headers
        assert alice_uploads.patch(path, 5, b"").status_code == 204
        assert not Video.objects.exists()
        assert alice_uploads.call("GET", path).json()["kind"] == "partial"
        assert [upload.pk for upload in uploads_unfinished_for(alice)] == [id_of(path)]

    def test_with_the_first_bytes_along(self, alice_uploads: Client) -> None:
        made = alice_uploads.call(
            "POST", "/api/v1/uploads", headers={**BYTES, **PARTIAL, "Upload-Length": "3"}, data=b"abc"
        )
        assert (made.status_code, made.headers["Upload-Offset"]) == (201, "3")
        response = final(alice_uploads, made.headers["Location"], part(alice_uploads, b"def"))
        assert video_of(response) == b"abcdef"

    def test_asking_again_finds_the_same(self, alice_uploads: Client) -> None:
        """The answer got lost, and the parts are used up by then."""
        paths = [part(alice_uploads, b"abc"), part(alice_uploads, b"def")]
        first, again = final(alice_uploads, *paths), final(alice_uploads, *paths)

        assert (again.status_code, again.headers["Location"]) == (201, first.headers["Location"])
        assert again.headers["Videoproc-Video"] == first.headers["Videoproc-Video"]
        assert Video.objects.count() == 1

    def test_two_at_once_make_one(self, alice_uploads: Client) -> None:
        paths = [part(alice_uploads, os.urandom(500_000)) for _ in range(5)]
        answers: list[requests.Response] = []
        threads = [
            threading.Thread(target=lambda: answers.append(final(alice_uploads, *paths))) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.headers["Location"] for answer in answers}) == 1
        assert alice_uploads.head(answers[0].headers["Location"]).headers["Upload-Offset"] == "2500000"
        assert Video.objects.count() == 1


class TestUnfinished:
    def test_the_last_byte_of_the_last_part_completes_it(self, alice_uploads: Client) -> None:
        paths = [part(alice_uploads, b"abcd", sent=1), part(alice_uploads, b"efgh", sent=0)]
        response = final(alice_uploads, *paths)
        assert response.status_code == 201
        assert "Videoproc-Video" not in response.headers
        place = response.headers["Location"]

        head = alice_uploads.head(place)
        assert head.headers["Upload-Length"] == "8"
        assert "Upload-Offset" not in head.headers
        assert alice_uploads.patch(paths[1], 0, b"efgh").status_code == 204
        assert "Upload-Offset" not in alice_uploads.head(place).headers
        assert alice_uploads.patch(paths[0], 1, b"bcd").status_code == 204
        done = alice_uploads.head(place)
        assert done.headers["Upload-Offset"] == done.headers["Upload-Length"] == "8"
        assert video_of(done) == b"abcdefgh"

    def test_a_length_that_is_not_known_is_not_told(self, alice_uploads: Client) -> None:
        open_end = alice_uploads.created(None, **PARTIAL)
        place = final(alice_uploads, part(alice_uploads, b"ab"), open_end).headers["Location"]

        head = alice_uploads.head(place)
        assert head.status_code == 200
        assert not {"Upload-Length", "Upload-Offset", "Upload-Defer-Length"} & set(head.headers)
        assert alice_uploads.patch(open_end, 0, b"cd", **{"Upload-Length": "2"}).status_code == 204
        assert video_of(alice_uploads.head(place)) == b"abcd"

    def test_takes_no_bytes_itself(self, alice_uploads: Client) -> None:
        paths = [part(alice_uploads, b"abcd", sent=1), part(alice_uploads, b"ef")]
        place = final(alice_uploads, *paths).headers["Location"]

        for offset in (0, 1, 6):
            refused = alice_uploads.patch(place, offset, b"x")
            assert (refused.status_code, refused.json()["code"]) == (403, "upload_is_final")
        assert [alice_uploads.offset(path) for path in paths] == [1, 2]

    @pytest.mark.parametrize("how", ["deleted", "expired"])
    def test_without_one_of_its_parts_it_is_gone(self, alice_uploads: Client, how: str) -> None:
        paths = [part(alice_uploads, b"ab"), part(alice_uploads, b"cd", sent=1)]
        place = final(alice_uploads, *paths).headers["Location"]
        if how == "deleted":
            assert alice_uploads.call("DELETE", paths[0], headers=TUS).status_code == 204
        else:
            Upload.objects.filter(pk=id_of(paths[0])).update(expires_at=timezone.now())

        assert alice_uploads.head(place).status_code == 410
        assert alice_uploads.patch(paths[1], 1, b"d").status_code == 204
        assert not Video.objects.exists()
        assert alice_uploads.call("DELETE", place, headers=TUS).status_code == 204
        assert alice_uploads.head(place).status_code == 404

    def test_discarding_it_leaves_its_parts(self, alice_uploads: Client) -> None:
        paths = [part(alice_uploads, b"ab"), part(alice_uploads, b"cd", sent=1)]
        place = final(alice_uploads, *paths).headers["Location"]
        assert alice_uploads.call("DELETE", place, headers=TUS).status_code == 204

        assert [alice_uploads.offset(path) for path in paths] == [2, 1]
        assert alice_uploads.patch(paths[1], 1, b"d").status_code == 204
        assert video_of(final(alice_uploads, *paths)) == b"abcd"


class TestRefusals:
    def test_parts_that_are_not_there_or_not_ones_own(
        self, alice_uploads: Client, bob_uploads: Client
    ) -> None:
        own, strange = part(alice_uploads, b"ab"), part(bob_uploads, b"cd")
        deleted = part(alice_uploads, b"ef")
        alice_uploads.call("DELETE", deleted, headers=TUS)

        for other in (strange, deleted, "/api/v1/uploads/upl_" + "0" * 32):
            refused = final(alice_uploads, own, other)
            assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
        assert alice_uploads.offset(own) == 2
        assert bob_uploads.offset(strange) == 2
        assert Upload.objects.count() == 2

    def test_a_part_of_something_else(self, alice_uploads: Client) -> None:
        shared, other = part(alice_uploads, b"ab"), part(alice_uploads, b"cd", sent=1)
        final(alice_uploads, shared, other)

        refused = final(alice_uploads, other, shared)
        assert (refused.status_code, refused.json()["code"]) == (409, "upload_part_taken")

    @pytest.mark.parametrize(
        ("concat", "headers"),
        [
            ("final", {}),
            ("final;", {}),
            ("final; ", {}),
            ("final;/elsewhere/{id}", {}),
            ("final;{path} {path}", {}),
            ("final;{whole}", {}),
            ("partial;{path}", {"Upload-Length": "5"}),
            ("Final;{path}", {}),
            ("final;{path}", {"Upload-Length": "2"}),
            ("final;{path}", {"Upload-Defer-Length": "1"}),
            ("final;" + "{path} " * 501, {}),
        ],
    )
    def test_nonsense(self, alice_uploads: Client, concat: str, headers: dict[str, str]) -> None:
        path = part(alice_uploads, b"ab")
        whole = alice_uploads.created(3)
        value = concat.format(path=path, id=id_of(path), whole=whole)

        refused = alice_uploads.call(
            "POST", "/api/v1/uploads", headers={**TUS, **headers, "Upload-Concat": value}
        )
        assert (refused.status_code, refused.json()["code"]) == (400, "upload_header_invalid")
        assert Upload.objects.count() == 2
        assert alice_uploads.offset(path) == 2

    def test_the_whole_may_not_be_too_large_though_each_part_is_not(
        self, alice_uploads: Client, alice: User
    ) -> None:
        alice.max_file_bytes_override = 9
        alice.save()
        paths = [part(alice_uploads, b"abcde"), part(alice_uploads, b"fghij")]
        refused = final(alice_uploads, *paths)
        assert (refused.status_code, refused.json()["code"]) == (413, "upload_too_large")
        assert refused.json()["size"] == 10

        open_end = alice_uploads.created(None, **PARTIAL)
        place = final(alice_uploads, paths[0], open_end).headers["Location"]
        assert alice_uploads.patch(open_end, 0, b"fghij", **{"Upload-Length": "5"}).status_code == 204
        assert alice_uploads.call("GET", place).json()["code"] == "upload_too_large"
        assert not Video.objects.exists()

    def test_parts_count_against_the_quota_and_the_whole_does_not_again(
        self, alice_uploads: Client, alice: User
    ) -> None:
        alice.storage_bytes_override = 10
        alice.save()
        paths = [part(alice_uploads, b"abcde"), part(alice_uploads, b"fghij")]
        assert alice_uploads.create(1, **PARTIAL).json()["code"] == "quota_exceeded"

        assert video_of(final(alice_uploads, *paths)) == b"abcdefghij"
        assert storage_usage(alice) == 10


class TestCrashes:
    """The process dies between two steps of joining; what is asked next finishes it."""

    @pytest.mark.parametrize("step", ["before the first", "moved", "one taken", "copied", "all taken"])
    def test_every_step_may_be_the_last(
        self, alice_uploads: Client, alice: User, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        contents = [os.urandom(size) for size in (70_000, 30_000, 50_000)]
        paths = [part(alice_uploads, content) for content in contents]
        real = service.part_taken
        taken: list[str] = []

        def dying(*, upload: Upload, part: Upload) -> Upload:
            if {"moved": 0, "one taken": 1, "copied": 2}.get(step) == len(taken):
                raise SystemError("the power is gone")
            taken.append(part.pk)
            return real(upload=upload, part=part)

        def dead(*_: Any, **__: Any) -> Any:
            raise SystemError("the power is gone")

        with monkeypatch.context() as crash:
            crash.setattr(concatenation, "part_taken", dying)
            if step == "before the first":
                crash.setattr(concatenation, "parts_left", dead)
            if step == "all taken":
                crash.setattr("tests.videos.conftest.video_create_from_upload", dead)
            assert final(alice_uploads, *paths).status_code == 500
        assert storage_usage(alice) == 150_000
        assert usage_check() == []

        again = final(alice_uploads, *paths)
        assert again.status_code == 201
        assert video_of(again) == b"".join(contents)
        assert storage_usage(alice) == 150_000

    def test_a_full_disk_leaves_what_can_be_finished(
        self, alice_uploads: Client, settings: Any, media: Path
    ) -> None:
        paths = [part(alice_uploads, b"a" * 10), part(alice_uploads, b"b" * 10)]
        reserve, settings.DISK_RESERVE_BYTES = settings.DISK_RESERVE_BYTES, 2**60
        refused = final(alice_uploads, *paths)
        assert (refused.status_code, refused.json()["code"]) == (507, "storage_full")

        settings.DISK_RESERVE_BYTES = reserve
        place = f"/api/v1/uploads/{Upload.objects.get(concat__startswith='final').pk}"
        assert video_of(alice_uploads.head(place)) == b"a" * 10 + b"b" * 10
        assert not files(media)
