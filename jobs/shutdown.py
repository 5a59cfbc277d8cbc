"""How the children of a worker learn that it shuts down.

Celery tells its pool children nothing on a warm shutdown and waits for what they run, which may be
hours of encoding. So the main process makes a pipe before it forks and writes one byte when it is asked
to stop. Nobody reads it: the pipe stays readable, for every child, until all are gone.
"""

from __future__ import annotations

import os
import select

_pipe: tuple[int, int] | None = None
_main_process = 0


def prepare() -> None:
    """In the main process, before the pool forks."""
    global _pipe, _main_process  # noqa: PLW0603 - one worker for each process, and it must exist before the fork
    if _pipe is None:
        _pipe = os.pipe()
        _main_process = os.getpid()


def orphaned() -> bool:
    """In a child: whether the main process is gone already."""
    return _main_process not in {0, os.getppid()}


def request() -> None:
    """In the main process: children hand back what they run and take nothing new. Safe to repeat."""
    if _pipe is not None:
        os.write(_pipe[1], b".")


def requested() -> bool:
    """In a child: whether the worker shuts down."""
    return _pipe is not None and bool(select.select([_pipe[0]], [], [], 0)[0])
