"""Keep a set of processes running: start in order, wait for real readiness, restart, stop without leftovers.

One thread, one loop. A service goes through these states:

    waiting ──its `after` are ready──▶ starting ──its check passes──▶ ready
                                          ▲                             │ ends by itself
                                          └────── pause of 0.5 … 30 s ──┘  (also when it ends while starting)

What kills this process with -9 kills its children too: each carries a parent-death signal.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

import psutil

from videoproc.embedded import leftovers, process
from videoproc.embedded.accounts import Account
from videoproc.embedded.logfile import LogFile

TICK_SECONDS = 0.1
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
# One that has stayed up for this long starts again with the shortest pause.
STEADY_SECONDS = 60.0
# A service that never became ready and ended this often will not come up by itself.
HOPELESS_STARTS = 3
# Together at most 14 s: the promise is 15.
STOP_SITE_SECONDS = 9.0
STOP_SERVERS_SECONDS = 4.0


class StartFailed(Exception):
    """A service did not come up; the text says which one and how its log ends."""


class Stopped(Exception):
    """A signal to stop came in while something else was going on."""


@dataclass(frozen=True, slots=True)
class Service:
    """A process to keep running. `ready` is asked until it says yes; it must answer within about a second."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    ready: Callable[[], bool]
    folder: Path
    account: Account | None = None
    after: Sequence[str] = ()
    stop_signal: int = signal.SIGTERM
    death_signal: int = signal.SIGKILL
    # Servers that the others need until their last moment stop after them.
    is_server: bool = False
    # Called before each start: clear what a killed predecessor left behind.
    before_start: Callable[[], None] = lambda: None
    start_seconds: float = 60.0
    umask: int = 0o027


@dataclass(slots=True)
class Child:
    """What is known about a service at this moment."""

    service: Service
    popen: subprocess.Popen[bytes] | None = None
    is_ready: bool = False
    was_ready: bool = False
    started_at: float = 0.0
    retry_at: float = 0.0
    pause: float = FIRST_PAUSE_SECONDS
    failed_starts: int = 0


