"""Starts a media tool inside the layer that was chosen.

Each thread that starts tools has a launcher of its own (`process`), for the kernel counts a tool as the child
of the thread, and ends it with that. Where only limits are left, commands placed before the tool's own argv
set them, each of which replaces itself by the next.
"""

from __future__ import annotations

import atexit
import errno
import functools
import json
import os
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from engine.sandbox import process
from engine.sandbox.setting_up import LANDLOCK, NAMESPACES
from engine.sandbox.view import view_of
from engine.types.limits import Limits

LIMITS = "limits"
LAYERS = (NAMESPACES, LANDLOCK, LIMITS)
"""From the strongest to the weakest."""

# Kept from our own environment: only what an ffmpeg chosen by the operator may need to start.
_PASSED_ON = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "FONTCONFIG_FILE")
# Seconds a sandbox may take to be set up; it takes milliseconds.
_PATIENCE = 60


class Started:
    """A tool that runs: its process id, which is also that of its group, and the pipes it writes to.

    Whoever has it must wait for it.
    """

    def __init__(self, pid: int, stdout: IO[bytes], stderr: IO[bytes]) -> None:
        self.pid = pid
        self.stdout = stdout
        self.stderr = stderr

    def reaped(self, status: int) -> None:
        """It was waited for, and this is its exit code."""


class _Prefixed(Started):
    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        assert popen.stdout is not None  # noqa: S101 - both were asked for as pipes
        assert popen.stderr is not None  # noqa: S101
        super().__init__(popen.pid, popen.stdout, popen.stderr)
        self._popen = popen

    def reaped(self, status: int) -> None:
        self._popen.returncode = status


def start(
    argv: Sequence[str],
    *,
    layer: str,
    cwd: Path,
    limits: Limits,
    sees: Iterable[Path] = (),
    fonts: Path | None = None,
    attempts: Mapping[str, Any] | None = None,
) -> Started:
    """Start a tool, given by its path. OSError when there is no way to; a tool that is missing is told on its
    stderr, with an exit code of 127, and a sandbox that cannot be set up with 126.

    With `attempts` what an intruder would try is carried out in its place, and told on stdout as JSON.
    """
    if layer == LIMITS:
        return _prefixed(argv, cwd=cwd, limits=limits, fonts=fonts)
    view = view_of(argv, cwd, sees)
    request = {
        "argv": list(argv),
        "environment": environment(fonts=fonts),
        "cwd": str(cwd.absolute()),
        "view": view.entries,
        "links": view.links,
        "nice": max(0, limits.nice),
        "limits": {
            resource.RLIMIT_AS: limits.memory_bytes,
            resource.RLIMIT_FSIZE: limits.max_output_bytes,
            resource.RLIMIT_NOFILE: limits.open_files,
            resource.RLIMIT_CORE: 0,
        },
        "attempts": attempts,
    }
    try:
        return _own.get(layer).start(request)
    except BrokenPipeError:
        # It was killed while it had nothing to do, as any process may be.
        _own.close()
        return _own.get(layer).start(request)


def environment(*, fonts: Path | None = None) -> dict[str, str]:
    """The whole environment of a media tool: no secrets, no locale, no colours in its messages.

    `fonts` is a list for fontconfig in place of the system's.
    """
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    own = {} if fonts is None else {"FONTCONFIG_FILE": str(fonts.absolute())}
    return {"PATH": os.defpath, "LC_ALL": "C", "AV_LOG_FORCE_NOCOLOR": "1", **passed_on, **own}


# --------------------------------------------------------------------------------------- by a launcher


