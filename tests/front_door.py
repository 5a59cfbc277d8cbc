"""The front door of a site: edge, web and uploads process as `bin/up` starts them, on servers given."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from videoproc.embedded import process
from videoproc.embedded.answers import Question
from videoproc.embedded.paths import Paths, make_folders, run_folder
from videoproc.embedded.services import Site, site_services

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class FrontDoor:
    """`processes` are by the names that `bin/up` gives them."""

    url: str
    media: Path
    processes: dict[str, psutil.Process]

    def resident(self) -> int:
        """Bytes of memory that all of them hold now."""
        return sum(one.memory_info().rss for one in self.processes.values())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(question: Question) -> bool:
    return question.status() is not None


@contextmanager
def front_door(
    folder: Path,
    *,
    database_url: str,
    redis_url: str,
    media: Path | None = None,
    names: Sequence[str] = ("web", "uploads", "caddy"),
) -> Iterator[FrontDoor]:
    """Start the processes, wait until they are ready, and stop them. The database must be migrated."""
    var = folder / "var"
    paths = Paths(root=ROOT, var=var, media=media or var / "media", run=run_folder(var))
    make_folders(paths, site=None, database=None)
    (paths.secrets / "secret_key").write_text(os.environ["VIDEOPROC_SECRET_KEY"])
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    site = Site(
        paths=paths,
        account=None,
        host="127.0.0.1",
        port=port,
        public_url=url,
        database_url=database_url,
        redis_url=redis_url,
    )
    services = [service for service in site_services(site) if service.name in names]
    # Not the page that `bin/up` waits for: it needs static files, which no test of bytes collects.
    host = f"127.0.0.1:{port}"
    web = Question(path="/api/v1/me", host=host, server=paths.socket("web"))
    edge = Question(path="/api/v1/uploads", host=host, server=("127.0.0.1", port), method="OPTIONS")
    ready = {service.name: service.ready for service in services}
    asked = {"web": web, "caddy": edge}
    ready |= {name: partial(_answers, question) for name, question in asked.items() if name in ready}
    children: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for service in services:
            service.before_start()
            with (paths.log / f"{service.name}.log").open("wb") as output:
                children[service.name] = process.start(
                    service.argv, environment=service.environment, folder=service.folder, output=output
                )
        deadline = time.monotonic() + 90
        while not all(is_ready() for is_ready in ready.values()):
            ended = [name for name, child in children.items() if child.poll() is not None]
            said = "".join((paths.log / f"{name}.log").read_text(errors="replace") for name in ended)
            assert not ended, f"{ended}: {said}"
            assert time.monotonic() < deadline, "the front door does not open"
            time.sleep(0.05)
        yield FrontDoor(
            url, paths.media, {name: psutil.Process(child.pid) for name, child in children.items()}
        )
    finally:
        for child in children.values():
            child.terminate()
        for child in children.values():
            try:
                child.wait(timeout=15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
