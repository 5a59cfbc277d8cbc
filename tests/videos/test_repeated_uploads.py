"""`Idempotency-Key` on the POSTs of the uploads process: once is enough."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
import requests
from django.db.models.functions import Now

from tests.videos.conftest import BYTES, TUS, Client
from users import idempotency as kept
from users.idempotency import request_begin
from users.models import IdempotencyKey, User
from videos.models import Upload, Video
from videos.tus import idempotency

VIDEOS, UPLOADS = "/api/v1/videos?filename=a.mp4", "/api/v1/uploads"
KEY = {"Idempotency-Key": "k1"}
CONTENT = os.urandom(200_000)


def post(client: Client, data: Any = CONTENT, *, path: str = VIDEOS, **headers: str) -> requests.Response:
    return client.call("POST", path, data=data, headers={**KEY, **headers})


def form(client: Client, content: bytes = CONTENT, *, title: str = "A") -> requests.Response:
    return client.call(
        "POST",
        "/api/v1/videos",
        files={"file": ("a.mp4", BytesIO(content))},
        data={"title": title},
        headers=KEY,
    )


def create(client: Client, length: str = "100") -> requests.Response:
    return client.call("POST", UPLOADS, headers={**TUS, "Upload-Length": length, **KEY})


def assert_replayed(first: requests.Response, again: requests.Response) -> None:
    assert first.status_code < 300, first.text
    assert "Idempotent-Replayed" not in first.headers
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotent-Replayed"] == "true"


def assert_reused(answer: requests.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


class TestFiles:
    def test_a_file_sent_again_is_one_video(self, alice_uploads: Client) -> None:
        assert_replayed(post(alice_uploads), post(alice_uploads))
        assert Video.objects.count() == 1

    def test_other_bytes_are_refused(self, alice_uploads: Client) -> None:
        post(alice_uploads)
        assert_reused(post(alice_uploads, CONTENT[:-1] + b"x"))
        assert_reused(post(alice_uploads, CONTENT[:-1]))
        assert_reused(post(alice_uploads, path="/api/v1/videos?filename=b.mp4"))
        assert Video.objects.count() == 1

    def test_a_body_of_unknown_length(self, alice_uploads: Client) -> None:
        halves = [CONTENT[:1000], CONTENT[1000:]]
        assert_replayed(post(alice_uploads, iter(halves)), post(alice_uploads, iter(halves[:1] + halves[1:])))
        assert_reused(post(alice_uploads, iter([*halves, b"x"])))

    def test_a_form_has_a_new_boundary_each_time(self, alice_uploads: Client) -> None:
        assert_replayed(form(alice_uploads), form(alice_uploads))
        assert_reused(form(alice_uploads, title="B"))
        assert_reused(form(alice_uploads, CONTENT[:-1] + b"x"))
        assert Video.objects.count() == 1

    def test_keys_of_two_users_are_two_keys(self, alice_uploads: Client, bob_uploads: Client) -> None:
        first, other = post(alice_uploads), post(bob_uploads)
        assert other.status_code == 201
        assert other.json()["id"] != first.json()["id"]

    def test_without_a_key_nothing_is_kept(self, alice_uploads: Client) -> None:
        alice_uploads.call("POST", VIDEOS, data=CONTENT)
        assert not IdempotencyKey.objects.exists()

    @pytest.mark.parametrize("key", ["", "k" * 256])
    def test_a_key_that_is_none(self, alice_uploads: Client, key: str) -> None:
        answer = post(alice_uploads, **{"Idempotency-Key": key})
        assert answer.json()["code"] == "idempotency_key_invalid"
        assert not Video.objects.exists()

    def test_strangers_are_told_that_they_are(self, alice_uploads: Client) -> None:
        answer = requests.post(alice_uploads.url + VIDEOS, data=CONTENT, headers=KEY, timeout=10)
        assert answer.status_code == 401
        assert not IdempotencyKey.objects.exists()


class TestTus:
    def test_one_creation_makes_one_upload(self, alice_uploads: Client) -> None:
        assert_replayed(create(alice_uploads), create(alice_uploads))
        assert Upload.objects.count() == 1
        assert_reused(create(alice_uploads, "101"))

    def test_with_its_bytes(self, alice_uploads: Client) -> None:
        def send(data: bytes) -> requests.Response:
            headers = {**BYTES, "Upload-Length": str(len(CONTENT)), **KEY}
            return alice_uploads.call("POST", UPLOADS, headers=headers, data=data)

        first, again = send(CONTENT), send(CONTENT)
        assert_replayed(first, again)
        assert again.headers["Videoproc-Video"] == first.headers["Videoproc-Video"]
        assert again.headers["Upload-Offset"] == str(len(CONTENT))
        assert_reused(send(CONTENT[:-1] + b"x"))

    def test_a_refusal_that_settles_is_given_again(self, alice_uploads: Client) -> None:
        first, again = (create(alice_uploads, "many") for _ in range(2))
        assert (first.status_code, first.json()["code"]) == (again.status_code, again.json()["code"])
        assert first.status_code == 400
        assert again.headers["Idempotent-Replayed"] == "true"

    def test_other_methods_have_no_keys(self, alice_uploads: Client) -> None:
        path = alice_uploads.created(4)
        assert alice_uploads.patch(path, 0, b"abcd", **KEY).status_code == 204
        assert not IdempotencyKey.objects.exists()


class TestAtWork:
    def test_of_many_at_once_one_does_the_work(self, alice_uploads: Client) -> None:
        start = threading.Barrier(12)

        def ask(_: int) -> requests.Response:
            start.wait()
            return create(alice_uploads)

        with ThreadPoolExecutor(12) as threads:
            answers = list(threads.map(ask, range(12)))
        assert {answer.status_code for answer in answers} <= {201, 409}
        assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {
            "idempotency_key_in_use"
        }
        assert Upload.objects.count() == 1

    def test_while_it_runs_a_repetition_is_told_to_wait(
        self, alice_uploads: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However long the file takes: each sign of life moves the end of the key."""
        monkeypatch.setattr(kept, "ABANDONED_AFTER", timedelta(seconds=1.5))
        monkeypatch.setattr(idempotency, "_SIGN_OF_LIFE", 0.3)
        go_on = threading.Event()
        answers: list[requests.Response] = []

        def pieces() -> Any:
            yield CONTENT[:1000]
            go_on.wait(20)
            yield CONTENT[1000:]

        sender = threading.Thread(target=lambda: answers.append(post(alice_uploads, pieces())))
        sender.start()
        try:
            for _ in range(6):
                go_on.wait(0.5)
                meanwhile = post(alice_uploads, iter([CONTENT]))
            assert (meanwhile.status_code, meanwhile.json()["code"]) == (409, "idempotency_key_in_use")
            assert meanwhile.headers["Retry-After"] == "1"
        finally:
            go_on.set()
            sender.join()
        assert_replayed(answers[0], post(alice_uploads, iter([CONTENT])))

    def test_a_cut_gives_the_key_back(self, alice_uploads: Client) -> None:
        def broken() -> Any:
            yield CONTENT[:1000]
            raise OSError("the line is cut")

        with pytest.raises(OSError, match="the line is cut"):
            post(alice_uploads, broken())
        for _ in range(50):
            answer = post(alice_uploads, iter([CONTENT]))
            if answer.status_code != 409:
                break
            threading.Event().wait(0.1)
        assert answer.status_code == 201
        assert "Idempotent-Replayed" not in answer.headers

    def test_a_request_that_died_frees_its_key(self, alice_uploads: Client, alice: User) -> None:
        request_begin(user=alice, key="k1", fingerprint="0" * 64)
        IdempotencyKey.objects.update(expires_at=Now())
        assert post(alice_uploads).status_code == 201