@dataclass(slots=True)
class Supervisor:
    """Runs services until it is told to stop."""

    log_folder: Path
    register: leftovers.Register
    say: Callable[[str], None]
    _children: dict[str, Child] = field(default_factory=dict)
    _logs: dict[str, LogFile] = field(default_factory=dict)
    _commands: set[int] = field(default_factory=set)
    _stop_requests: int = 0

    def install_signal_handlers(self) -> None:
        """SIGINT, SIGTERM and SIGHUP stop everything, even where a shell had them ignored."""
        process.adopt_orphans()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._request_stop)

    @property
    def is_stopping(self) -> bool:
        """Whether a signal to stop has come."""
        return self._stop_requests > 0

    def pid(self, name: str) -> int | None:
        """Process id of a running service."""
        child = self._children.get(name)
        return child.popen.pid if child and child.popen else None

    def add(self, *services: Service) -> None:
        """Put services under care; they start as soon as what they come after is ready."""
        for service in services:
            self._children[service.name] = Child(service)

    def wait_until_ready(self, *names: str) -> None:
        """Run the loop until the named services are ready; without names, until all are.

        Raises StartFailed, and Stopped when a signal comes first.
        """
        while True:
            self.tick()
            wanted = [self._children[name] for name in names] if names else list(self._children.values())
            if all(child.is_ready for child in wanted):
                return
            time.sleep(TICK_SECONDS / 4)

    def run(self) -> None:
        """Run the loop until a signal to stop comes."""
        with contextlib.suppress(Stopped):
            while True:
                self.tick()
                time.sleep(TICK_SECONDS)

    def run_command(self, service: Service) -> str:
        """Run a command to its end and return what it printed; its errors go to its log, its output does not.

        Raises StartFailed, Stopped.
        """
        log = self._log(service.name)
        offset = log.size()
        with log.open() as errors, tempfile.TemporaryFile() as output:
            code = self._run_to_end(service, output=output, errors=errors)
            output.seek(0)
            printed = output.read().decode(errors="replace")
        if code != 0:
            raise StartFailed(f"{service.name} failed (exit {code}):\n{printed}{log.tail(offset)}")
        return printed

    def run_visible(self, service: Service) -> int:
        """Run a command that talks to the terminal, and return its exit code. Raises StartFailed, Stopped."""
        return self._run_to_end(service)

    def _run_to_end(
        self, service: Service, output: IO[bytes] | None = None, errors: IO[bytes] | None = None
    ) -> int:
        child = process.start(
            service.argv,
            environment=service.environment,
            account=service.account,
            folder=service.folder,
            output=output,
            errors=errors,
            umask=service.umask,
        )
        self._commands.add(child.pid)
        self.register.note(child.pid)
        try:
            deadline = time.monotonic() + service.start_seconds
            while child.poll() is None:
                self.tick()
                if time.monotonic() > deadline:
                    raise StartFailed(f"{service.name} did not end within {service.start_seconds:.0f} s.")
                time.sleep(TICK_SECONDS / 4)
            return child.returncode
        finally:
            if child.returncode is None:
                process.signal_group(child, signal.SIGKILL)
                child.wait()
            self._commands.discard(child.pid)

    def tick(self) -> None:
        """One look at everything. Raises StartFailed, Stopped."""
        if self._stop_requests:
            raise Stopped
        self._reap_adopted()
        for child in self._children.values():
            self._look_after(child)
        for log in self._logs.values():
            log.rotate_if_large()

    def stop(self) -> bool:
        """Stop all services, the servers last, and whatever they have left behind; whether there was any."""
        everyone = [child for child in self._children.values() if child.popen is not None]
        site = [child for child in everyone if not child.service.is_server]
        # Workers were added last, and stop first: they have the most to put in order.
        self._stop_all(list(reversed(site)), STOP_SITE_SECONDS)
        self._stop_all([child for child in everyone if child.service.is_server], STOP_SERVERS_SECONDS)
        self._kill_descendants()
        self.register.clear()
        return bool(everyone)

    def _look_after(self, child: Child) -> None:
        now = time.monotonic()
        service_seconds = child.service.start_seconds
        if child.popen is None:
            if now >= child.retry_at and all(self._children[name].is_ready for name in child.service.after):
                self._start(child)
        elif child.popen.poll() is not None:
            self._note_end(child, child.popen.returncode)
        elif not child.is_ready:
            if child.service.ready():
                self._note_ready(child)
            elif now - child.started_at > service_seconds:
                self.say(f"{child.service.name} is not ready after {service_seconds:.0f} s; restarting it")
                process.signal_group(child.popen, signal.SIGKILL)
                child.popen.wait()

    def _start(self, child: Child) -> None:
        service = child.service
        service.before_start()
        with self._log(service.name).open() as output:
            child.popen = process.start(
                service.argv,
                environment=service.environment,
                account=service.account,
                folder=service.folder,
                output=output,
                death_signal=service.death_signal,
                umask=service.umask,
            )
        child.started_at = time.monotonic()
        self.register.note(child.popen.pid)

    def _note_ready(self, child: Child) -> None:
        child.is_ready = child.was_ready = True
        child.failed_starts = 0
        self.say(f"{child.service.name} ready ({time.monotonic() - child.started_at:.1f} s)")

    def _note_end(self, child: Child, code: int) -> None:
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit {code}"
        if not child.is_ready:
            child.failed_starts += 1
        if not child.was_ready and child.failed_starts >= HOPELESS_STARTS:
            tail = self._log(child.service.name).tail(0)
            raise StartFailed(f"{child.service.name} does not start ({how}). Its log ends:\n{tail}")
        if time.monotonic() - child.started_at > STEADY_SECONDS:
            child.pause = FIRST_PAUSE_SECONDS
        if child.popen is not None:
            # Its own children would keep working beside their successors.
            process.signal_group(child.popen, signal.SIGKILL)
        self.say(f"{child.service.name} ended ({how}); starting it again in {child.pause:.1f} s")
        child.popen = None
        child.is_ready = False
        child.retry_at = time.monotonic() + child.pause
        child.pause = min(child.pause * 2, LONGEST_PAUSE_SECONDS)

    def _stop_all(self, children: list[Child], seconds: float) -> None:
        for child in children:
            if child.popen is not None and child.popen.poll() is None:
                child.popen.send_signal(child.service.stop_signal)
        requests = self._stop_requests
        deadline = time.monotonic() + seconds
        while any(child.popen is not None and child.popen.poll() is None for child in children):
            impatient = self._stop_requests > max(requests, 1)
            if time.monotonic() > deadline or impatient:
                break
            time.sleep(TICK_SECONDS / 4)
        for child in children:
            if child.popen is None:
                continue
            if child.popen.poll() is None:
                self.say(f"{child.service.name} did not stop by itself; killed")
            process.signal_group(child.popen, signal.SIGKILL)
            child.popen.wait()
            child.popen = None
            child.is_ready = False

    def _kill_descendants(self) -> None:
        """Orphans of the services have this process as their parent: see install_signal_handlers."""
        remaining = psutil.Process().children(recursive=True)
        for orphan in remaining:
            with contextlib.suppress(psutil.NoSuchProcess):
                orphan.kill()
        psutil.wait_procs(remaining, timeout=2)

    def _reap_adopted(self) -> None:
        """Collect ended orphans, and leave the ends of our own children to their Popen."""
        own = {
            child.popen.pid for child in self._children.values() if child.popen is not None
        } | self._commands
        for _ in range(100):
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if ended is None or ended.si_pid in own:
                    return
                os.waitpid(ended.si_pid, os.WNOHANG)
            except ChildProcessError:
                return

    def _log(self, name: str) -> LogFile:
        if name not in self._logs:
            self._logs[name] = LogFile(self.log_folder / f"{name}.log")
        return self._logs[name]

    def _request_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stop_requests += 1
