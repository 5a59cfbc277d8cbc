"""What happens to every upload: is it a video that may be worked on, and what does it hold?"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.types import Artifact, Limits, MediaInfo, Progress


@dataclass(frozen=True, slots=True)
class Intake:
    """An accepted video: what it holds, its checksum, a picture of it, and CPU seconds used."""

    media: MediaInfo
    sha256: str
    thumbnail: Artifact | None
    cpu_seconds: float


def intake(
    source: Path,
    work_dir: Path,
    *,
    limits: Limits,
    on_progress: Callable[[Progress], None],
    stop: threading.Event,
) -> Intake:
    """Inspect an upload."""
    raise NotImplementedError
