"""Files made to do harm, or simply broken: each is refused by name or handled, and all else left alone."""

from __future__ import annotations

import random
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.binaries import ffprobe_path
from engine.catalogue import parameters_for, plan_for
from engine.control import Control
from engine.execute import execute
from engine.intake import Intake, intake
from engine.types.limits import Limits
from engine.types.recipes import SOURCE
from problems import KINDS, Problem
from tests.engine.clips import H264, Clips, picture, sound
from tests.engine.conftest import Perform
from tests.engine.results import distance, frames, only, raw_probe

OK = "ok"
MP4 = [*H264, "-c:a", "aac", "-f", "mp4"]


def take_in(source: Path, work: Path) -> Intake:
    limits = Limits(probe_seconds=20, stall_seconds=20)
    return intake(source, work, limits=limits, on_progress=lambda _: None, control=Control())


def outcome(source: Path, work: Path) -> str:
    """The code it is refused with, or OK. What is taken in must also be fit for an encode."""
    try:
        worked_on(source, work)
    except Problem as problem:
        return problem.code
    return OK


def worked_on(source: Path, work: Path) -> None:
    media = take_in(source, work / "intake").media
    plan = plan_for("resize", parameters_for("resize", {"width": 32}), media)
    execute(
        plan,
        0,
        sources={SOURCE: source},
        work_dir=work / "work",
        limits=Limits(stall_seconds=20),
        on_progress=lambda _: None,
        control=Control(),
    )


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """An address in this machine that nobody may call."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server
        with pytest.raises(BlockingIOError):
            server.accept()


# ------------------------------------------------------------------------------------- building blocks


def small(clips: Clips, name: str = "small", *options: str) -> Path:
    return clips.made(f"{name}-mp4", *picture("64x64", seconds=1), *sound(seconds=1), *MP4, *options)


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def replaced(data: bytes, path: tuple[bytes, ...], change: Callable[[bytes], bytes]) -> bytes:
    """The boxes with the bodies of every box at `path` changed, and all sizes around them right."""
    out, at = b"", 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + size]
        if kind == path[0]:
            body = change(body) if len(path) == 1 else replaced(body, path[1:], change)
        out += box(kind, body)
        at += size
    return out


def patched(clips: Clips, name: str, path: tuple[bytes, ...], change: Callable[[bytes], bytes]) -> Path:
    return clips.written(name, replaced(small(clips).read_bytes(), path, change))


def put(at: int, value: bytes) -> Callable[[bytes], bytes]:
    return lambda body: body[:at] + value + body[at + len(value) :]


def mkv_lasting(clips: Clips, value: float) -> Path:
    """A Matroska file that claims to last so many milliseconds."""
    whole = clips.made("small-mkv", "-i", small(clips), "-c", "copy", "-f", "matroska").read_bytes()
    at = whole.index(b"\x44\x89\x88") + 3
    return clips.written(f"mkv-{value}", whole[:at] + struct.pack(">d", value) + whole[at + 8 :])


def elsewhere(clips: Clips, other: Path | None = None) -> Path:
    """A QuickTime file whose pictures are said to be in another user's file. What it has itself is empty."""
    place = str(other or clips.container("mp4")).encode()
    where = struct.pack(">hh", 2, len(place)) + place + b"\0" * (len(place) % 2)
    alias = b"\0\0\0\0" + bytes(10) + bytes(1 + 27) + bytes(12) + bytes(1 + 63) + bytes(16)
    alias += struct.pack(">hh", 0, 0) + bytes(16) + where + struct.pack(">hh", -1, 0)
    dref = struct.pack(">II", 0, 1) + box(b"alis", alias)
    way = (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref")
    hollow = replaced(small(clips).read_bytes(), (b"mdat",), lambda body: bytes(len(body)))
    return clips.written("dref", replaced(hollow, way, lambda _: dref))


def talking_avi(clips: Clips, text: bytes) -> Path:
    """An AVI with a subtitle track of the kind that holds a whole file, here a playlist."""
    sub = b"GAB2\0" + struct.pack("<HI", 2, 4) + b"x\0\0\0" + struct.pack("<HI", 4, len(text)) + text
    raw = clips.written("gab2-raw", sub.ljust(8000, b"\n"))
    avi = clips.made(
        "gab2-avi", *picture("64x64", seconds=1), "-f", "u8", "-ar", "8000", "-ac", "1", "-i", raw,
        "-c:v", "mpeg4", "-c:a", "pcm_u8", "-f", "avi",
    )  # fmt: skip
    return clips.written("gab2", avi.read_bytes().replace(b"auds", b"txts"))


def two_sizes(clips: Clips) -> Path:
    shapes = {"64x64": "0", "128x96": "1"}
    parts = [
        clips.made(f"ts-{size}", *picture(size, seconds=1), *H264, "-output_ts_offset", begin, "-f", "mpegts")
        for size, begin in shapes.items()
    ]
    return clips.written("two-sizes", b"".join(part.read_bytes() for part in parts))


def art_only(clips: Clips) -> Path:
    art = clips.made("art-jpg", *picture("64x64", seconds=1), "-frames:v", "1", "-f", "mjpeg")
    return clips.made(
        "art-only", *sound(seconds=1), "-f", "mjpeg", "-i", art, "-map", "0", "-map", "1", "-c:v", "copy",
        "-disposition:v:0", "attached_pic", "-f", "mp4",
    )  # fmt: skip


def attached(clips: Clips) -> Path:
    page = clips.written("page", b"<script>alert(1)</script>")
    return clips.made(
        "attached", "-i", small(clips), "-attach", page, "-metadata:s:t", "mimetype=text/html",
        "-metadata:s:t", "filename=../../evil.html", "-c", "copy", "-f", "matroska",
    )  # fmt: skip


def titled(clips: Clips) -> Path:
    title = '\u202etxt.exe\u2066 \U0001f600 "><img src=x onerror=alert(1)>' + "a" * 1_000_000
    tags = clips.written("tags", f";FFMETADATA1\ntitle={title}\n".encode())
    made = clips.made(
        "titled-raw", "-i", small(clips), "-i", tags, "-map_metadata", "1", "-c", "copy", "-f", "matroska"
    )
    return clips.written("titled-nul", made.read_bytes().replace(b"txt.exe", b"txt\0exe"))


def sparse(clips: Clips) -> Path:
    path = clips.written("sparse", b"")
    with path.open("r+b") as file:
        file.truncate(50 * 1024**3)
    return path


def deep(levels: int) -> bytes:
    """Boxes inside boxes, each of its true size."""
    data = b""
    for _ in range(levels):
        data = box(b"moov", data)
    return data


FTYP = box(b"ftyp", b"isom\0\0\2\0isomiso2avc1mp41")
MATROSKA = b"\x1a\x45\xdf\xa3\x93\x42\x86\x81\x01\x42\xf7\x81\x01\x42\x82\x88matroska"

# Name -> what it must lead to, and how it is made. The numbers are those of a list of hostile inputs.
FILES: dict[str, tuple[str, Callable[[Clips], Path]]] = {
    "3 ffconcat after a byte order mark": (
        "unsupported_format",
        lambda c: c.written("concat", b"\xef\xbb\xbfffconcat version 1.0\nfile /etc/passwd\n"),
    ),
    "4 SMIL": (
        "unsupported_format",
        lambda c: c.written("smil", b"<smil><video src='file:///etc/passwd'/></smil>"),
    ),
    "4 M3U without its header": ("not_a_video", lambda c: c.written("m3u", b"/etc/passwd\n" * 40)),
    "6 pictures in another file": ("input_truncated", elsewhere),
    "7 HTML": ("not_a_video", lambda c: c.written("html", b"<!doctype html><video src=//x></video>" * 9)),
    "7 ZIP": ("not_a_video", lambda c: c.written("zip", b"PK\3\4" + bytes(range(256)) * 9)),
    "10 a picture of one column": (
        OK,
        lambda c: c.made(
            "column", "-f", "lavfi", "-i", "color=s=2x16384:r=5:d=1", "-c:v", "mjpeg", "-f", "matroska"
        ),
    ),
    "10 odd sides": (
        OK,
        lambda c: c.made("odd", *picture("65x33", seconds=1), "-c:v", "mpeg4", "-f", "matroska"),
    ),
    "10 no size at all": (
        OK,
        lambda c: patched(c, "no-size", (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"), no_size),
    ),
    "11 the size changes in the middle": (OK, two_sizes),
    "14 it lasts 2^63": (OK, lambda c: mkv_lasting(c, 2.0**63)),
    "14 it lasts NaN": (OK, lambda c: mkv_lasting(c, float("nan"))),
    "14 it lasts -1": (OK, lambda c: mkv_lasting(c, -1.0)),
    "14 it lasts for ever": (OK, lambda c: mkv_lasting(c, float("inf"))),
    "14 no duration in MP4": (
        OK,
        lambda c: patched(c, "mp4-0", (b"moov", b"mvhd"), put(16, bytes(4))),
    ),
    "15 a hundred thousand empty fragments": (
        "no_video_stream",
        lambda c: c.written("moofs", FTYP + box(b"moov", box(b"mvhd", bytes(100))) + box(b"moof") * 100_000),
    ),
    "17 an index of 500 MB that is not there": (
        "input_truncated",
        lambda c: c.written("moov-500", FTYP + struct.pack(">I4s", 500_000_000, b"moov") + bytes(5000)),
    ),
    "18 ten thousand boxes in boxes": ("not_a_video", lambda c: c.written("deep", FTYP + deep(2000))),
    "18 a box of size 1 that overflows": (
        "input_truncated",
        lambda c: c.written("overflow", FTYP + struct.pack(">I4sQ", 1, b"moov", 2**64 - 1) + bytes(99)),
    ),
    "18 a box of size 0": (
        "no_video_stream",
        lambda c: c.written("zero", FTYP + struct.pack(">I4s", 0, b"moov") + bytes(99)),
    ),
    "19 an EBML element of 2^56 bytes": (
        "not_a_video",
        lambda c: c.written("ebml", MATROSKA + b"\x18\x53\x80\x67\x01" + b"\xff" * 7 + bytes(999)),
    ),
    "22 a sparse file of 50 GB": ("not_a_video", sparse),
    "23 only its first box": ("input_truncated", lambda c: c.written("ftyp", FTYP)),
    "24 only cover art": ("no_video_stream", art_only),
    "28 an attachment that climbs": (OK, attached),
    "29 a title of a megabyte": (OK, titled),
    "30 a page behind the video": (
        OK,
        lambda c: c.written("polyglot", small(c).read_bytes() + b"<script>alert(1)</script><?php ?>"),
    ),
}


def no_size(body: bytes) -> bytes:
    at = body.find(b"avc1")
    return body if at < 0 else put(at + 28, bytes(4))(body)


@pytest.mark.parametrize("name", FILES)
def test_hostile_files(clips: Clips, tmp_path: Path, name: str) -> None:
    expected, make = FILES[name]
    source = make(clips)
    before = sorted(source.parent.rglob("*"))
    assert outcome(source, tmp_path) == expected
    assert sorted(source.parent.rglob("*")) == before
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize("kind", ["hls", "avi with a playlist"])
def test_no_file_makes_a_call(clips: Clips, tmp_path: Path, listener: socket.socket, kind: str) -> None:
    """2 and 5: playlists that lead to an address, as a file and inside an AVI."""
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/x.ts"
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{address}\n#EXT-X-ENDLIST\n".encode()
    source = clips.written("calling", playlist) if kind == "hls" else talking_avi(clips, playlist)
    assert (
        outcome(source, tmp_path)
        in {
            "hls": {"unsupported_format"},
            "avi with a playlist": {"unsupported_format", "unsupported_codec", OK},
        }[kind]
    )


def test_what_a_title_holds_is_kept_harmless(clips: Clips, tmp_path: Path) -> None:
    title = take_in(titled(clips), tmp_path).media.title
    assert title is not None
    assert len(title) <= 200
    assert title.isprintable()


@pytest.mark.parametrize("name", ["alpha", "uneven", "negative"])
def test_odd_sources_give_whole_results(clips: Clips, perform: Perform, name: str) -> None:
    """25: what other tests do not look at. Every picture is there, at its time, and none is see-through."""
    options = {
        "alpha": ["-vf", "format=yuva420p", "-c:v", "libvpx-vp9", "-deadline", "realtime", "-f", "webm"],
        "uneven": ["-vf", "select='gt(random(1),0.5)'", "-fps_mode", "vfr", *H264, "-f", "mp4"],
        "negative": [*H264, "-bf", "3", "-avoid_negative_ts", "disabled", "-f", "matroska"],
    }[name]
    source = clips.made(f"odd-{name}", *picture("64x64"), *options)
    path = only(perform("convert", {"format": "mp4", "quality": "high"}, source)).path
    stream = raw_probe(path)["streams"][0]
    assert stream["pix_fmt"] == "yuv420p"
    was, now = frames(source), frames(path)
    assert len(now) == len(was)
    assert max(distance(one, other) for one, other in zip(was, now, strict=True)) < 12
    assert times(path) == pytest.approx(times(source), abs=0.002)


def times(path: Path) -> list[float]:
    """When each picture is shown, after the first."""
    command = [str(ffprobe_path()), "-v", "error", "-select_streams", "v", "-show_entries", "packet=pts_time"]
    text = subprocess.run([*command, "-of", "csv=p=0", path], check=True, capture_output=True).stdout.decode()
    found = sorted(float(line.strip(",")) for line in text.split())
    return [moment - found[0] for moment in found]


@pytest.mark.parametrize("seed", range(4))
def test_scratched_files_end_in_an_answer(clips: Clips, tmp_path: Path, seed: int) -> None:
    """21: one byte in five hundred is another. Whatever comes of it, it has a name and an end."""
    chance = random.Random(seed)  # noqa: S311 - repeatable damage, no secret
    data = bytearray(small(clips).read_bytes())
    for _ in range(len(data) // 500):
        data[chance.randrange(len(data))] = chance.randrange(256)
    code = outcome(clips.written(f"scratched-{seed}", bytes(data)), tmp_path)
    assert code == OK or code in KINDS
