"""Reads the boxes of fragmented MP4 files that this engine wrote: where each segment is, and how long.

Only the heads of boxes are read, so a file of many gigabytes costs some seeks. Everything must lie end to
end: a file that was cut short, or whose disk was full, is not sound.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_LARGEST_HEADER = 1_000_000
_HEAD = 8
_LONG_HEAD = 16
_PICTURE_ENTRY = 86  # bytes before the boxes inside a sample entry of a picture
_STARTS_WITH_KEY = 0x8000_0000
_SIZE_BITS = 0x7FFF_FFFF


class Unsound(ValueError):
    """The file is not a whole row of segments; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Segment:
    """`size` bytes from `offset` on that hold what is shown from `start` for `duration` seconds."""

    offset: int
    size: int
    start: float
    duration: float

    @property
    def bit_rate(self) -> float:
        return self.size * 8 / self.duration


@dataclass(frozen=True, slots=True)
class Fragments:
    """A file's segments, after `header` bytes that each of them needs. `codec` is as RFC 6381 writes it."""

    header: int
    codec: str
    segments: tuple[Segment, ...]

    @property
    def duration(self) -> float:
        return sum(segment.duration for segment in self.segments)

    @property
    def peak_bit_rate(self) -> float:
        return max(segment.bit_rate for segment in self.segments)

    @property
    def bit_rate(self) -> float:
        return sum(segment.size for segment in self.segments) * 8 / self.duration


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    offset: int
    size: int
    head: int

    @property
    def end(self) -> int:
        return self.offset + self.size


def fragments_of(path: Path) -> Fragments:
    """The segments of a file. Raises Unsound."""
    with path.open("rb") as file:
        boxes = _boxes(file, path.stat().st_size)
        if [box.kind for box in boxes[:2]] != [b"ftyp", b"moov"] or boxes[1].size > _LARGEST_HEADER:
            raise Unsound("it does not begin with its header")
        segments = []
        rest = boxes[2:]
        for index, moof, mdat in zip(rest[::3], rest[1::3], rest[2::3], strict=False):
            if (index.kind, moof.kind, mdat.kind) != (b"sidx", b"moof", b"mdat"):
                raise Unsound(f"there is no segment at byte {index.offset}")
            segments.append(_segment(_content(file, index), index, moof, mdat))
        if not segments or len(rest) != 3 * len(segments):
            raise Unsound("its last segment is not whole")
        return Fragments(
            header=boxes[1].end, codec=_codec(_content(file, boxes[1])), segments=tuple(segments)
        )


def _boxes(file: BinaryIO, length: int) -> list[_Box]:
    found = []
    offset = 0
    while offset < length:
        file.seek(offset)
        box = _box(file.read(_LONG_HEAD), offset)
        if box is None or box.end > length:
            raise Unsound(f"it is cut off at byte {length}")
        found.append(box)
        offset = box.end
    return found


def _box(head: bytes, offset: int) -> _Box | None:
    if len(head) < _HEAD:
        return None
    size, kind = struct.unpack_from(">I4s", head)
    if size == 1 and len(head) == _LONG_HEAD:
        return _Box(kind, offset, struct.unpack_from(">Q", head, _HEAD)[0], _LONG_HEAD)
    return _Box(kind, offset, size, _HEAD) if size >= _HEAD else None


def _content(file: BinaryIO, box: _Box) -> bytes:
    file.seek(box.offset + box.head)
    return file.read(box.size - box.head)


def _segment(index: bytes, at: _Box, moof: _Box, mdat: _Box) -> Segment:
    """A segment by its index, which has to agree with the boxes that follow."""
    try:
        (scale,) = struct.unpack_from(">I", index, 8)
        start, ahead = struct.unpack_from(">QQ" if index[0] else ">II", index, 12)
        place = 28 if index[0] else 20
        count, size, ticks, access = struct.unpack_from(">xxHIII", index, place)
    except (struct.error, IndexError):
        raise Unsound(f"the index at byte {at.offset} is not whole") from None
    if count != 1 or ahead or not scale or not ticks or mdat.size <= mdat.head:
        raise Unsound(f"the segment at byte {at.offset} is empty")
    if size & _SIZE_BITS != moof.size + mdat.size or not access & _STARTS_WITH_KEY:
        raise Unsound(f"the segment at byte {at.offset} is not what its index says")
    return Segment(offset=at.offset, size=mdat.end - at.offset, start=start / scale, duration=ticks / scale)


def _codec(moov: bytes) -> str:
    """The codec with profile and level, from the description of the only track."""
    inside = moov
    for kind in (b"trak", b"mdia", b"minf", b"stbl", b"stsd"):
        inside = _within(inside, kind)
    entry = next(_inside(inside[_HEAD:]), None)
    if entry is None:
        raise Unsound("its header names no codec")
    kind, content = entry
    boxes = content[_PICTURE_ENTRY - _HEAD :]
    if kind == b"avc1":
        profile, compatible, level = _within(boxes, b"avcC")[1:4]
        return f"avc1.{profile:02x}{compatible:02x}{level:02x}"
    if kind == b"av01":
        _, levels, bits = _within(boxes, b"av1C")[:3]
        depth = 8 if not bits & 0x40 else 12 if bits & 0x20 else 10
        return f"av01.{levels >> 5}.{levels & 31:02d}{'H' if bits & 0x80 else 'M'}.{depth:02d}"
    if kind == b"mp4a":
        return "mp4a.40.2"
    raise Unsound(f"its codec {kind!r} is none that is streamed")


def _within(content: bytes, kind: bytes) -> bytes:
    for found, inside in _inside(content):
        if found == kind:
            return inside
    raise Unsound(f"its header has no {kind.decode()}")


def _inside(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    offset = 0
    while (box := _box(content[offset : offset + _LONG_HEAD], offset)) is not None:
        yield box.kind, content[offset + box.head : box.end]
        offset = box.end
