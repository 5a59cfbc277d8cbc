"""`bin/up --check`: what a first user does, through the public API alone, against a running site.

Signs up, uploads a clip made here, waits until it is ready, asks for a smaller one, waits for the job,
downloads the result whole and in part, and looks at it. Removes the account at the end.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.binaries import ffmpeg_path, ffprobe_path

SOURCE_SIZE = (640, 360)
WANTED_WIDTH = 320
CLIP_SECONDS = 2
READY_SECONDS = 120.0
JOB_SECONDS = 180.0
HTTP_PARTIAL = 206


class CheckFailed(Exception):
    """Something was not as the contract says."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the site."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON. Raises CheckFailed."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise CheckFailed(f"expected JSON, got {self.body[:200]!r}") from None


@dataclass(slots=True)
class Client:
    """Speaks to one site as one user."""

    base: str
    host: str
    token: str = ""

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request; an error status is an answer too. Raises CheckFailed when nobody answers."""
        sent = {"Host": self.host, "Accept": "application/json", **(headers or {})}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            data = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        url = path if path.startswith("http") else f"{self.base}{path}"
        request = urllib.request.Request(url, data=data, method=method, headers=sent)  # noqa: S310 - our own site
        # No proxy of the machine's environment stands between this and the site.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return Answer(answer.status, dict(answer.headers.items()), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers.items()), error.read())
        except OSError as error:
            raise CheckFailed(f"{method} {path}: {error}") from error

    def expect(
        self, status: int | tuple[int, ...], method: str, path: str, body: object = None, **more: Any
    ) -> Answer:
        """The answer, if it has the wanted status. Raises CheckFailed."""
        answer = self.call(method, path, body, **more)
        wanted = status if isinstance(status, tuple) else (status,)
        if answer.status not in wanted:
            shown = answer.body[:500].decode(errors="replace")
            raise CheckFailed(f"{method} {path}: expected {wanted[0]}, got {answer.status}: {shown}")
        return answer


def main(base: str, host: str) -> int:
    """Run the check against the site at `base`; `host` is the name it answers to."""
    client = Client(base, host)
    password = secrets.token_urlsafe(12)
    try:
        with tempfile.TemporaryDirectory(prefix="videoproc-check-") as folder:
            _sign_up(client, password)
            try:
                video = _upload(client, _make_clip(Path(folder) / "clip.mp4"))
                output = _resize(client, video)
                _download(client, output, Path(folder) / "result.mp4")
            finally:
                _leave(client, password)
    except CheckFailed as failure:
        say(f"failed: {failure}")
        return 1
    return 0


def _sign_up(client: Client, password: str) -> None:
    name = f"check_{secrets.token_hex(6)}"
    account = {"username": name, "email": f"{name}@example.org", "password": password}
    client.expect(201, "POST", "/api/v1/auth/register", account)
    login = client.expect(200, "POST", "/api/v1/auth/login", {"username": name, "password": password}).json()
    client.token = str(login["token"])
    say(f"signed up and signed in as {name}")


def _make_clip(file: Path) -> bytes:
    width, height = SOURCE_SIZE
    argv = [str(ffmpeg_path()), "-nostdin", "-v", "error", "-y"]
    argv += ["-f", "lavfi", "-i", f"testsrc2=size={width}x{height}:rate=25:duration={CLIP_SECONDS}"]
    argv += ["-f", "lavfi", "-i", f"sine=frequency=440:duration={CLIP_SECONDS}"]
    argv += ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-c:a", "aac", str(file)]
    made = subprocess.run(argv, check=False, capture_output=True, text=True)  # noqa: S603 - our own list
    if made.returncode != 0:
        raise CheckFailed(f"ffmpeg cannot make a clip: {made.stderr.strip()}")
    return file.read_bytes()


def _upload(client: Client, clip: bytes) -> dict[str, Any]:
    began = time.monotonic()
    headers = {"Content-Type": "video/mp4"}
    path = "/api/v1/videos?filename=clip.mp4"
    video: dict[str, Any] = client.expect(201, "POST", path, data=clip, headers=headers).json()
    while video["status"] == "processing":
        if time.monotonic() - began > READY_SECONDS:
            raise CheckFailed(f"the video is still being looked at after {READY_SECONDS:.0f} s")
        time.sleep(0.2)
        video = client.expect(200, "GET", f"/api/v1/videos/{video['id']}").json()
    if video["status"] != "ready":
        raise CheckFailed(f"the video was refused: {video}")
    say(f"uploaded {len(clip)} bytes as {video['id']}, ready after {time.monotonic() - began:.1f} s")
    return video


def _resize(client: Client, video: Mapping[str, Any]) -> dict[str, Any]:
    began = time.monotonic()
    request = {"type": "resize", "parameters": {"width": WANTED_WIDTH}}
    operation = client.expect((202, 200), "POST", f"/api/v1/videos/{video['id']}/operations", request).json()
    job = operation["job"]["id"] if isinstance(operation["job"], dict) else operation["job"]
    while True:
        state = client.expect(200, "GET", f"/api/v1/jobs/{job}?wait=30").json()
        if state["status"] in {"completed", "failed", "cancelled"}:
            break
        if time.monotonic() - began > JOB_SECONDS:
            raise CheckFailed(f"the job is still {state['status']} after {JOB_SECONDS:.0f} s")
    if state["status"] != "completed":
        raise CheckFailed(f"the job {state['status']}: {state['error']}")
    operation = client.expect(200, "GET", f"/api/v1/operations/{operation['id']}").json()
    if not operation["outputs"]:
        raise CheckFailed("the operation has no output")
    say(f"resized to a width of {WANTED_WIDTH} by {job} in {time.monotonic() - began:.1f} s")
    output: dict[str, Any] = operation["outputs"][0]
    return output


def _download(client: Client, output: Mapping[str, Any], file: Path) -> None:
    path = f"/api/v1/outputs/{output['id']}/file"
    whole = client.expect(200, "GET", path).body
    part = client.expect(HTTP_PARTIAL, "GET", path, headers={"Range": "bytes=100-299"})
    if part.body != whole[100:300] or len(whole) != output["size"]:
        raise CheckFailed("a part of the download is not what the whole has at that place")
    file.write_bytes(whole)
    argv = [str(ffprobe_path()), "-v", "error", "-select_streams", "v:0"]
    argv += ["-show_entries", "stream=width,height", "-of", "csv=p=0", str(file)]
    probe = subprocess.run(argv, check=False, capture_output=True, text=True)  # noqa: S603 - our own list
    size = probe.stdout.strip()
    wanted = f"{WANTED_WIDTH},{SOURCE_SIZE[1] * WANTED_WIDTH // SOURCE_SIZE[0]}"
    if size != wanted:
        raise CheckFailed(f"the result is {size or probe.stderr.strip()}, expected {wanted}")
    say(f"downloaded {len(whole)} bytes, whole and by range: {size.replace(',', 'x')}")


def _leave(client: Client, password: str) -> None:
    """Delete the account; where that fails the check has not."""
    if client.token:
        client.call("DELETE", "/api/v1/me", {"password": password})


def say(text: str) -> None:
    """One line of the report."""
    sys.stdout.write(f"  check: {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
