"""Many uploads at once over bad lines: a thousand that dribble, cuts at every place, a disk that fills."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import http.client
import os
import resource
import socket
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from django.db import connection

from tests.front_door import FrontDoor, front_door
from tests.videos.conftest import BYTES, Client, database_url, uploader, uploads_running
from users.models import User
from videos import storage
from videos.models import Upload

MANY = 1000
LENGTH = 100_000
MIB = 1024**2


@pytest.fixture
def door(transactional_db: None, media: Path) -> Iterator[FrontDoor]:
    """The edge and the uploads process; sockets need a short folder."""
    with tempfile.TemporaryDirectory(prefix="vp-") as folder:
        yield from _opened(Path(folder), media)


def _opened(folder: Path, media: Path) -> Iterator[FrontDoor]:
    with front_door(
        folder,
        database_url=database_url(),
        redis_url=os.environ["REDIS_URL"],
        media=media,
        names=("uploads", "caddy"),
    ) as door:
        yield door


class Dribble:
    """One upload that sends a few bytes now and then, as long as it is let."""

    def __init__(self, door: FrontDoor, token: str, number: int) -> None:
        self._place = urlsplit(door.url)
        self._token = token
        self._name = base64.b64encode(str(number).encode()).decode()
        self.sent = 0

    async def run(self, stop: asyncio.Event) -> None:
        _, writer = await asyncio.open_connection(self._place.hostname, self._place.port)
        head = f"POST /api/v1/uploads HTTP/1.1\r\nHost: {self._place.netloc}\r\nTus-Resumable: 1.0.0\r\n"
        head += f"Authorization: {self._token}\r\nUpload-Length: {LENGTH}\r\nContent-Length: {LENGTH}\r\n"
        head += (
            f"Content-Type: application/offset+octet-stream\r\nUpload-Metadata: filename {self._name}\r\n\r\n"
        )
        writer.write(head.encode())
        while not stop.is_set():
            writer.write(b"x" * 100)
            self.sent += 100
            await writer.drain()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await stop.wait()
        writer.close()
        await writer.wait_closed()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_thousand_at_once_take_no_more_memory_the_longer_they_last(
    door: FrontDoor, alice: User, record_property: Callable[[str, object], None]
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4 * MANY)), hard))
    User.objects.filter(pk=alice.pk).update(storage_bytes_override=2 * MANY * LENGTH)
    token = uploader("", alice).headers["Authorization"]
    # Also the memory that the first requests take once and for all.
    assert uploader(door.url, alice).create(10).status_code == 201
    before = door.resident()
    uploads = [Dribble(door, token, number) for number in range(MANY)]
    seen: list[int] = []

    async def all_at_once() -> None:
        stop = asyncio.Event()
        running = []
        for number, upload in enumerate(uploads):
            running.append(asyncio.create_task(upload.run(stop)))
            if number % 20 == 0:
                await asyncio.sleep(0.05)
        # Each has its connection and its file open.
        await _until(lambda: door.processes["uploads"].num_fds() > 2 * MANY)
        for _ in range(8):
            seen.append(door.resident())
            await asyncio.sleep(1)
        stop.set()
        await asyncio.gather(*running)

    asyncio.run(all_at_once())
    wanted = {str(number): upload.sent for number, upload in enumerate(uploads)}
    deadline = time.monotonic() + 120
    while wanted != (stand := dict(Upload.objects.exclude(filename="").values_list("filename", "offset"))):
        assert time.monotonic() < deadline, [pair for pair in stand.items() if wanted[pair[0]] != pair[1]]
        time.sleep(0.2)
    each, growth = (seen[0] - before) / MANY / 1024, (max(seen) - seen[0]) / MIB
    record_property("kibibytes_each", round(each))
    assert each < 256, f"{each:.0f} KiB for each connection, in both processes"
    assert growth < 16, f"{growth:.1f} MiB more while they dribbled"
    # And the door is open to others.
    assert requests.options(f"{door.url}/api/v1/uploads", timeout=20).status_code == 204


async def _until(true: Callable[[], bool]) -> None:
    def look() -> bool:
        try:
            return true()
        finally:
            connection.close()

    deadline = time.monotonic() + 300
    while not await asyncio.to_thread(look):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)


class TestCuts:
    """Wherever the line breaks, the offset is what arrived, and the upload goes on from there."""

    CONTENT = os.urandom(300_000)

    def head(self, client: Client, path: str, offset: int) -> bytes:
        lines = [
            f"PATCH {path} HTTP/1.1", "Host: 127.0.0.1", "Tus-Resumable: 1.0.0", f"Upload-Offset: {offset}",
            "Content-Type: application/offset+octet-stream", f"Content-Length: {len(self.CONTENT) - offset}",
            f"Authorization: {client.headers['Authorization']}",
        ]  # fmt: skip
        return "\r\n".join([*lines, "", ""]).encode()

    @pytest.mark.parametrize("how", ["closed", "reset"])
    @pytest.mark.parametrize(
        ("sent", "counted"),
        [
            ("half the request line", 0),
            ("half the headers", 0),
            ("all headers but their end", 0),
            ("headers", 0),
            ("first byte", 1),
            ("middle", 150_000),
            ("all but the last byte", 299_999),
            ("everything", 300_000),
        ],
    )
    def test_at_every_byte_class(self, alice_uploads: Client, sent: str, counted: int, how: str) -> None:
        path = alice_uploads.created(len(self.CONTENT))
        head = self.head(alice_uploads, path, 0)
        cuts = {
            "half the request line": head[:20],
            "half the headers": head[: len(head) // 2],
            "all headers but their end": head[:-2],
        }
        place = urlsplit(alice_uploads.url)
        with socket.create_connection((place.hostname, place.port)) as line:
            line.sendall(cuts.get(sent, head + self.CONTENT[:counted]))
            # A reset throws away what the other side has not read yet.
            _wait_until_read(line)
            if how == "reset":
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

        stands = alice_uploads.offset_when_still(path, at_least=counted)
        assert stands == counted
        last = alice_uploads.patch(path, stands, self.CONTENT[stands:])
        assert last.status_code == 204
        source = storage.source_path(last.headers["Videoproc-Video"])
        assert source.read_bytes() == self.CONTENT

    def test_between_two_requests_of_one_connection(self, alice_uploads: Client) -> None:
        path = alice_uploads.created(len(self.CONTENT))
        with requests.Session() as line:
            headers = {**alice_uploads.headers, **BYTES, "Upload-Offset": "0"}
            url = alice_uploads.url + path
            assert line.patch(url, self.CONTENT[:1000], headers=headers, timeout=20).status_code == 204
        assert alice_uploads.offset(path) == 1000
        assert alice_uploads.patch(path, 1000, self.CONTENT[1000:]).status_code == 204


def _wait_until_read(line: socket.socket) -> None:
    """Until the kernel of the other side has it all, and some time for the server to take it from there."""
    deadline = time.monotonic() + 10
    unsent = bytearray(4)
    while int.from_bytes(_queued(line, unsent), sys.byteorder) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.3)


def _queued(line: socket.socket, buffer: bytearray) -> bytes:
    fcntl.ioctl(line, termios.TIOCOUTQ, buffer)
    return bytes(buffer)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, address: Path) -> None:
        super().__init__("127.0.0.1", timeout=30)
        self._address = str(address)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(self._address)


def test_a_disk_that_fills_up_in_the_middle(
    transactional_db: None, media: Path, tmp_path: Path, alice: User
) -> None:
    """A real one: the process sees a file system of 4 MiB where its media are."""
    size = 4 * MIB
    mounted = f'mount -t tmpfs -o size={size} none {media} && exec "$@"'
    around = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mounted, "sh"]
    address = tmp_path / "full.sock"
    token = uploader("", alice).headers["Authorization"]
    with uploads_running(media, address, around=around, VIDEOPROC_DISK_RESERVE_MB="0"):

        def ask(method: str, path: str, body: bytes = b"", **headers: str) -> http.client.HTTPResponse:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            line = _UnixConnection(address)
            # A refusal comes before the body has been read, and then the line is closed.
            with contextlib.suppress(BrokenPipeError):
                line.request(
                    method, path, body, {**BYTES, "Authorization": token, "Connection": "close", **named}
                )
            answer = line.getresponse()
            answer.read()
            line.close()
            return answer

        # Of a length that is not known no room can be held.
        place = ask("POST", "/api/v1/uploads", Upload_Defer_Length="1", Content_Type="").headers["Location"]
        small = ask("POST", "/api/v1/uploads", b"x" * 1_500_000, Upload_Length="2000000")
        assert small.status == 201
        content = os.urandom(3_000_000)

        refused = ask("PATCH", place, content, Upload_Offset="0")
        assert refused.status == 507
        stands = int(refused.headers["Upload-Offset"])
        assert 2_000_000 < stands < size - 1_500_000
        assert int(ask("HEAD", place).headers["Upload-Offset"]) == stands
        assert ask("PATCH", place, content[stands:], Upload_Offset=str(stands)).status == 507

        assert ask("DELETE", small.headers["Location"]).status == 204
        last = ask("PATCH", place, content[stands:], Upload_Offset=str(stands))
        assert (last.status, last.headers["Upload-Offset"]) == (204, "3000000")
