"""`bin/bench bytes`: bytes in and out through the front door, against Caddy alone, in the same run.

Ours is the edge with the uploads and the web process as `bin/up` starts them: `curl -T` to `POST
/api/v1/videos`, and a GET of the original. Caddy alone cannot write files, so the baseline of uploads is the
same Caddy in front of the least program that can (`tests/bench/bare_writer.py`), writing to the same disk and
fsyncing before it answers; with the same settings for a proxy as ours. The baseline of downloads is Caddy's
plain file server with a file of the same size. Runs alternate; figures are medians of MB/s.

Memory is the sum over our three processes, sampled while all of it moves, above what it was after one small
upload and download. Servers of the database are throw-away ones and not among them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bench.report import Line, report, say
from tests.front_door import ROOT, FrontDoor, free_port, front_door
from videoproc.embedded import caddy
from videoproc.embedded.servers import test_servers

MB, GIB = 10**6, 1024**3
UPLOAD, DOWNLOAD, GROWTH_MB = 0.60, 0.85, 100.0
SECRET = "for-benchmarks-only-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEF"
ACCOUNT = """
import django; django.setup()
from users.models import User
from users.services import token_create
user = User.objects.create_user("bench", "bench@example.org", None,
    storage_bytes_override=2**50, max_file_bytes_override=2**50)
