"""Processes of an earlier run that was killed: found by pid and start time, and ended before a new start.

Their parent-death signal ends them, but PostgreSQL may still be writing its last checkpoint.
"""

from __future__ import annotations

import contextlib
import json
import signal
from dataclasses import dataclass, field
from pathlib import Path

import psutil

PATIENCE_SECONDS = 10.0


@dataclass(slots=True)
class Register:
    """The file that names the processes of the current run."""

    file: Path
    _processes: dict[str, float] = field(default_factory=dict)

    def note(self, pid: int) -> None:
        """Remember a process that was just started."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._processes[str(pid)] = psutil.Process(pid).create_time()
        alive = {pid: at for pid, at in self._processes.items() if psutil.pid_exists(int(pid))}
        self._processes = alive
        draft = self.file.with_name(f"{self.file.name}.new")
        draft.write_text(json.dumps(alive), encoding="ascii")
        draft.replace(self.file)

    def clear(self) -> None:
        """Forget all: they were stopped."""
        self._processes = {}
        self.file.unlink(missing_ok=True)

    def end_earlier(self) -> int:
        """End what is left of an earlier run; how many processes that were."""
        found = list(self._alive())
        for leftover in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                # Fast shutdown for PostgreSQL, an ordinary stop for all others.
                is_postgres = leftover.name().startswith("postgres")
                leftover.send_signal(signal.SIGINT if is_postgres else signal.SIGTERM)
        _, stubborn = psutil.wait_procs(found, timeout=PATIENCE_SECONDS)
        for leftover in stubborn:
            with contextlib.suppress(psutil.NoSuchProcess):
                leftover.kill()
        psutil.wait_procs(stubborn, timeout=2)
        self.clear()
        return len(found)

    def _alive(self) -> list[psutil.Process]:
        try:
            recorded = json.loads(self.file.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return []
        found = []
        for pid, started in recorded.items():
            with contextlib.suppress(psutil.NoSuchProcess):
                candidate = psutil.Process(int(pid))
                # A pid is used again one day; the start time tells the two apart.
                if abs(candidate.create_time() - started) < 1.0:
                    found.append(candidate)
        return found
