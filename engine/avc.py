"""H.264 parameter sets in the header of an MP4 file.

A file joined of pieces that different encoders made needs the parameter sets of each. ffmpeg writes those of
the first piece into the header and leaves the others among the pictures, where strict players do not look.

Layout: ISO/IEC 14496-12 (boxes) and 14496-15, 5.3.3.1 (AVCDecoderConfigurationRecord).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SEQUENCE, _PICTURE = 7, 8  # kinds of parameter sets
_KIND = 0x1F
_COUNT = 0x1F
_START_CODE = re.compile(rb"\x00\x00\x00?\x01")
# Where `avcC` is: each box inside the one before it, after so many bytes that are no boxes.
_WAY = ((b"moov", 0), (b"trak", 0), (b"mdia", 0), (b"minf", 0), (b"stbl", 0), (b"stsd", 8), (b"avc1", 78))
_LARGEST_HEADER = 64 * 1024**2


class NoPlace(ValueError):
    """The file has no header that more parameter sets could be put into."""


@dataclass(frozen=True, slots=True)
class _Box:
    start: int
    kind: bytes
    end: int


def add_parameter_sets(path: Path, raw: Path) -> None:
    """Put the parameter sets at the beginning of `raw` (H.264 with start codes) into the header of `path`.

    The header has to be at the end of the file, as ffmpeg leaves it unless told otherwise; pictures stay
    where they are. Raises NoPlace.
    """
    sets = _parameter_sets(raw)
    with path.open("r+b") as file:
        begin = _header(path)
        file.seek(begin)
        header = bytearray(file.read())
        way = _way(header)
        record = next(
            (box for box in _boxes(header, way[-1].start + 8 + 78, way[-1].end) if box.kind == b"avcC"), None
        )
        if record is None:
            raise NoPlace("no H.264 configuration")
        old = bytes(header[record.start + 8 : record.end])
        new = _extended(old, sets)
        header[record.start + 8 : record.end] = new
        for box in (*way, record):
            size = box.end - box.start + len(new) - len(old)
            header[box.start : box.start + 4] = struct.pack(">I", size)
        file.seek(begin)
        file.write(header)


def _parameter_sets(raw: Path) -> list[bytes]:
    with raw.open("rb") as file:
        beginning = file.read(64 * 1024)
    units = [unit for unit in _START_CODE.split(beginning) if unit]
    return [unit for unit in units if unit[0] & _KIND in (_SEQUENCE, _PICTURE)]


def _header(path: Path) -> int:
    """Where the last box begins, which must be the header."""
    size = path.stat().st_size
    with path.open("rb") as file:
        position = 0
        while position < size:
            file.seek(position)
            length, kind = struct.unpack(">I4s", file.read(8))
            if length == 1:
                (length,) = struct.unpack(">Q", file.read(8))
            if length < 8:  # noqa: PLR2004 - the smallest box
                break
            if position + length == size and kind == b"moov" and length < _LARGEST_HEADER:
                return position
            position += length
    raise NoPlace("the header is not at the end")


def _boxes(data: bytearray, start: int, end: int) -> Iterator[_Box]:
    while start + 8 <= end:
        length, kind = struct.unpack_from(">I4s", data, start)
        if length < 8 or start + length > end:  # noqa: PLR2004 - the smallest box
            return
        yield _Box(start, kind, start + length)
        start += length


def _way(header: bytearray) -> list[_Box]:
    """The boxes around the configuration, the outermost first; the first track that has one counts."""
    found = _descend(header, 0, len(header), list(_WAY))
    if found is None:
        raise NoPlace("no H.264 track")
    return found


def _descend(header: bytearray, start: int, end: int, way: list[tuple[bytes, int]]) -> list[_Box] | None:
    if not way:
        return []
    (kind, skipped), *further = way
    for box in _boxes(header, start, end):
        if box.kind != kind:
            continue
        rest = _descend(header, box.start + 8 + skipped, box.end, further)
        if rest is not None:
            return [box, *rest]
    return None


def _extended(record: bytes, sets: list[bytes]) -> bytes:
    """The configuration record with the parameter sets it does not have yet.

    version, profile, compatibility, level, 6 bits + size of lengths, 3 bits + number of sequence parameter
    sets, these, the number of picture parameter sets, these, and for some profiles four bytes more.
    """
    position = 5
    kinds: list[list[bytes]] = []
    for _ in range(2):
        count = record[position] & (_COUNT if not kinds else 0xFF)
        position += 1
        known = []
        for _ in range(count):
            (length,) = struct.unpack_from(">H", record, position)
            known.append(record[position + 2 : position + 2 + length])
            position += 2 + length
        kinds.append(known)
    for kind, known in zip((_SEQUENCE, _PICTURE), kinds, strict=True):
        known += [unit for unit in sets if unit[0] & _KIND == kind and unit not in known]
    sequence, picture = kinds
    return b"".join(
        [
            record[:5],
            bytes([0xE0 | len(sequence)]),
            *(struct.pack(">H", len(unit)) + unit for unit in sequence),
            bytes([len(picture)]),
            *(struct.pack(">H", len(unit)) + unit for unit in picture),
            record[position:],
        ]
    )