print(token_create(user=user, name="bench")[1])
"""
BASELINE = """
{{
	admin off
	persist_config off
	auto_https off
	log {{
		output discard
	}}
}}
http://:{port} {{
	bind 127.0.0.1
	handle_path /files/* {{
		root * "{files}"
		file_server
	}}
	handle {{
		reverse_proxy unix/{socket} {{
			flush_interval -1
		}}
	}}
}}
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/bench bytes", description=__doc__.partition("\n")[0])
    parser.add_argument("--file-mb", type=int, default=512, help="size of the file (512)")
    parser.add_argument("--gigabytes", type=float, default=4, help="to move through the front door (4)")
    parser.add_argument("--folder", type=Path, default=None, help="where to write (a temporary folder)")
    options = parser.parse_args()
    rounds = max(3, round(options.gigabytes * 1000 / options.file_mb / 2))
    os.environ["VIDEOPROC_SECRET_KEY"] = SECRET
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="vp-bytes-", dir=options.folder))
        )
        urls = stack.enter_context(test_servers())
        token = _account(urls.database, urls.redis)
        media = folder / "media"
        door = stack.enter_context(
            front_door(folder, database_url=urls.database, redis_url=urls.redis, media=media)
        )
        baseline = stack.enter_context(_caddy_alone(folder))
        lines = _measured(door, baseline, token, folder, size=options.file_mb * MB, rounds=rounds)
    report("bytes", lines)
    return 0 if all(line.met for line in lines if line.met is not None) else 1


def _account(database: str, redis: str) -> str:
    environment = {
        **os.environ,
        "DATABASE_URL": database,
        "REDIS_URL": redis,
        "DJANGO_SETTINGS_MODULE": "videoproc.settings",
    }
    migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(migrate, check=True, env=environment, cwd=ROOT)
    done = subprocess.run(
        [sys.executable, "-c", ACCOUNT], check=True, env=environment, cwd=ROOT, capture_output=True, text=True
    )
    return done.stdout.strip().splitlines()[-1]


@contextmanager
def _caddy_alone(folder: Path) -> Iterator[str]:
    """The address of the baseline: PUT goes to the bare writer, /files/ is the plain file server."""
    written, files, address = folder / "written", folder / "files", folder / "bare.sock"
    written.mkdir()
    files.mkdir()
    port = free_port()
    config = folder / "baseline.caddyfile"
    config.write_text(BASELINE.format(port=port, files=files, socket=address))
    program = str(caddy.binary())
    environment = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.bench.bare_writer", str(address), str(written)], cwd=ROOT
        ),
        subprocess.Popen(
            [program, "run", "--config", str(config), "--adapter", "caddyfile"],
            env=environment,
            stderr=subprocess.DEVNULL,
        ),
    ]
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        while not address.exists() or _curl_code([f"{url}/files/none"]) != "404":
            assert time.monotonic() < deadline, "the baseline does not start"
            time.sleep(0.05)
        yield url
    finally:
        for child in children:
            child.terminate()
            child.wait(timeout=15)


def _curl_code(arguments: list[str]) -> str:
    command = ["curl", "-sS", "-o", os.devnull, "-w", "%{http_code}", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


def _measured(
    door: FrontDoor, baseline: str, token: str, folder: Path, *, size: int, rounds: int
) -> list[Line]:
    source = folder / "source.bin"
    _filled(source, size)
    bearer = ["-H", f"Authorization: Bearer {token}"]
    videos = door.media / "videos"

    def bare_upload() -> None:
        _expect(["-T", str(source), f"{baseline}/upload"], "201")
        _emptied(folder / "written")

    def our_upload() -> None:
        _expect([*bearer, "-X", "POST", "-T", str(source), f"{door.url}/api/v1/videos?filename=x.mp4"], "201")
        _emptied(videos)

    _expect([*bearer, "-X", "POST", "-T", __file__, f"{door.url}/api/v1/videos"], "201")
    _emptied(videos)
    _expect([*bearer, "-X", "POST", "-T", str(source), f"{door.url}/api/v1/videos"], "201")
    kept = next(videos.iterdir())
    # The same bytes on the disk for both.
    os.link(kept / "source", folder / "files" / "source")
    address = f"{door.url}/api/v1/videos/{kept.name}/file"

    def bare_download() -> None:
        _expect([f"{baseline}/files/source"], "200")

    def our_download() -> None:
        _expect([*bearer, address], "200")

    our_download()
    say(f"{rounds} rounds of {size // MB} MB each way, on {folder}")
    with _watched(door) as peak:
        downloads = _alternating(our_download, bare_download, size, rounds)
        kept.rename(folder / "kept")
        uploads = _alternating(our_upload, bare_upload, size, rounds)
    lines = [
        _line("upload through the front door", uploads, UPLOAD),
        _line("download through the front door", downloads, DOWNLOAD),
    ]
    growth = (peak() - peak.before) / MB
    moved = 2 * rounds * size / GIB
    name = f"memory above the start, {moved:.1f} GiB moved"
    lines.append(Line(name, growth, "MB", None, None, f"< {GROWTH_MB:g}", growth < GROWTH_MB))
    return lines


def _alternating(
    ours: Callable[[], None], bare: Callable[[], None], size: int, rounds: int
) -> tuple[float, float]:
    """Medians of MB/s of both."""
    speeds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for one, kept in zip((bare, ours), reversed(speeds), strict=True):
            os.sync()
            began = time.monotonic()
            one()
            kept.append(size / MB / (time.monotonic() - began))
    return statistics.median(speeds[0]), statistics.median(speeds[1])


def _line(name: str, speeds: tuple[float, float], target: float) -> Line:
    ratio = speeds[0] / speeds[1]
    return Line(name, speeds[0], "MB/s", speeds[1], ratio, f">= {target:g} x", ratio >= target)


class _Peak:
    """The most memory that the front door held since it was made."""

    def __init__(self, door: FrontDoor) -> None:
        self.before = door.resident()
        self._most = self.before
        self._door = door

    def look(self) -> None:
        self._most = max(self._most, self._door.resident())

    def __call__(self) -> int:
        return self._most


@contextmanager
def _watched(door: FrontDoor) -> Iterator[_Peak]:
    peak, ended = _Peak(door), threading.Event()

    def watch() -> None:
        while not ended.wait(0.1):
            peak.look()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        ended.set()
        watcher.join()


def _expect(arguments: list[str], code: str) -> None:
    answered = _curl_code(arguments)
    if answered != code:
        raise SystemExit(f"curl {' '.join(arguments[-1:])} was answered {answered}, not {code}")


def _filled(path: Path, size: int) -> None:
    block = os.urandom(MB)
    with path.open("wb") as file:
        for _ in range(size // MB):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())


def _emptied(folder: Path) -> None:
    for entry in folder.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


if __name__ == "__main__":
    sys.exit(main())
