"""Sizes that files promise in their own headers, for containers whose demuxers do not mind a missing end."""

from __future__ import annotations

import struct
from pathlib import Path

_HEAD = 65_536
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_BROADCAST = 1

_BOXED = frozenset({"mp4", "mov", "3gp", "m4a"})
# Whatever else follows a file of boxes is not part of it.
_BOXES = frozenset(
    {b"ftyp", b"moov", b"mdat", b"moof", b"mfra", b"sidx", b"free", b"skip", b"wide", b"uuid", b"meta"}
)
_MOST_BOXES = 10_000


def promised_size(path: Path, container: str) -> int | None:
    """How many bytes the file says it has at least; None where it does not say."""
    if container in _BOXED:
        return _boxes_end(path)
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if container == "avi" and head[:4] == b"RIFF":
        return _riff_size(head)
    if container == "wmv":
        return _asf_size(head)
    return None


def _riff_size(head: bytes) -> int | None:
    (length,) = struct.unpack_from("<I", head, 4)
    # Recorders that never finished their file leave these.
    return None if length in (0, 0xFFFFFFFF) else length + 8


def _asf_size(head: bytes) -> int | None:
    at = head.find(_ASF_FILE_PROPERTIES)
    if at < 0 or len(head) < at + 92:
        return None
    # After the object's id and size: file id (16), file size (8), six times and counts (48), flags.
    (size,) = struct.unpack_from("<Q", head, at + 40)
    (flags,) = struct.unpack_from("<I", head, at + 88)
    return None if flags & _ASF_BROADCAST or size == 0 else size


def _boxes_end(path: Path) -> int | None:
    """Where the last box of an MP4 ends by its own word; of very many fragments the first are looked at."""
    end = 0
    with path.open("rb") as file:
        for _ in range(_MOST_BOXES):
            file.seek(end)
            head = file.read(16)
            if len(head) < 8 or head[4:8] not in _BOXES:  # noqa: PLR2004 - size and kind
                break
            (size,) = struct.unpack_from(">I", head)
            if size == 1 and len(head) == 16:  # noqa: PLR2004 - with a long size
                (size,) = struct.unpack_from(">Q", head, 8)
            if size < 8:  # noqa: PLR2004 - 0 reaches to the end of the file, whatever that is
                break
            end += size
            if end > path.stat().st_size:
                break
    return end or None
