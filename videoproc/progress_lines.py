"""How far a long command has come: a bar on a terminal, a line a second elsewhere."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Protocol

_SECONDS_BETWEEN_LINES = 1.0
_SECONDS_BETWEEN_DRAWINGS = 0.1
_WIDTH = 30


class Screen(Protocol):
    """Where the lines go: Django's wrapper of stderr."""

    def write(self, msg: str = "", *, ending: str | None = None) -> None: ...
    def isatty(self) -> bool: ...


class ProgressLines:
    """Call it with a stage, how many are done, and of how many."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._bar = screen.isatty()
        self._stage = ""
        self._began = self._last = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._began, self._last = stage, now, 0.0
        pause = _SECONDS_BETWEEN_DRAWINGS if self._bar else _SECONDS_BETWEEN_LINES
        if done != total and now - self._last < pause:
            return
        self._last = now
        line = f"{stage}: {done} of {total}{_left(now - self._began, done, total)}"
        if not self._bar:
            self._screen.write(line)
            return
        filled = _WIDTH * done // max(total, 1)
        ending = "\n" if done == total else ""
        self._screen.write(f"\r[{'#' * filled}{'.' * (_WIDTH - filled)}] {line}\x1b[K", ending=ending)


def _left(seconds: float, done: int, total: int) -> str:
    """About how long it still takes, once that can be guessed."""
    if done in {0, total} or seconds < _SECONDS_BETWEEN_LINES:
        return ""
    return f", {timedelta(seconds=round(seconds / done * (total - done)))} left"
