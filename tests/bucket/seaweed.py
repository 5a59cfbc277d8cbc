"""A real S3 server for tests: SeaweedFS from its wheel, in a temporary folder.

Around a command, with the site's variables set: `python -m tests.bucket.seaweed -- pytest tests/videos`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from videoproc.s3 import S3_CLIENT

ACCESS_KEY, SECRET_KEY, NAME = "videoproc", "for-tests-only", "media"
_START_SECONDS = 60.0
# Every port of the many services in this one process, so that nothing of it meets what runs already.
_PORTS = (
    "master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc",
    "s3.port", "s3.port.grpc", "s3.port.iceberg", "s3.port.lance", "admin.port", "admin.port.grpc",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Server:
    """What a client needs."""

    endpoint: str
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which a site uses it."""
        return {
            "VIDEOPROC_S3_BUCKET": NAME,
            "VIDEOPROC_S3_ENDPOINT": self.endpoint,
            "VIDEOPROC_S3_ACCESS_KEY": ACCESS_KEY,
            "VIDEOPROC_S3_SECRET_KEY": SECRET_KEY,
        }

    def client(self) -> Any:
        """Somebody else with access to the bucket."""
        credentials = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}
        return boto3.client(
            "s3", endpoint_url=self.endpoint, region_name="us-east-1", config=S3_CLIENT, **credentials
        )


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """Start it, wait until it answers, stop it and remove all of it."""
    folder = Path(tempfile.mkdtemp(prefix="videoproc-bucket-"))
    ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
    config = folder / "s3.json"
    credentials = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    config.write_text(
        json.dumps({"identities": [{"name": "site", "credentials": credentials, "actions": actions}]})
    )
    weed = Path(sys.executable).with_name("weed")
    argv = [str(weed), "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-webdav=false"]
    argv += ["-admin.ui=false", f"-s3.config={config}", "-master.volumeSizeLimitMB=64"]
    argv += [f"-{name}={port}" for name, port in ports.items()]
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(argv, stdout=log, stderr=log, cwd=folder, start_new_session=True)
    try:
        _wait(child, ports["s3.port"], folder / "log")
        yield Server(f"http://127.0.0.1:{ports['s3.port']}", folder)
    finally:
        child.send_signal(signal.SIGKILL)  # nothing is kept
        child.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(child: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and child.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"SeaweedFS did not start:\n{log.read_text(errors='replace')[-2000:]}")


def main(arguments: list[str]) -> int:
    """Run a command beside the server; its exit code is ours."""
    command = arguments[1:] if arguments[:1] == ["--"] else arguments
    with server() as running:
        return subprocess.run(command, check=False, env={**os.environ, **running.environment}).returncode


def _free_ports(count: int) -> list[int]:
    """Below the range from which the kernel takes ports by itself, or one may be gone when it is needed."""
    found: list[int] = []
    port = 20_000 + time.monotonic_ns() % 8_000
    while len(found) < count:
        port += 1
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            found.append(port)
    return found


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
