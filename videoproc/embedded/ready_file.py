"""How a process without a socket says that it is up: it touches the file that the supervisor named."""

from __future__ import annotations

import os
from pathlib import Path


def announce_ready(**_: object) -> None:
    """Receiver of Celery's `worker_ready` and `beat_init`; does nothing outside a supervisor."""
    if file := os.environ.get("VIDEOPROC_READY_FILE"):
        Path(file).touch()
