"""What was asked, answered and broken, and when: one line of JSON each, for people and the checker."""

from __future__ import annotations

import itertools
import json
import threading
import time
from pathlib import Path
from typing import Any


class History:
    """Safe for threads. Times are seconds since the epoch, as in the audit of PostgreSQL."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.lines: list[dict[str, Any]] = []
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._output = file.open("w", encoding="utf-8", buffering=1)

    def note(self, process: str, event: str, **more: Any) -> dict[str, Any]:
        """Adds one line. `process` is a client, the nemesis, or the checker."""
        line = {
            "n": next(self._numbers),
            "at": round(time.time(), 3),
            "process": process,
            "event": event,
            **more,
        }
        with self._lock:
            self.lines.append(line)
            self._output.write(json.dumps(line, default=str) + "\n")
        return line

    def close(self) -> None:
        self._output.close()
