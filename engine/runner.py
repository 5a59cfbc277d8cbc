"""The only place that starts a media tool.

One tool at a time, in the calling thread: its two pipes are read through one selector, so nothing waits on a
full pipe and no helper thread outlives a call. While it runs, three things can end it: its Control, the stall
watchdog (no progress for a while, however long the whole takes) and, for probes, a wall-clock limit. Each
kills the whole process group. While the Control says pause the group is stopped (SIGSTOP), and that time
counts neither for the watchdog nor for the limit nor for the speed; time in which this process was frozen
itself counts for neither limit. If this process dies, the kernel kills the tool (`sandbox`), also one that is
stopped.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import selectors
import shlex
import signal
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO

from engine.control import Control, Stopped
from engine.progress import ProgressMeter
from engine.sandbox import starting
from engine.sandbox.choice import chosen
from engine.sandbox.process import NOT_SET_UP
from engine.sandbox.starting import Started
from engine.sandbox.view import scratch_of
from engine.stages import stage
from engine.types.limits import Limits
from problems import Problem

log = logging.getLogger(__name__)

_LONG_LIST = 20
_TICK = 0.1
_READ = 65_536
# Signals that a tool does not send itself.
_FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})
# Two looks at a tool lie a tenth of a second apart. After so many seconds this process was frozen itself.
_FROZEN = 2.0


class Ending(StrEnum):
    """How a tool ended."""

    EXITED = "exited"
    SIGNALLED = "signalled"
    STALLED = "stalled"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tool left. `code` is the exit status or the signal's number, by `ending`."""

    ending: Ending
    code: int
    stdout: bytes
    log: str
    cpu_seconds: float

    @property
    def succeeded(self) -> bool:
        return self.ending is Ending.EXITED and self.code == 0


class Killed(Problem):
    """The kernel, for want of memory, or an administrator ended the tool.

    That says nothing about what it read or wrote: nobody may take it for a verdict on a file. It is a fault
    of the service and worth another try, whatever the tool was for.
    """

    def __init__(self, outcome: Outcome) -> None:
        super().__init__("encoder_crashed", signal=signal.Signals(outcome.code).name)
        self.outcome = outcome


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    limits: Limits,
    control: Control,
    meter: ProgressMeter | None = None,
    seconds: float | None = None,
    keep_stdout: int = 1024 * 1024,
    fonts: Path | None = None,
    sees: Iterable[Path] = (),
) -> Outcome:
    """Run a media tool to its end inside the sandbox.

    It sees the files its command line names after `-i` and those of `sees`; where it writes a file, `cwd` is
    its scratch folder, and all it may write to. With a `meter`, stdout is progress and the stall watchdog is
    on; without one the last `keep_stdout` bytes of stdout are returned. `seconds` limits the wall time.
    `fonts` is the list of fonts to draw with. Raises Stopped when `control` says so, SandboxTooWeak where the
    operator forbids to run it here, Killed where somebody else killed the tool; every other ending is told in
    the Outcome, for `failures` to judge.
    """
    control.checkpoint()
    layer = chosen().layer
    scratch = scratch_of(argv, cwd)
    known = _no_files(scratch)
    try:
        process = starting.start(argv, layer=layer, cwd=cwd, limits=limits, sees=sees, fonts=fonts)
    except OSError as error:
        log.warning("the sandbox cannot be set up", exc_info=True)
        told = f"sandbox: cannot be set up: {error.strerror or error}\n"
        return Outcome(ending=Ending.EXITED, code=NOT_SET_UP, stdout=b"", log=told, cpu_seconds=0.0)
    child = _Child(
        process, limits=limits, control=control, meter=meter, seconds=seconds, keep_stdout=keep_stdout
    )
    began = time.monotonic()
    # The name of the file may go on with platform and version.
    tool = Path(argv[0]).name.partition("-")[0]
    with stage(tool, command=spoken(argv)), child:
        outcome = child.watch()
    for path, _ in _no_files(scratch) - known:
        # Nothing we start makes links or pipes. Others would follow them out of the sandbox, or hang on them.
        log.error("%s left %s, which is no file, and it was removed", tool, Path(path).name)
        Path(path).unlink(missing_ok=True)
    log.log(
        # Probes are many, short and all alike.
        logging.DEBUG if meter is None and outcome.succeeded else logging.INFO,
        "%s %s with %d after %.2f s, %.2f CPU s: %s",
        tool,
        outcome.ending,
        outcome.code,
        time.monotonic() - began,
        outcome.cpu_seconds,
        spoken(argv),
    )
    if outcome.ending is Ending.SIGNALLED and outcome.code in _FROM_OUTSIDE:
        raise Killed(outcome)
    return outcome


def _no_files(folder: Path | None) -> set[tuple[str, int]]:
    """What is neither a file nor a folder, by path and by number."""
    found: set[tuple[str, int]] = set()
    if folder is None or not folder.is_dir():
        return found
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                found |= _no_files(Path(entry.path))
            elif not entry.is_file(follow_symlinks=False):
                found.add((entry.path, entry.inode()))
    return found


def spoken(argv: Sequence[str]) -> str:
    """The command line for people: without the lists of what may be opened, long and always the same."""
    return _spoken(tuple(argv))


