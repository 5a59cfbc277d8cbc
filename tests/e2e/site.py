"""A site of its own, started by `bin/up` as a user would start it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Site:
    """A running site of its own, with its own state."""

    url: str
    var: Path
    process: subprocess.Popen[str]
    admin_password: str

    def manage(self, *words: object) -> str:
        """What `bin/manage` says on its output; it must succeed."""
        command = [str(ROOT / "bin" / "manage"), *map(str, words)]
        environment = {**_environment(), "VIDEOPROC_VAR": str(self.var)}
        done = subprocess.run(
            command, env=environment, cwd="/", capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def pids(self, pattern: str) -> list[int]:
        """Processes of this site, by a pattern over their command lines; ours carry its state folder in
        their environment, so other sites on the machine are left alone."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                environment = (folder / "environ").read_bytes()
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            if re.search(pattern, command) and str(self.var).encode() in environment + command.encode():
                found.append(int(folder.name))
        return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment() -> dict[str, str]:
    """Ours, without what points at the servers of the other tests."""
    return {
        key: value
        for key, value in os.environ.items()
        if key not in {"DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE"}
        and not key.startswith("VIDEOPROC_")
    }


@contextmanager
def running_site(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[Site]:
    """Starts `bin/up` with an empty state folder below `folder`, waits until it is healthy, and stops it.

    `settings` are further environment variables.
    """
    port = _free_port()
    var = folder / "var"
    environment = {**_environment(), **(settings or {}), "PORT": str(port), "VIDEOPROC_VAR": str(var)}
    output = folder / "up.log"
    with output.open("w") as log:
        process = subprocess.Popen(
            [ROOT / "bin" / "up"], env=environment, stdout=log, stderr=subprocess.STDOUT, text=True, cwd="/"
        )
    try:
        text = _wait_for_start(process, output, f"http://127.0.0.1:{port}")
        password = re.search(r"password\W+(\S+)", text, re.IGNORECASE)
        yield Site(f"http://127.0.0.1:{port}", var, process, password.group(1) if password else "")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


def _wait_for_start(process: subprocess.Popen[str], output: Path, url: str) -> str:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        text = output.read_text()
        if process.poll() is not None:
            raise AssertionError(f"bin/up ended with {process.returncode}:\n{text}")
        # The last line it prints.
        if f"{url}/flower/" in text and _answers(f"{url}/healthz"):
            return text
        time.sleep(0.3)
    raise AssertionError(f"bin/up did not come up:\n{output.read_text()}")


def _answers(url: str) -> bool:
    done = subprocess.run(["curl", "-fsS", "-m", "5", url], capture_output=True, check=False)
    return done.returncode == 0 and json.loads(done.stdout)["status"] == "ok"
