"""A site of the suite's own: the whole of `bin/up`, from a copy of the code, with hands on every process."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis

from tests.chaos.power import Lost, lines, power_cut
from tests.chaos.tree import Mutant, tree_make

MEDIA_MEGABYTES = 192
RESERVE_MEGABYTES = 16
# Of each kind of process: how its command line looks.
ROLES = {
    "web": r"-m daphne ",
    "uploads": r"-m uvicorn ",
    "worker-short": r"celery .* -Q short ",
    "worker-encode": r"celery .* -Q encode ",
    "beat": r"celery -A videoproc beat",
    "postgres": r"pginstall/bin/postgres -D|/postgres -D ",
    "valkey": r"valkey-server ",
}


@dataclass(slots=True)
class Site:
    """One site and its folders. `full` tells how its media volume can be filled."""

    folder: Path
    port: int
    full: str
    environment: dict[str, str]
    trusted: str = ""
    _process: subprocess.Popen[bytes] | None = None
    hits: list[tuple[str, int]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def control(self) -> Path:
        return self.folder / "control"

    @property
    def media(self) -> Path:
        return self.folder / "media"

    @property
    def var(self) -> Path:
        return self.folder / "var"

    @property
    def database_url(self) -> str:
        return (self.var / "secrets" / "database_url").read_text().strip()

    @property
    def supervisor(self) -> int:
        assert self._process is not None
        return self._process.pid

    # --------------------------------------------------------------------------------- start and end

    def start(self, *, seconds: float = 600) -> None:
        """Starts all of it and waits until it is healthy."""
        log = self.folder / "up.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "videoproc.up"],
                cwd=self.folder / "tree",
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + seconds
        while not self.is_healthy():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the site did not start:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.3)

    def is_healthy(self) -> bool:
        done = subprocess.run(
            ["curl", "-fsS", "--noproxy", "*", "-m", "5", f"{self.url}/healthz"],
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    def stop(self) -> None:
        """Stops it as a user does."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.kill_all()
        self._process = None

    def kill_all(self) -> None:
        """Every process at once, the supervisor first so that it starts nothing anew: the machine is off."""
        assert self._process is not None
        everyone: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process.send_signal(signal.SIGSTOP)
            # Twice, for those that were being born.
            for _ in range(2):
                everyone += psutil.Process(self._process.pid).children(recursive=True)
                for one in everyone:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        one.kill()
        self._process.kill()
        self._process.wait()
        psutil.wait_procs(everyone, timeout=10)

    def lose_power(self) -> Lost:
        """Kills all, and takes what was not on the disk. The site is off afterwards."""
        self.kill_all()
        return power_cut(self.media, lines(self.folder / "disk"))

    # ----------------------------------------------------------------------------------- its processes

    def pids(self, role: str) -> list[int]:
        """Processes of one role, the oldest first: of a worker its main process, then the pool's."""
        return [one.pid for one in self.family() if re.search(ROLES[role], _command(one))]

    def family(self) -> list[psutil.Process]:
        """All processes of the site, the oldest first."""
        if self._process is None:
            return []
        try:
            found = psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        return sorted(found, key=_age)

    def main(self, role: str) -> int | None:
        """The process of that role that the supervisor started."""
        mine = [one for one in self.family() if _parent(one) == self.supervisor]
        return next((one.pid for one in mine if re.search(ROLES[role], _command(one))), None)

    def children(self, role: str) -> list[int]:
        """The pool of a worker."""
        main = self.main(role)
        return [pid for pid in self.pids(role) if pid != main]

    def tools(self) -> dict[int, str]:
        """Media tools that run, with the folder in which each works. Looks at all of the machine."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if f"{self.media}/" in command and (folder / "comm").read_text().startswith("ff"):
                    # A sandbox hides where a tool is, but not what it was told to read and to write.
                    scratch = re.search(rf"{self.media}/(work/\d+/[^/ ]+)", command)
                    found[int(folder.name)] = scratch[1] if scratch else command[-200:]
        return found

    def strays(self) -> list[str]:
        """Processes with this site's folders that are no longer under its supervisor."""
        known = {one.pid for one in self.family()} | ({self.supervisor} if self._process else set())
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                environment = (folder / "environ").read_bytes()
                if (
                    f"CHAOS_FOLDER={self.folder}\0".encode() in environment + b"\0"
                    and int(folder.name) not in known
                ):
                    found.append(f"{folder.name} {(folder / 'comm').read_text().strip()}")
        return found

    # --------------------------------------------------------------------------------------- its servers

    def database(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.database_url, autocommit=True, connect_timeout=3)

    def broker(self) -> redis.Redis:
        return redis.Redis.from_url(
            (self.var / "secrets" / "redis_url").read_text().strip(), socket_timeout=3
        )

    def python(self, code: str) -> str:
        """What a Python program with the site's settings, run under the site's account, says."""
        environment = {**self.environment, "VIDEOPROC_PROCESS": "suite"}
        manage = [sys.executable, "-m", "videoproc.embedded.manage", "shell", "--no-imports", "-c", code]
        done = subprocess.run(
            manage,
            cwd=self.folder / "tree",
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    # -------------------------------------------------------------------------------------- crash points

    def arm(self, point: str, number: int = signal.SIGKILL) -> None:
        """The next process that comes to the point gets the signal there."""
        for earlier in self.control.glob(f"{point}.hit-*"):
            self._note_hit(earlier)
        draft = self.control / f".{point}"
        draft.write_text(str(int(number)))
        draft.chmod(0o666)
        draft.rename(self.control / point)

    def disarm(self, point: str) -> None:
        (self.control / point).unlink(missing_ok=True)

    def _note_hit(self, mark: Path) -> None:
        self.hits.append((mark.name.partition(".")[0], int(mark.read_text() or 0)))
        mark.unlink()

    def hits_noted(self) -> list[tuple[str, int]]:
        """Every point that caught a process so far, with the signal."""
        for mark in self.control.glob("*.hit-*"):
            self._note_hit(mark)
        return self.hits

    def hit_by(self, point: str) -> int | None:
        """The process that the point has caught."""
        found = list(self.control.glob(f"{point}.hit-*"))
        return int(found[-1].name.rpartition("-")[2]) if found else None

    # ----------------------------------------------------------------------------------------- its disk

    def fill(self) -> int:
        """Takes what is left of the media volume; how many bytes that were."""
        if self.full == "simulated":
            (self.control / "full").touch()
            return 0
        filler = self.media / "filler"
        taken = 0
        with filler.open("wb", buffering=0) as file:
            with contextlib.suppress(OSError):
                while True:
                    taken += file.write(b"\0" * 1024**2)
            with contextlib.suppress(OSError):
                while True:
                    taken += file.write(b"\0" * 4096)
        return taken

    def empty(self) -> None:
        (self.control / "full").unlink(missing_ok=True)
        (self.media / "filler").unlink(missing_ok=True)


@contextlib.contextmanager
def chaos_site(*, mutant: Mutant | None = None, trusted: str = "") -> Iterator[Site]:
    """A started site with everything empty; all of it is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="vpc-", dir="/tmp" if len(tempfile.gettempdir()) > 20 else None))  # noqa: S108
    folder.chmod(0o755)
    for name, mode in (("control", 0o777), ("disk", 0o777), ("media", 0o755)):
        (folder / name).mkdir()
        (folder / name).chmod(mode)
    tree_make(folder / "tree", mutant)
    site = Site(folder, _free_port(), "", {}, trusted)
    site.full = "tmpfs" if _mount(site.media) else "simulated"
    site.environment = _environment(site)
    try:
        site.start()
        yield site
    finally:
        site.stop()
        if site.full == "tmpfs":
            subprocess.run(["umount", "-l", str(site.media)], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _mount(folder: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", f"size={MEDIA_MEGABYTES}m,mode=755", "tmpfs", str(folder)]
    return os.geteuid() == 0 and subprocess.run(command, check=False, capture_output=True).returncode == 0


def _environment(site: Site) -> dict[str, str]:
    inherited = {
        key: value
        for key, value in os.environ.items()
        if key not in {"DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "PYTHONPATH"}
        and not key.startswith(("VIDEOPROC_", "CHAOS_"))
    }
    return inherited | {
        "CHAOS_FOLDER": str(site.folder),
        "VIDEOPROC_CRASH_POINTS": str(site.control),
        "PORT": str(site.port),
        "VIDEOPROC_VAR": str(site.var),
        "VIDEOPROC_MEDIA": str(site.media),
        "VIDEOPROC_DISK_RESERVE_MB": str(RESERVE_MEGABYTES if site.full == "tmpfs" else 0),
        # Every encode that can be divided is.
        "VIDEOPROC_SEGMENT_SECONDS": "2",
        "VIDEOPROC_OUTBOUND_TRUSTED": site.trusted,
        "WORKER_CONCURRENCY": "3",
        "SHORT_WORKER_CONCURRENCY": "2",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return ""


def _age(process: psutil.Process) -> float:
    try:
        return float(process.create_time())
    except psutil.NoSuchProcess:
        return 0.0


def _parent(process: psutil.Process) -> int:
    try:
        return int(process.ppid())
    except psutil.NoSuchProcess:
        return 0
