"""A whole file in one request, as people type it with curl."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from django.conf import settings
from django.middleware.csrf import get_token
from django.test import Client as Browser
from django.test import RequestFactory

from tests.conftest import PASSWORD
from tests.videos.conftest import Client
from users.models import User
from videos import storage
from videos.models import Upload, Video

VIDEOS = "/api/v1/videos"
FORM = "multipart/form-data"


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "My clip.mp4"
    path.write_bytes(os.urandom(3_000_000))
    return path


def curl(client: Client, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Status and JSON of a request to POST /api/v1/videos."""
    command = ["curl", "-sS", "--max-time", "30", "-w", "\n%{http_code}"]
    command += ["-H", f"Authorization: {client.headers['Authorization']}", *arguments]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    body, _, status = output.rpartition("\n")
    return int(status), json.loads(body)


class TestCurl:
    def test_a_form(self, alice_uploads: Client, clip: Path, media: Path) -> None:
        status, video = curl(alice_uploads, "-F", f"file=@{clip}", alice_uploads.url + VIDEOS)

        assert (status, video["status"], video["size"]) == (201, "processing", 3_000_000)
        assert (video["name"], video["original_filename"]) == ("My clip", "My clip.mp4")
        assert video["file_url"] == f"{alice_uploads.url}{VIDEOS}/{video['id']}/file"
        assert storage.source_path(video["id"]).read_bytes() == clip.read_bytes()
        assert not list((media / "uploads").iterdir())

    def test_a_form_with_a_title(self, alice_uploads: Client, clip: Path) -> None:
        arguments = ("-F", "title=Größer", "-F", f"file=@{clip};filename=x.mkv", "-F", "other=ignored")
        status, video = curl(alice_uploads, *arguments, alice_uploads.url + VIDEOS)

        assert (status, video["name"], video["original_filename"]) == (201, "Größer", "x.mkv")

    @pytest.mark.parametrize("how", ["--data-binary", "--upload-file"])
    def test_a_raw_body(self, alice_uploads: Client, clip: Path, how: str) -> None:
        source = f"@{clip}" if how == "--data-binary" else str(clip)
        url = f"{alice_uploads.url}{VIDEOS}?filename=holi%20day.mov"
        status, video = curl(alice_uploads, "-X", "POST", how, source, url)

        assert (status, video["name"], video["original_filename"]) == (201, "holi day", "holi day.mov")
        assert storage.source_path(video["id"]).read_bytes() == clip.read_bytes()

    def test_a_pipe_of_unknown_length(self, alice_uploads: Client, clip: Path) -> None:
        url = f"{alice_uploads.url}{VIDEOS}?title=Piped"
        chunked = ("-X", "POST", "-H", "Transfer-Encoding: chunked", "--data-binary", f"@{clip}", url)
        status, video = curl(alice_uploads, *chunked)

        assert (status, video["name"], video["size"]) == (201, "Piped", 3_000_000)


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "status", "code"),
        [
            ({"data": b""}, 400, "upload_empty"),
            ({"data": iter([])}, 400, "upload_empty"),
            ({"json": {"url": "https://example.org"}}, 415, "unsupported_media_type"),
            ({"files": {"video": b"x"}}, 400, "invalid_request"),
            ({"files": {"file": b""}}, 400, "upload_empty"),
            ({"data": b"x", "headers": {"Content-Type": FORM}}, 400, "malformed_body"),
            ({"data": b"x", "headers": {"Content-Type": f"{FORM}; boundary=a"}}, 400, "malformed_body"),
            ({"data": b"x", "headers": {"Host": "elsewhere.example"}}, 400, "malformed_body"),
        ],
    )  # fmt: skip
    def test_leave_nothing_behind(
        self, alice_uploads: Client, media: Path, arguments: dict[str, Any], status: int, code: str
    ) -> None:
        response = alice_uploads.call("POST", VIDEOS, **arguments)

        assert (response.status_code, response.json()["code"]) == (status, code)
        assert not Upload.objects.exists()
        assert not Video.objects.exists()
        assert not [path for path in media.rglob("*") if path.is_file()]

    @pytest.mark.parametrize("form", [True, False])
    def test_too_large_for_the_tier(
        self, alice_uploads: Client, alice: User, media: Path, form: bool
    ) -> None:
        alice.max_file_bytes_override = 1_000_000
        alice.save()
        body: dict[str, Any] = {"files": {"file": bytes(1_500_000)}} if form else {"data": bytes(1_500_000)}
        response = alice_uploads.call("POST", VIDEOS, **body)

        assert (response.status_code, response.json()["code"]) == (413, "upload_too_large")
        assert not Upload.objects.exists()

    def test_over_the_quota_in_a_form(self, alice_uploads: Client, alice: User) -> None:
        alice.storage_bytes_override = 1_000_000
        alice.save()
        response = alice_uploads.call("POST", VIDEOS, files={"file": bytes(1_010_000)})

        assert (response.status_code, response.json()["code"]) == (413, "quota_exceeded")
        assert not Upload.objects.exists()

    def test_a_cut_leaves_nothing_behind(self, alice_uploads: Client, media: Path) -> None:
        place = urlsplit(alice_uploads.url)
        with socket.create_connection((place.hostname, place.port)) as connection:
            head = f"POST {VIDEOS} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9000000\r\n"
            head += f"Authorization: {alice_uploads.headers['Authorization']}\r\n\r\n"
            connection.sendall(head.encode() + bytes(2_000_000))
            time.sleep(0.3)
            assert Upload.objects.count() == 1
        deadline = time.monotonic() + 5
        while Upload.objects.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not Upload.objects.exists()
        assert not list((media / "uploads").iterdir())