@functools.lru_cache(maxsize=8)  # one command is spoken of several times
def _spoken(argv: tuple[str, ...]) -> str:
    words = [Path(argv[0]).name, *("..." if word.count(",") > _LONG_LIST else word for word in argv[1:])]
    return shlex.join(words)


class _Child:
    """One running tool. Leaving the `with` block leaves no process and no pipe."""

    def __init__(
        self,
        process: Started,
        *,
        limits: Limits,
        control: Control,
        meter: ProgressMeter | None,
        seconds: float | None,
        keep_stdout: int,
    ) -> None:
        self._process = process
        self._limits = limits
        self._control = control
        self._meter = meter
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._stdout = _Tail(keep_stdout)
        self._stderr = _Tail(limits.log_bytes)
        self._ended_by: Ending | None = None
        self._status: int | None = None
        self._cpu_seconds = 0.0
        self._held_at: float | None = None
        self._alive_at = time.monotonic()
        self._looked_at = self._judged_at = self._alive_at
        self._life: tuple[object, ...] = ()

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is None:
            self._kill()
            self._reap(block=True)
        self._process.stdout.close()
        self._process.stderr.close()

    def watch(self) -> Outcome:
        """Read both pipes until the tool has ended."""
        with selectors.DefaultSelector() as selector:
            for pipe, sink in (
                (self._process.stdout, self._take_stdout),
                (self._process.stderr, self._stderr.add),
            ):
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe, selectors.EVENT_READ, sink)
            while selector.get_map():
                for key, _ in selector.select(_TICK):
                    if not _drain(key.fileobj, key.data):  # type: ignore[arg-type]  # the pipes above
                        selector.unregister(key.fileobj)
                self._judge()
        pause = 0.001
        while not self._reap(block=False):
            self._judge()
            time.sleep(pause)
            pause = min(_TICK, pause * 2)
        return self._outcome()

    def _take_stdout(self, data: bytes) -> None:
        if self._meter is None:
            self._stdout.add(data)
        else:
            self._meter.feed(data)

    def _judge(self) -> None:
        """Hold or end the tool if it has to be; raises Stopped when that was asked for."""
        if self._control.stopped:
            raise Stopped
        now = time.monotonic()
        self._forgive(now - self._judged_at)
        self._judged_at = now
        if self._control.paused != (self._held_at is not None):
            self._hold(now) if self._held_at is None else self._let_go(now, self._held_at)
        if self._held_at is not None:
            return
        if self._deadline is not None and now > self._deadline:
            self._end(Ending.TIMED_OUT)
        if self._meter is None or now - self._looked_at < _TICK:
            return
        self._looked_at = now
        # Moving the index of an mp4 to its front reports nothing for minutes, but it does write.
        life = (self._meter.position, _written_bytes(self._process.pid))
        if life != self._life:
            self._life, self._alive_at = life, now
        elif now - self._alive_at > self._limits.stall_seconds:
            self._end(Ending.STALLED)

    def _forgive(self, gap: float) -> None:
        """Time in which nobody looked, because the machine or this process stood still, is not the tool's."""
        if gap > _FROZEN:
            self._alive_at += gap
            if self._deadline is not None:
                self._deadline += gap

    def _hold(self, now: float) -> None:
        self._held_at = now
        self._signal(signal.SIGSTOP)

    def _let_go(self, now: float, held_at: float) -> None:
        """The clocks go on from where they stood."""
        self._held_at = None
        self._alive_at = now
        if self._deadline is not None:
            self._deadline += now - held_at
        if self._meter is not None:
            self._meter.held(now - held_at)
        self._signal(signal.SIGCONT)

    def _end(self, ending: Ending) -> None:
        if self._ended_by is None:
            self._ended_by = ending
            self._kill()

    def _kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        # The child is not reaped yet, so its number cannot have been given to anyone else.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _reap(self, *, block: bool) -> bool:
        """Collect the child and its own CPU time (not that of other children of this process)."""
        pid, status, usage = os.wait4(self._process.pid, 0 if block else os.WNOHANG)
        if pid == 0:
            return False
        self._status = os.waitstatus_to_exitcode(status)
        self._process.reaped(self._status)
        self._cpu_seconds = usage.ru_utime + usage.ru_stime
        return True

    def _outcome(self) -> Outcome:
        status = self._status or 0
        ending = self._ended_by or (Ending.SIGNALLED if status < 0 else Ending.EXITED)
        return Outcome(
            ending=ending,
            code=abs(status),
            stdout=bytes(self._stdout),
            log=bytes(self._stderr).decode("utf-8", "replace"),
            cpu_seconds=self._cpu_seconds,
        )


class _Tail:
    """The last bytes of a stream that may be endless."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._data = bytearray()

    def add(self, data: bytes) -> None:
        self._data += data
        if len(self._data) > 2 * self._size:
            del self._data[: -self._size]

    def __bytes__(self) -> bytes:
        return bytes(self._data[-self._size :])


def _drain(pipe: IO[bytes], sink: object) -> bool:
    """Pass on what is waiting in a pipe; False at its end."""
    try:
        data = os.read(pipe.fileno(), _READ)
    except BlockingIOError:
        return True
    if data:
        sink(data)  # type: ignore[operator]  # the selector hands its data back untyped
    return bool(data)


def _written_bytes(pid: int) -> int:
    """Bytes the process has sent to storage; 0 where the system does not tell."""
    try:
        text = Path(f"/proc/{pid}/io").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("write_bytes")), 0)
