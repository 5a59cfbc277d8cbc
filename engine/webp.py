"""Reads the frame of an animated WebP file, which the probe of the default wheel cannot.

A file is a RIFF list: `VP8X` with the size of the canvas, then an `ANMF` for each picture.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

_HEADER = 12
_CHUNK = 8
_CANVAS = 10
_FRAME = 16


@dataclass(frozen=True, slots=True)
class Animation:
    """Size of the canvas, number of pictures, seconds of one round; `whole` if nothing is missing."""

    width: int
    height: int
    pictures: int
    duration: float
    whole: bool


def read_animation(path: Path) -> Animation | None:
    """What the file says of itself; None when it is no animated WebP."""
    size = path.stat().st_size
    width = height = pictures = milliseconds = 0
    with path.open("rb") as file:
        head = file.read(_HEADER)
        if len(head) < _HEADER or head[:4] != b"RIFF" or head[8:] != b"WEBP":
            return None
        end = min(size, struct.unpack("<I", head[4:8])[0] + 8)
        whole = end == size
        position = _HEADER
        while position + _CHUNK <= end:
            file.seek(position)
            name, length = struct.unpack("<4sI", file.read(_CHUNK))
            if name == b"VP8X":
                canvas = file.read(_CANVAS)
                width = int.from_bytes(canvas[4:7], "little") + 1
                height = int.from_bytes(canvas[7:10], "little") + 1
            elif name == b"ANMF":
                pictures += 1
                milliseconds += int.from_bytes(file.read(_FRAME)[12:15], "little")
            position += _CHUNK + length + length % 2
    if not width or not pictures:
        return None
    return Animation(width, height, pictures, milliseconds / 1000, whole and position == end)
