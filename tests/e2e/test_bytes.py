"""Large files in and out of the whole site, with flat memory."""

from __future__ import annotations

import hashlib
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from engine.samples import sample_clip
from tests.e2e.client import Client
from tests.e2e.site import Site

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

MIB = 1024**2
GIB = 1024**3


@pytest.fixture(scope="module")
def large_clip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A playable mp4 of a little over 2 GB: a short clip with a long `free` box behind it."""
    path = tmp_path_factory.mktemp("large") / "large.mp4"
    sample_clip(path, seconds=2)
    block = hashlib.shake_128(b"large clip").digest(MIB)
    with path.open("ab") as file:
        file.write(struct.pack(">I4sQ", 1, b"free", 16 + 2 * GIB))
        for _ in range(2 * GIB // MIB):
            file.write(block)
    yield path
    path.unlink()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _resident(site: Site) -> dict[int, int]:
    return {pid: psutil.Process(pid).memory_info().rss for pid in site.pids("")}


def _peak(pid: int) -> int:
    """The most this process ever had resident, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def test_two_gigabytes_arrive_whole_with_flat_memory(site: Site, large_clip: Path) -> None:
    client = Client(site.url)
    before = _resident(site)
    assert len(before) >= 8, "the site's processes were not found"

    video = client.video_settled(client.upload(large_clip), seconds=120)

    assert video["status"] == "ready", video
    assert video["sha256"] == _sha256(large_clip)
    growth = {pid: _peak(pid) - resident for pid, resident in before.items() if psutil.pid_exists(pid)}
    worst = max(growth, key=lambda pid: growth[pid])
    assert growth[worst] < 200 * MIB, f"{psutil.Process(worst).cmdline()} grew by {growth[worst] // MIB} MiB"

    digest = hashlib.sha256()
    with client.request("GET", client.absolute(video["file_url"]), stream=True) as response:
        assert response.headers["Accept-Ranges"] == "bytes"
        for piece in response.iter_content(4 * MIB):
            digest.update(piece)
    assert digest.hexdigest() == video["sha256"]

    start = GIB + 12345
    part = client.request(
        "GET", client.absolute(video["file_url"]), headers={"Range": f"bytes={start}-{start + 99}"}
    )
    assert part.status_code == 206
    assert part.headers["Content-Range"] == f"bytes {start}-{start + 99}/{large_clip.stat().st_size}"
    with large_clip.open("rb") as file:
        file.seek(start)
        assert part.content == file.read(100)


def test_an_upload_cut_in_the_middle_goes_on_from_the_last_byte(site: Site, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    sample_clip(clip, seconds=3)
    data = clip.read_bytes()
    client = Client(site.url)
    tus = {"Tus-Resumable": "1.0.0"}
    created = client.request("POST", "uploads", headers={**tus, "Upload-Length": str(len(data))})
    assert created.status_code == 201, created.text
    location = client.absolute(created.headers["Location"])

    sent = len(data) * 2 // 3
    parts = urlsplit(location)
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as line:
        head = (
            f"PATCH {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {client.token}\r\n"
            f"Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\n"
            f"Content-Length: {len(data)}\r\n\r\n"
        )
        line.sendall(head.encode() + data[:sent])
        # Half-closing tells us when the server has read all of it: then it is we who vanish.
        line.shutdown(socket.SHUT_WR)
        line.settimeout(10)
        line.recv(1)

    stands = _offset_when_still(client, location)
    assert stands == sent, "bytes that arrived before the cut were dropped"
    last = client.request(
        "PATCH",
        location,
        headers={**tus, "Upload-Offset": str(stands), "Content-Type": "application/offset+octet-stream"},
        data=data[stands:],
    )
    assert last.status_code == 204, last.text
    video = client.video_settled({"id": last.headers["Videoproc-Video"]})
    assert video["status"] == "ready"
    assert video["sha256"] == hashlib.sha256(data).hexdigest()


def _offset_when_still(client: Client, location: str) -> int:
    """The offset that HEAD tells once the cut connection has let go of the upload."""
    for _ in range(50):
        response = client.request("HEAD", location, headers={"Tus-Resumable": "1.0.0"})
        if response.status_code == 200 and response.headers["Upload-Offset"] != "0":
            return int(response.headers["Upload-Offset"])
    raise AssertionError(f"no offset: {response.status_code} {dict(response.headers)}")
