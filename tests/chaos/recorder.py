"""Loaded into every process of the site under test: writes down what reaches the disk, and can move a clock.

What is written down, one line of JSON each, in a file for each process:

    fsync     a file's bytes (with its inode and size) or a folder's names are on the disk
    rename    a file or folder got another name
    mkdir     a folder was made
    create    a file was made with os.open
    commit    a transaction of PostgreSQL is about to be committed

A line follows the act, except for commits. So a process killed in between leaves an act without a line, which
`power` takes for durable: that can hide a fault, never invent one.

Where the suite may not mount a small volume, it makes the file `full` in the control folder instead, and then
these processes find no space left.

The clock of one process name goes forward by as many seconds as the file `clock-NAME` in the control folder
says.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import os
import shutil
import stat
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import IO, Any

_VARIABLE = "CHAOS_FOLDER"


def listen() -> None:
    """Starts it, in a process of a site that the suite has started; else nothing."""
    folder, name = os.environ.get(_VARIABLE), os.environ.get("VIDEOPROC_PROCESS")
    if folder and name:
        _Disk(Path(folder) / "disk", os.environ["VIDEOPROC_MEDIA"]).watch()
        _fill_up(Path(folder) / "control" / "full")
        _mislead(Path(folder) / "control")
        if name.startswith("worker"):
            _Clock(Path(folder) / "control" / f"clock-{name}").replace()


def _fill_up(mark: Path) -> None:
    write, usage = os.pwrite, shutil.disk_usage

    def refusing(descriptor: int, data: Any, offset: int) -> int:
        if mark.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data, offset)

    def nothing_free(path: Any) -> Any:
        found = usage(path)
        return found._replace(free=-1) if mark.exists() else found

    os.pwrite, shutil.disk_usage = refusing, nothing_free


def _mislead(control: Path) -> None:
    """Between a tool's end and the look at what it left.

    Once for each file `lie` a tool that exited with 0 left only 60 % of its file. While `full` is there no
    tool finds room for one.
    """
    from engine import runner  # noqa: PLC0415 - only on a site

    run = runner.run

    def misled(argv: Sequence[str], *, cwd: Path, **options: Any) -> runner.Outcome:
        outcome = run(argv, cwd=cwd, **options)
        left = cwd / argv[-1].removeprefix("file:")
        if "-progress" not in argv or not left.is_file() or not outcome.succeeded:
            return outcome
        if (control / "full").exists():
            said = "[out#0/mp4 @ 0x1] [error] Error writing trailer: No space left on device"
            return replace(outcome, code=228, log=f"{outcome.log}\n{said}\n")
        with contextlib.suppress(FileNotFoundError):
            (control / "lie").rename(control / "lie.hit")
            size = left.stat().st_size
            os.truncate(left, size * 6 // 10)
            with (control / "lies").open("a") as told:
                told.write(f"{left} {size}\n")
        return outcome

    runner.run = misled


class _Disk:
    """Lines about one media folder."""

    def __init__(self, folder: Path, media: str) -> None:
        self._folder = folder
        self._media = f"{media}/"
        self._file: IO[str] | None = None
        self._pid = 0
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=self._forked)

    def _forked(self) -> None:
        self._lock = threading.Lock()

    def watch(self) -> None:
        """Puts itself in the place of the calls that matter."""
        for name, note in (
            ("fsync", self._fsynced),
            ("replace", self._renamed),
            ("rename", self._renamed),
            ("mkdir", self._made),
            ("open", self._opened),
        ):
            setattr(os, name, self._noting(getattr(os, name), note))
        from django.db.backends.base.base import BaseDatabaseWrapper  # noqa: PLC0415 - only on a site

        commit: Callable[[Any], Any] = BaseDatabaseWrapper._commit  # type: ignore[attr-defined]  # private

        def noted(wrapper: Any) -> Any:
            self._write(kind="commit")
            return commit(wrapper)

        BaseDatabaseWrapper._commit = noted  # type: ignore[attr-defined]  # private

    def _noting(self, real: Callable[..., Any], note: Callable[..., None]) -> Callable[..., Any]:
        @functools.wraps(real)
        def noted(*arguments: Any, **named: Any) -> Any:
            result = real(*arguments, **named)
            with contextlib.suppress(OSError, TypeError, ValueError):
                note(result, *arguments, **named)
            return result

        return noted

    def _fsynced(self, _result: None, descriptor: Any) -> None:
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        path = str(Path(f"/proc/self/fd/{number}").readlink())
        if self._is_ours(path):
            info = os.fstat(number)
            folder = stat.S_ISDIR(info.st_mode)
            self._write(kind="fsync", path=path, ino=info.st_ino, size=info.st_size, folder=folder)

    def _renamed(self, _result: None, origin: Any, target: Any, **_: Any) -> None:
        old, new = _absolute(origin), _absolute(target)
        if self._is_ours(new):
            self._write(kind="rename", old=old, path=new, ino=Path(new).stat().st_ino)

    def _made(self, _result: None, path: Any, *_: Any, **__: Any) -> None:
        where = _absolute(path)
        if self._is_ours(where):
            self._write(kind="mkdir", path=where, ino=Path(where).stat().st_ino)

    def _opened(self, descriptor: int, path: Any, flags: int, *_: Any, **__: Any) -> None:
        where = _absolute(path)
        if flags & os.O_EXCL and self._is_ours(where):
            self._write(kind="create", path=where, ino=os.fstat(descriptor).st_ino)

    def _is_ours(self, path: str) -> bool:
        return path.startswith(self._media) or f"{path}/" == self._media

    def _write(self, **line: Any) -> None:
        with self._lock:
            if self._file is None or self._pid != os.getpid():
                self._pid = os.getpid()
                self._file = (self._folder / f"{self._pid}-{time.monotonic_ns()}.jsonl").open(
                    "a", buffering=1
                )
            process = os.environ.get("VIDEOPROC_PROCESS", "")
            self._file.write(json.dumps({"at": time.monotonic_ns(), "process": process, **line}) + "\n")


def _absolute(path: Any) -> str:
    return str(Path(os.fspath(path)).absolute())


class _Clock:
    """What Python, Django and Celery take for the time of day. PostgreSQL's clock stays as it is."""

    def __init__(self, file: Path) -> None:
        self._file = str(file)
        self._real = time.time
        self._real_ns = time.time_ns

    def _ahead(self) -> int:
        try:
            return int(Path(self._file).read_text())
        except (OSError, ValueError):
            return 0

    def replace(self) -> None:
        import celery.worker.request  # noqa: PLC0415 - only in processes of the site
        from django.utils import timezone  # noqa: PLC0415

        time.time = lambda: self._real() + self._ahead()
        time.time_ns = lambda: self._real_ns() + self._ahead() * 10**9
        real_now = timezone.now
        timezone.now = lambda: real_now() + timedelta(seconds=self._ahead())
        ahead = self._ahead

        class Shifted(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # plain ones do
                return datetime.now(tz) + timedelta(seconds=ahead())

        celery.worker.request.datetime = Shifted
