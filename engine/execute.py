"""Runs one step of a plan: ffmpeg, verification, checksums, fsync. The jobs floor calls only this."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.types import Artifact, Limits, Plan, Progress


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a finished step leaves: files in the working directory, CPU seconds used, the log's tail."""

    artifacts: tuple[Artifact, ...]
    cpu_seconds: float
    log: str


def execute(
    plan: Plan,
    position: int,
    *,
    source: Path,
    work_dir: Path,
    limits: Limits,
    on_progress: Callable[[Progress], None],
    stop: threading.Event,
) -> StepResult:
    """Run the step at `position`."""
    raise NotImplementedError
