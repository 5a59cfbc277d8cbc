"""More files made to do harm: bombs, and shapes that only somebody who means it would make."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.control import Control
from engine.small_files import small_file_intake
from problems import Problem
from tests.engine.clips import H264, Clips, picture
from tests.engine.test_hostile import FTYP, OK, outcome, patched, replaced, small


def thousand_tracks(clips: Clips) -> Path:
    """16: the same track a thousand times."""

    def many(body: bytes) -> bytes:
        (size,) = struct.unpack_from(">I", body, body.index(b"trak") - 4)
        begin = body.index(b"trak") - 4
        return body + body[begin : begin + size] * 1000

    return clips.written("tracks", replaced(small(clips).read_bytes(), (b"moov",), many))


def million_samples(clips: Clips) -> Path:
    """15: a table that promises a million frames of one byte each."""

    def sizes(_: bytes) -> bytes:
        return struct.pack(">III", 0, 1, 1_000_000)

    path = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsz")
    return clips.written("samples", replaced(small(clips).read_bytes(), path, sizes))


def live_matroska(clips: Clips) -> Path:
    """19: clusters that do not say how long they are."""
    return clips.made("live", "-i", small(clips), "-c", "copy", "-f", "matroska", "-live", "1")


def billion_lines(clips: Clips) -> Path:
    """27: subtitles in the video that would be a million lines."""
    words = b"".join(
        b"%d\n00:00:00,000 --> 00:00:01,000\n<script>x</script>{\\fs999}\n\n" % n for n in range(20_000)
    )
    text = clips.written("lines", words)
    return clips.made(
        "lines-mkv",
        "-i",
        small(clips),
        "-f",
        "srt",
        "-i",
        text,
        "-c",
        "copy",
        "-c:s",
        "srt",
        "-f",
        "matroska",
    )


SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>"
SDP = b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=video 9 RTP/AVP 96\r\n"
GIF_FRAME = b"\x2c" + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\x08\x01\0\0"
MOVING_GIF = b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0x80, 0, 0) + bytes(6) + GIF_FRAME * 500 + b";"

FILES: dict[str, tuple[set[str], Callable[[Clips], Path]]] = {
    "7 SVG with a picture of another file": (
        {"unsupported_format"},
        lambda c: c.written("svg", SVG * 9),
    ),
    "4 SDP": ({"unsupported_format"}, lambda c: c.written("sdp", SDP)),
    "4 DASH that leads to an address": (
        {"unsupported_format"},
        lambda c: c.written(
            "mpd", b"<?xml version='1.0'?><MPD><BaseURL>http://127.0.0.1:9/</BaseURL></MPD>" * 9
        ),
    ),
    "10 as wide as a number can be": (
        {"too_large_dimensions", "input_corrupt", "not_a_video", OK},
        lambda c: patched(c, "wide", (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"), wide),
    ),
    "15 a million samples that are not there": ({"input_truncated", "input_corrupt", OK}, million_samples),
    "16 a thousand tracks": ({"too_many_streams"}, thousand_tracks),
    "18 a box that is larger than the file": (
        {"input_truncated"},
        lambda c: c.written("larger", FTYP + struct.pack(">I4s", 0x7FFFFFFF, b"mdat") + bytes(99)),
    ),
    "19 clusters without an end": ({OK}, live_matroska),
    "23 one byte": ({"not_a_video"}, lambda c: c.written("byte", b"\0")),
    "24 a picture without sound": (
        {OK},
        lambda c: c.made("mute", *picture("64x64", seconds=1), *H264, "-f", "mp4"),
    ),
    "27 twenty thousand lines": ({OK}, billion_lines),
    "32 a moving picture of gigabytes": (
        {"unsupported_format"},
        lambda c: c.written("gif", MOVING_GIF),
    ),
}


def wide(body: bytes) -> bytes:
    at = body.find(b"avc1")
    return body if at < 0 else body[: at + 28] + struct.pack(">HH", 65535, 1) + body[at + 32 :]


@pytest.mark.parametrize("name", FILES)
def test_more_hostile_files(clips: Clips, tmp_path: Path, name: str) -> None:
    expected, make = FILES[name]
    assert outcome(make(clips), tmp_path) in expected


# -------------------------------------------------------------------------------------- small files


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def moving_png() -> bytes:
    """32: a PNG of ten thousand pictures."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 6, 0, 0, 0)) + chunk(
        b"acTL", struct.pack(">II", 10_000, 0)
    )
    pixels = zlib.compress((b"\0" + bytes(64)) * 16)
    control = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 16, 16, 0, 0, 1, 10, 0, 0))
    frames = b"".join(
        chunk(b"fcTL", struct.pack(">IIIIIHHBB", 2 * n + 1, 16, 16, 0, 0, 1, 10, 0, 0))
        + chunk(b"fdAT", struct.pack(">I", 2 * n + 2) + pixels)
        for n in range(2000)
    )
    return b"\x89PNG\r\n\x1a\n" + head + control + chunk(b"IDAT", pixels) + frames + chunk(b"IEND", b"")


def zipped() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("words.srt", b"\0" * 50_000_000)
    return made.getvalue()


MOVING_WEBP = (
    b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<IIHBHB", 10, 2, 0xFFFF, 0xFF, 0xFFFF, 0xFF)
)

SMALL_FILES: dict[str, tuple[set[str], bytes]] = {
    "31 gzip": ({"not_an_asset"}, gzip.compress(b"\0" * 50_000_000)),
    "31 zip": ({"not_an_asset"}, zipped()),
    "32 GIF": ({"not_an_asset"}, b"GIF89a" + struct.pack("<HH", 65535, 65535) + bytes(999)),
    "32 a PNG that moves": ({OK}, moving_png()),
    "32 a WebP that moves and is too large": ({"not_an_asset", "too_large_dimensions"}, MOVING_WEBP),
}


@pytest.mark.parametrize("name", SMALL_FILES)
def test_hostile_small_files(tmp_path: Path, name: str) -> None:
    """31 and 32: what unpacks to much more than it is."""
    expected, data = SMALL_FILES[name]
    source, work = tmp_path / "source", tmp_path / "work"
    source.write_bytes(data)
    work.mkdir()
    code = OK
    try:
        made = small_file_intake(source, work, control=Control())
    except Problem as problem:
        code = problem.code
    else:
        assert made.path.stat().st_size < 100_000, "one picture of it is kept"
    assert code in expected
