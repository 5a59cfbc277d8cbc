"""A real Celery worker in a process of its own, and what can happen to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from django.db import connection

ROOT = Path(__file__).resolve().parents[2]


def wait_for(condition: Callable[[], object], *, seconds: float, what: str) -> None:
    """Polls until the condition holds; fails the test when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds} s still not: {what}"
        time.sleep(0.05)


class Worker:
    def __init__(self, lanes: str, concurrency: int, environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "celery", "-A", "videoproc", "worker", "-Q", lanes,
                    "-c", str(concurrency), "-n", f"{log.stem}@%h", "-l", "INFO",
                    "--without-gossip", "--without-mingle",
                ],
                cwd=ROOT,
                env=dict(environment),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_until_ready(self) -> None:
        wait_for(lambda: " ready." in self.output, seconds=60, what=f"worker ready: {self.output}")

    def children(self) -> list[int]:
        """The processes of the pool."""
        return children_of(self.process.pid)

    def kill(self) -> None:
        """As the kernel does when memory runs out: the main process alone, without a warning."""
        self.process.kill()
        self.process.wait()

    def terminate(self, *, within: float) -> None:
        """As a supervisor does: the main process alone."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=within)

    def destroy(self) -> None:
        """Leaves nothing behind, whatever happened."""
        for pid in [*self.children(), self.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()


def children_of(pid: int) -> list[int]:
    try:
        listing = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(child) for child in listing.split()]


def media_tools(folder: Path) -> list[int]:
    """Living processes that name a file below `folder` on their command line, other than this one."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in command:
            found.append(int(entry.name))
    return found


def connections_close() -> None:
    """For threads of a test: gives the connection back to the pool."""
    connection.close()