class _Launcher:
    """This side of a launcher process. Used by the thread that made it only."""

    def __init__(self, layer: str) -> None:
        self.layer = layer
        ours, theirs = socket.socketpair()
        self._peer = ours
        with theirs:
            self._pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", process.__file__, layer, "3"],
                {"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_DUP2, theirs.fileno(), 3),
                ],
                # A signal to our group, as from a keyboard, is not meant for it.
                setsid=True,
            )
        try:
            self._answer()
        except OSError:
            self.close()
            raise

    def start(self, request: Mapping[str, Any]) -> Started:
        out, out_end = os.pipe()
        error, error_end = os.pipe()
        ready, ready_end = os.pipe()
        ends = [out_end, error_end, ready_end]
        try:
            data = json.dumps(request).encode()
            socket.send_fds(self._peer, [process.HEADER.pack(len(data))], ends)
            self._peer.sendall(data)
            _close(ends)
            pid = self._answer()
            self._wait_for(pid, ready)
        except BaseException:
            _close([out, error, *ends])
            raise
        finally:
            os.close(ready)
        return Started(pid, os.fdopen(out, "rb", 0), os.fdopen(error, "rb", 0))

    @staticmethod
    def _wait_for(pid: int, ready: int) -> None:
        """Until the tool has taken over, which closes the pipe: before, it may lack a group of its own."""
        poll = select.poll()
        poll.register(ready, select.POLLIN)
        if not poll.poll(_PATIENCE * 1000):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise TimeoutError(errno.ETIMEDOUT, "the file system does not answer")

    def _answer(self) -> int:
        data = self._peer.recv(process.REPLY.size, socket.MSG_WAITALL)
        if len(data) < process.REPLY.size:
            raise OSError(errno.ECHILD, f"the launcher of the sandbox {self.layer} has ended")
        (number,) = process.REPLY.unpack(data)
        if number < 0:
            raise OSError(-number, os.strerror(-number))
        return int(number)

    def close(self) -> None:
        """End the process. What it started goes on."""
        self._peer.close()
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)

    def forget(self) -> None:
        """In a fork of the process it belongs to."""
        self._peer.close()

    def __del__(self) -> None:
        # The thread has ended.
        if self._peer.fileno() >= 0:
            self.close()


def _close(descriptors: list[int]) -> None:
    while descriptors:
        os.close(descriptors.pop())


class _Own(threading.local):
    """The launcher of this thread; it ends with the thread."""

    def __init__(self) -> None:
        self._launcher: _Launcher | None = None

    def get(self, layer: str) -> _Launcher:
        if self._launcher is None or self._launcher.layer != layer:
            self.close()
            self._launcher = _Launcher(layer)
        return self._launcher

    def close(self) -> None:
        if self._launcher is not None:
            self._launcher.close()
            self._launcher = None

    def forget(self) -> None:
        if self._launcher is not None:
            self._launcher.forget()
            self._launcher = None


_own = _Own()
os.register_at_fork(after_in_child=_own.forget)
atexit.register(_own.close)


def close() -> None:
    """End the launcher of this thread, if there is one. The next tool gets a new one."""
    _own.close()


# ------------------------------------------------------------------------------------ by commands alone


def _prefixed(argv: Sequence[str], *, cwd: Path, limits: Limits, fonts: Path | None) -> Started:
    return _Prefixed(
        subprocess.Popen(  # noqa: S603 - argv is built by commands.py from numbers and our own names
            [*prefix(limits), *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd=cwd,
            env=environment(fonts=fonts),
            start_new_session=True,
        )
    )


def prefix(limits: Limits) -> list[str]:
    """The argv to put before a media tool. A command that is missing (macOS, a minimal image) is left out."""
    commands = _commands()
    argv: list[str] = []
    if "setpriv" in commands:
        argv += [commands["setpriv"], "--pdeathsig", "KILL", "--no-new-privs", "--"]
    if "prlimit" in commands:
        argv += [
            commands["prlimit"],
            f"--as={limits.memory_bytes}",
            f"--fsize={limits.max_output_bytes}",
            f"--nofile={limits.open_files}",
            "--core=0",
            "--",
        ]
    if "nice" in commands and limits.nice > 0:
        argv += [commands["nice"], "-n", str(limits.nice)]
    return argv


@functools.cache
def _commands() -> dict[str, str]:
    """Commands that are here and understand the options used; some systems have lesser namesakes."""
    trials = {
        "setpriv": ["--pdeathsig", "KILL", "--no-new-privs", "--", "true"],
        "prlimit": ["--core=0", "--", "true"],
        "nice": ["-n", "1", "true"],
    }
    found: dict[str, str] = {}
    for name, arguments in trials.items():
        path = shutil.which(name)
        if path and subprocess.run([path, *arguments], capture_output=True, check=False).returncode == 0:  # noqa: S603 - fixed argv
            found[name] = path
    return found