class TestBrowser:
    """The cookie works as on every other endpoint, with the same protection."""

    @pytest.fixture
    def browser(self, alice: User) -> Browser:
        browser = Browser()
        browser.login(username="alice", password=PASSWORD)
        page = RequestFactory().get("/")
        get_token(page)  # what any page with a form does
        browser.cookies[settings.CSRF_COOKIE_NAME] = page.META["CSRF_COOKIE"]
        return browser

    def post(self, browser: Browser, url: str, **headers: str) -> requests.Response:
        cookies = {name: morsel.value for name, morsel in browser.cookies.items()}
        return requests.post(url + VIDEOS, data=b"film", cookies=cookies, headers=headers, timeout=10)

    def test_with_the_token_of_the_form(self, uploads_url: str, browser: Browser, alice: User) -> None:
        token = browser.cookies[settings.CSRF_COOKIE_NAME].value
        response = self.post(browser, uploads_url, **{"X-CSRFToken": token, "Origin": uploads_url})

        assert response.status_code == 201
        assert Video.objects.get().owner == alice

    def test_not_without_it_nor_from_elsewhere(self, uploads_url: str, browser: Browser) -> None:
        token = browser.cookies[settings.CSRF_COOKIE_NAME].value
        for headers in (
            {},
            {"X-CSRFToken": "x" * 32},
            {"X-CSRFToken": token, "Origin": "https://evil.example"},
        ):
            response = self.post(browser, uploads_url, **headers)
            assert (response.status_code, response.json()["code"]) == (403, "csrf_failed")
        assert not Video.objects.exists()

    def test_not_after_signing_out(self, uploads_url: str, browser: Browser) -> None:
        token = browser.cookies[settings.CSRF_COOKIE_NAME].value
        session = browser.cookies[settings.SESSION_COOKIE_NAME].value
        browser.logout()
        browser.cookies[settings.SESSION_COOKIE_NAME] = session
        browser.cookies[settings.CSRF_COOKIE_NAME] = token

        assert self.post(browser, uploads_url, **{"X-CSRFToken": token}).status_code == 401
