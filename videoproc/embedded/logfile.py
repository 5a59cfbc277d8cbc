"""One process's log: appended to by the process itself, kept short by the supervisor."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

LARGEST_BYTES = 10 * 1024**2
KEPT_BEFORE = 2
LOOK_EACH_SECONDS = 5.0
TAIL_BYTES = 4000


@dataclass(slots=True)
class LogFile:
    """The newest lines are in `path`, older ones in `path`.1 and .2."""

    path: Path
    _looked_at: float = 0.0

    def open(self) -> IO[bytes]:
        """For a child to write to. It must append: the file is cut under its hands when it gets large."""
        self.path.touch(mode=0o640)
        return self.path.open("ab")

    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def since(self, offset: int) -> bytes:
        """All that was written after `offset`."""
        with self.path.open("rb") as stream:
            stream.seek(offset)
            return stream.read()

    def tail(self, offset: int) -> str:
        """The last lines that were written after `offset`, for a person to read."""
        return self.since(max(offset, self.size() - TAIL_BYTES)).decode(errors="replace").strip()

    def rotate_if_large(self) -> None:
        """Copy a large log aside and empty it. What is written between the two is lost: a line or so."""
        if time.monotonic() - self._looked_at < LOOK_EACH_SECONDS:
            return
        self._looked_at = time.monotonic()
        if self.size() < LARGEST_BYTES:
            return
        for number in range(KEPT_BEFORE, 1, -1):
            older = self._numbered(number - 1)
            if older.exists():
                older.replace(self._numbered(number))
        shutil.copyfile(self.path, self._numbered(1))
        with self.path.open("r+b") as stream:
            stream.truncate(0)

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")
