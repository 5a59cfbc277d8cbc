"""Bytes on disk: checksums that can be interrupted, and files that survive a power cut."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from engine.control import Control

_BLOCK = 1024 * 1024


def sha256_of(path: Path, *, control: Control, on_bytes: Callable[[int], None] | None = None) -> str:
    """The SHA-256 of a file as hex digits; `on_bytes` is told the bytes read so far. Raises Stopped."""
    digest = hashlib.sha256()
    buffer = bytearray(_BLOCK)
    view = memoryview(buffer)
    done = 0
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            control.checkpoint()
            digest.update(view[:count])
            done += count
            if on_bytes is not None:
                on_bytes(done)
    return digest.hexdigest()


def sync_file(path: Path) -> None:
    """Bring a file's bytes to the disk."""
    _sync(path, os.O_RDONLY)


def sync_directory(path: Path) -> None:
    """Bring a directory's names to the disk, without which a new file may be gone after a power cut."""
    _sync(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
