"""A program that uses the public API, as a customer would write it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import requests

Json = dict[str, Any]


class Client:
    """One account of its own on the site."""

    def __init__(self, url: str) -> None:
        self.url = f"{url}/api/v1"
        self.http = requests.Session()
        # An environment's proxy has no business between a test and 127.0.0.1.
        self.http.trust_env = False
        self.name = f"user{secrets.token_hex(4)}"
        self.password = secrets.token_urlsafe(12)
        self.call(
            "POST",
            "auth/register",
            201,
            json={"username": self.name, "email": f"{self.name}@example.org", "password": self.password},
        )
        login = self.call("POST", "auth/login", 200, json={"username": self.name, "password": self.password})
        self.token: str = login["token"]
        self.http.headers["Authorization"] = f"Bearer {self.token}"

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        options.setdefault("timeout", 300)
        target = path if path.startswith("http") else f"{self.url}/{path}"
        return self.http.request(method, target, **options)

    def call(self, method: str, path: str, status: int, **options: Any) -> Json:
        """The JSON of a reply that must have this status."""
        response = self.request(method, path, **options)
        assert response.status_code == status, (
            f"{method} {path}: {response.status_code} {response.text[:2000]}"
        )
        body: Json = response.json() if response.content else {}
        return body

    def absolute(self, path: str) -> str:
        """A URL of the API's replies, whether it came with the host or without."""
        return path if path.startswith("http") else self.url.removesuffix("/api/v1") + path

    def upload(self, source: Path | bytes | Iterable[bytes], filename: str = "clip.mp4") -> Json:
        """One-shot upload of a file, of bytes, or of pieces; the answer is the video as it is then."""
        if isinstance(source, Path):
            with source.open("rb") as body:
                return self.call("POST", "videos", 201, params={"filename": filename}, data=body)
        return self.call("POST", "videos", 201, params={"filename": filename}, data=source)

    def video_settled(self, video: Json, seconds: float = 60) -> Json:
        """The video once its intake has ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            video = self.call("GET", f"videos/{video['id']}", 200)
            if video["status"] != "processing":
                return video
            time.sleep(0.2)
        raise AssertionError(f"still processing after {seconds} s: {video}")

    def ready_video(self, source: Path) -> Json:
        video = self.video_settled(self.upload(source))
        assert video["status"] == "ready", video
        return video

    def operation(self, video: Json, kind: str, status: int = 202, **parameters: Any) -> Json:
        return self.call(
            "POST", f"videos/{video['id']}/operations", status, json={"type": kind, "parameters": parameters}
        )

    def job_ended(self, job_id: str, seconds: float = 120) -> Json:
        """The job once it is completed, failed or cancelled."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            job = self.call("GET", f"jobs/{job_id}", 200, params={"wait": 10})
            if job["status"] in {"completed", "failed", "cancelled"}:
                return job
        raise AssertionError(f"not ended after {seconds} s: {job}")

    def download(self, path: str, **options: Any) -> bytes:
        response = self.request("GET", self.absolute(path), **options)
        assert response.status_code in {200, 206}, response.text[:500]
        return response.content
