"""Clips made from nothing, for first-time users, the self-check and the tests."""

from __future__ import annotations

from pathlib import Path


def sample_clip(
    path: Path,
    *,
    seconds: float = 10.0,
    width: int = 1920,
    height: int = 1080,
    fps: int = 30,
    audio: bool = True,
) -> None:
    """Write an mp4 (H.264, AAC) with moving colours and a soft chord to `path`."""
    raise NotImplementedError
