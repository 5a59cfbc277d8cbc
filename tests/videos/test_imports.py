"""Imports from web addresses: what is fetched, what is refused, and what outlives whom."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psutil
import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from tests.videos.conftest import uploader, video_of
from tests.videos.file_server import FileServer, Offer, file_server
from users.models import User
from videos import fetching, storage
from videos.fetchers import Fetchers
from videos.fetching import fetch
from videos.models import Upload, UrlImport, Video
from videos.selectors import storage_usage
from videos.services import url_imports
from videos.services.url_imports import import_claim, import_create, import_retry

pytestmark = pytest.mark.django_db(transaction=True)
CONTENT = os.urandom(3_000_000)


@pytest.fixture
def server(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    with file_server() as server:
        monkeypatch.setenv("VIDEOPROC_OUTBOUND_TRUSTED", f"127.0.0.1:{server.port}")
        settings.OUTBOUND_TRUSTED = [("127.0.0.1", server.port)]
        server.offer = Offer(CONTENT)
        yield server


def work(*, stopping: threading.Event | None = None) -> UrlImport:
    """Claim the next import and try it once."""
    row = import_claim()
    assert row is not None
    fetch(row, on_complete=video_of, stopping=stopping or threading.Event())
    return UrlImport.objects.select_related("upload").get(pk=row.pk)


def again() -> UrlImport:
    """The next try, without its pause."""
    UrlImport.objects.update(run_after=timezone.now())
    return work()


def source_of(row: UrlImport) -> bytes:
    return storage.source_path(str(row.upload.video_id)).read_bytes()


class TestFetching:
    def test_a_file_becomes_a_video(self, server: FileServer, alice: User) -> None:
        import_create(owner=alice, url=f"{server.url}/films/My%20holiday.mp4?token=1")
        row = work()

        assert (row.status, row.upload.offset, row.upload.length) == ("done", len(CONTENT), len(CONTENT))
        assert source_of(row) == CONTENT
        video = Video.objects.get()
        assert (video.owner, video.name) == (alice, "My holiday")
        assert video.original_filename == "My holiday.mp4"
        assert server.asked == [("/films/My%20holiday.mp4?token=1", None)]
        assert storage_usage(alice) == len(CONTENT)

    def test_names_are_those_given_then_those_told(self, server: FileServer, alice: User) -> None:
        server.offer.headers["Content-Disposition"] = "attachment; filename*=UTF-8''H%C3%B6hle.mov"
        import_create(owner=alice, url=f"{server.url}/x", name="The cave")
        work()
        video = Video.objects.get()
        assert (video.name, video.original_filename) == ("The cave", "Höhle.mov")

    def test_without_a_length(self, server: FileServer, alice: User) -> None:
        server.offer.length = False
        import_create(owner=alice, url=f"{server.url}/x")
        assert source_of(work()) == CONTENT

    def test_redirects_on_the_same_server_are_followed(self, server: FileServer, alice: User) -> None:
        server.offers["/old"] = Offer(status=302, headers={"Location": "/new?x=1#part"})
        import_create(owner=alice, url=f"{server.url}/old")
        assert source_of(work()) == CONTENT
        assert [path for path, _ in server.asked] == ["/old", "/new?x=1"]


class TestGoingOn:
    @pytest.mark.parametrize("cut", [0, 1, 1_500_000, len(CONTENT) - 1])
    def test_after_a_cut_with_what_is_missing(self, server: FileServer, alice: User, cut: int) -> None:
        server.offer.cut_after = cut
        import_create(owner=alice, url=f"{server.url}/x")
        row = work()
        assert (row.status, row.error_code, row.upload.offset) == ("waiting", "import_failed", cut)
        assert "broke off" in row.error_message
        assert row.run_after > timezone.now()
        assert import_claim() is None

        server.offer.cut_after = None
        row = again()
        assert row.status == "done"
        assert source_of(row) == CONTENT
        assert server.asked[1][1] == (f"bytes={cut}-" if cut else None)

    @pytest.mark.parametrize("how", ["changed", "no ranges", "no validator", "shorter"])
    def test_from_the_start_where_it_is_another_file(self, server: FileServer, alice: User, how: str) -> None:
        server.offer.cut_after = 1_000_000
        if how == "no validator":
            server.offer.etag = ""
        import_create(owner=alice, url=f"{server.url}/x")
        work()

        other = os.urandom(2_000_000)
        server.offer = Offer(
            other[:500_000] if how == "shorter" else other,
            ranges=how != "no ranges",
            etag={"no validator": "", "no ranges": '"one"'}.get(how, '"two"'),
        )
        row = again()
        assert row.status == "done", row.error_message
        assert source_of(row) == server.offer.content

    def test_a_stopping_process_hands_it_back(
        self, server: FileServer, alice: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fetching, "SAVE_SECONDS", 0.0)
        stopping = threading.Event()
        stopping.set()
        import_create(owner=alice, url=f"{server.url}/x")
        row = work(stopping=stopping)
        assert (row.status, row.attempt) == ("waiting", 0)
        assert 0 < row.upload.offset < len(CONTENT)

        assert source_of(work()) == CONTENT
        assert server.asked[1][1] == f"bytes={row.upload.offset}-"

    def test_a_killed_process_leaves_a_lease_that_runs_out(
        self,
        server: FileServer,
        uploads_process: tuple[psutil.Process, str],
        alice: User,
        fetchers: Callable[[], Fetchers],
    ) -> None:
        process, _ = uploads_process
        server.offer.pause = 0.1
        row = import_create(owner=alice, url=f"{server.url}/x")
        wait_until(lambda: Upload.objects.get(pk=row.upload_id).offset > 0)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)
        stood = Upload.objects.get(pk=row.upload_id).offset
        assert UrlImport.objects.get().status == "active"
        assert import_claim() is None

        server.offer.pause = 0.0
        UrlImport.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        fetchers().start()
        wait_until(lambda: UrlImport.objects.get().status == "done")
        assert source_of(UrlImport.objects.select_related("upload").get()) == CONTENT
        assert server.asked[-1][1] == f"bytes={stood}-"


class TestCancelling:
    def test_while_it_runs(
        self, server: FileServer, alice: User, alices_client: APIClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fetching, "SAVE_SECONDS", 0.05)
        server.offer.pause = 0.05
        row = import_create(owner=alice, url=f"{server.url}/x")
        runner = threading.Thread(target=lambda: _closing(work_lost))
        runner.start()
        wait_until(lambda: Upload.objects.get(pk=row.upload_id).offset > 0)
        shown = alices_client.get(f"/api/v1/imports/{row.pk}").json()
        assert (shown["status"], shown["length"]) == ("active", len(CONTENT))
        assert alices_client.delete(f"/api/v1/imports/{row.pk}").status_code == 204
        runner.join(timeout=10)

        assert not runner.is_alive()
        assert not UrlImport.objects.exists()
        assert not Video.objects.exists()
        assert storage_usage(alice) == 0
        assert not storage.upload_path(row.upload_id).exists()


class TestRefusals:
    @pytest.mark.parametrize(
        ("offer", "words"),
        [
            (Offer(status=404), "It answered 404."),
            (Offer(status=401), "It answered 401."),
            (Offer(b"<html>", headers={"Content-Type": "Text/HTML; charset=utf-8"}), "a web page"),
            (Offer(b"x", headers={"Content-Encoding": "gzip"}), "compressed"),
            (Offer(status=302, headers={"Location": "https://elsewhere.example/x"}), "elsewhere.example"),
            (Offer(status=302, headers={"Location": "http://127.0.0.1:1/x"}), "redirects to other servers"),
            (Offer(status=302, headers={"Location": "file:///etc/passwd"}), "redirects to other servers"),
            (Offer(status=302), "redirects to other servers"),
            (Offer(status=302, headers={"Location": "/x"}), "from one address to the next"),
        ],
    )
    def test_are_final_and_say_why(self, server: FileServer, alice: User, offer: Offer, words: str) -> None:
        server.offer = offer
        import_create(owner=alice, url=f"{server.url}/x")
        row = work()
        assert (row.status, row.error_code) == ("failed", "import_refused")
        assert words in row.error_message
        assert storage_usage(alice) == 0

    def test_an_empty_file(self, server: FileServer, alice: User) -> None:
        server.offer = Offer(b"")
        import_create(owner=alice, url=f"{server.url}/x")
        assert work().error_code == "upload_empty"

    @pytest.mark.parametrize("length", [True, False])
    @pytest.mark.parametrize(
        ("limits", "code"),
        [
            ({"max_file_bytes_override": 1_000_000}, "upload_too_large"),
            ({"storage_bytes_override": 1_000_000}, "quota_exceeded"),
        ],
    )
    def test_what_does_not_fit_keeps_nothing(
        self, server: FileServer, alice: User, limits: dict[str, int], code: str, length: bool
    ) -> None:
        User.objects.filter(pk=alice.pk).update(**limits)
        server.offer.length = length
        import_create(owner=alice, url=f"{server.url}/x")
        row = work()
        assert (row.status, row.error_code, row.upload.offset) == ("failed", code, 0)
        assert storage.upload_path(row.upload_id).stat().st_size == 0
        assert storage_usage(alice) == 0

    def test_service_faults_are_tried_five_times_and_again_when_asked(
        self, server: FileServer, alice: User
    ) -> None:
        server.offer = Offer(status=503)
        import_create(owner=alice, url=f"{server.url}/x")
        states = [work().status, *(again().status for _ in range(4))]
        assert states == ["waiting"] * 4 + ["failed"]
        row = UrlImport.objects.get()
        assert (row.error_code, row.error_message) == (
            "import_failed", "The file could not be fetched. It answered 503.",
        )  # fmt: skip

        server.offer = Offer(CONTENT)
        import_retry(row=row)
        row = work()
        assert (row.status, row.attempt) == ("done", 1)

    def test_a_server_that_says_nothing_and_one_that_is_not_there(
        self, server: FileServer, alice: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fetching, "IDLE_SECONDS", 0.2)
        server.offer.pause = 1
        import_create(owner=alice, url=f"{server.url}/x")
        row = work()
        assert row.error_message.endswith("Nothing came for 0.2 s.")
        assert row.upload.offset > 0

    def test_one_that_dribbles(
        self, server: FileServer, alice: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fetching, "SLOW_AFTER", 0.2)
        monkeypatch.setattr(fetching, "SLOWEST", 10**9)
        server.offer.pause = 0.05
        import_create(owner=alice, url=f"{server.url}/x")
        assert "bytes a second" in work().error_message

    def test_an_address_inside_is_not_called(self, server: FileServer, alice: User, settings: Any) -> None:
        settings.OUTBOUND_TRUSTED = []
        settings.OUTBOUND_PORTS = [443, server.port]
        for url in (f"https://127.0.0.1:{server.port}/x", "http://example.org/x", "ftp://example.org/x"):
            with pytest.raises(Exception, match="Nothing can be imported") as refused:
                import_create(owner=alice, url=url)
            assert refused.value.code == "import_refused"  # type: ignore[attr-defined]  # a Problem
        assert not Upload.objects.exists()
        # A name that leads inside is found out when it is called.
        import_create(owner=alice, url=f"https://localtest.example.org:{server.port}/x")
        settings.OUTBOUND_PORTS = [443]
        assert work().error_code == "import_refused"
        assert server.asked == []


class TestQueue:
    def test_one_owner_leaves_places_to_others(self, server: FileServer, alice: User, bob: User) -> None:
        for _ in range(3):
            import_create(owner=alice, url=f"{server.url}/x")
        import_create(owner=bob, url=f"{server.url}/x")
        rows = [import_claim() for _ in range(4)]
        assert [row and row.owner for row in rows] == [alice, alice, bob, None]

    def test_nobody_may_queue_without_end(
        self, server: FileServer, alice: User, alices_client: APIClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(url_imports, "OPEN_MOST", 1)
        import_create(owner=alice, url=f"{server.url}/x")
        refused = alices_client.post("/api/v1/videos/import", {"url": f"{server.url}/y"}, format="json")
        assert (refused.status_code, refused.json()["code"]) == (409, "too_many_imports")

    def test_places_run_side_by_side_and_stop_in_order(
        self, server: FileServer, alice: User, bob: User, fetchers: Callable[[], Fetchers]
    ) -> None:
        for owner in (alice, alice, alice, bob, bob):
            import_create(owner=owner, url=f"{server.url}/x")
        fetchers().start()
        wait_until(lambda: UrlImport.objects.filter(status="done").count() == 5)
        assert {storage.source_path(video.pk).read_bytes() for video in Video.objects.all()} == {CONTENT}


class TestApi:
    def test_from_the_request_to_the_video(
        self, server: FileServer, alices_client: APIClient, bobs_client: APIClient, anonymous: APIClient
    ) -> None:
        body = {"url": f"{server.url}/film.mp4", "name": "Film"}
        assert anonymous.post("/api/v1/videos/import", body, format="json").status_code == 401
        asked = alices_client.post("/api/v1/videos/import", body, format="json")
        assert asked.status_code == 202
        shown = asked.json()
        assert (shown["status"], shown["offset"], shown["length"], shown["video"]) == (
            "waiting",
            0,
            None,
            None,
        )
        place = asked.headers["Location"]

        for method in ("get", "delete"):
            assert getattr(bobs_client, method)(place).status_code == 404
        assert bobs_client.post(f"{place}/retry").status_code == 404
        assert alices_client.post(f"{place}/retry").json()["code"] == "conflict"
        work()
        done = alices_client.get(place).json()
        assert (done["status"], done["error"]) == ("done", None)
        assert alices_client.get(f"/api/v1/videos/{done['video']}").json()["name"] == "Film"
        listed = alices_client.get("/api/v1/imports").json()
        assert [row["id"] for row in listed["data"]] == [done["id"]]
        assert bobs_client.get("/api/v1/imports").json()["data"] == []

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            ({}, 400, "invalid_request"),
            ({"url": ""}, 400, "invalid_request"),
            ({"url": "x" * 3000}, 400, "invalid_request"),
            ({"url": "javascript:alert(1)"}, 422, "import_refused"),
            ({"url": "https://169.254.169.254/latest"}, 422, "import_refused"),
        ],
    )
    def test_nonsense(self, alices_client: APIClient, body: dict[str, str], status: int, code: str) -> None:
        answer = alices_client.post("/api/v1/videos/import", body, format="json")
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert not Upload.objects.exists()

    def test_a_full_storage_is_told_at_once(self, alices_client: APIClient, alice: User) -> None:
        User.objects.filter(pk=alice.pk).update(storage_bytes_override=0)
        answer = alices_client.post(
            "/api/v1/videos/import", {"url": "https://example.org/x.mp4"}, format="json"
        )
        assert (answer.status_code, answer.json()["code"]) == (413, "quota_exceeded")


class TestUnfinishedList:
    def test_is_paged_and_without_imports(
        self, uploads_url: str, server: FileServer, alice: User, bob: User
    ) -> None:
        alices, bobs = uploader(uploads_url, alice), uploader(uploads_url, bob)
        made = [alices.created(5).rpartition("/")[2] for _ in range(3)]
        import_create(owner=alice, url=f"{server.url}/x")

        first = alices.call("GET", "/api/v1/uploads?limit=2").json()
        assert [row["id"] for row in first["data"]] == [made[2], made[1]]
        rest = alices.call("GET", first["next"].removeprefix(uploads_url)).json()
        assert ([row["id"] for row in rest["data"]], rest["next"]) == ([made[0]], None)
        assert bobs.call("GET", "/api/v1/uploads").json()["data"] == []
        for wrong in ("limit=0", "limit=x", "limit=201", "before=x"):
            assert alices.call("GET", f"/api/v1/uploads?{wrong}").json()["code"] == "invalid_request"


@pytest.fixture
def fetchers() -> Iterator[Callable[[], Fetchers]]:
    made: list[Fetchers] = []

    def make() -> Fetchers:
        made.append(Fetchers(on_complete=video_of))
        return made[-1]

    yield make
    for one in made:
        one.stop(seconds=10)


def work_lost() -> None:
    row = import_claim()
    assert row is not None
    fetch(row, on_complete=video_of, stopping=threading.Event())


def _closing(call: Callable[[], None]) -> None:
    try:
        call()
    finally:
        connection.close()


def wait_until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
