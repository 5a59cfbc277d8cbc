"""Pictures and subtitles that people send: accepted ones are made anew, all others are refused."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from engine.control import Control
from engine.small_files import LONGEST_SIDE, SmallFile, small_file_intake
from engine.words import cues_of
from problems import Problem
from tests.engine.clips import Clips, ffmpeg
from tests.engine.results import raw_probe

SRT = b"1\n00:00:00,000 --> 00:00:01,000\n<script>Hi</script>\n\n"
VTT = b"WEBVTT\n\nSTYLE\n::cue { color: red }\n\n00:00.500 --> 00:01.000 align:start\n<v Bob>Hi &lt;you&gt;\n"
ASS = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,20

[Fonts]
fontname: evil.ttf
!!!!

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,{\\fscx9999\\blur99}Hi{\\p1}m 0 0 l 9 9
"""


def taken(path: Path, tmp_path: Path) -> SmallFile:
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    return small_file_intake(path, work, control=Control())


def sent(data: bytes, tmp_path: Path) -> SmallFile:
    path = tmp_path / "sent"
    path.write_bytes(data)
    return taken(path, tmp_path)


def refused(data: bytes, tmp_path: Path) -> str:
    with pytest.raises(Problem) as caught:
        sent(data, tmp_path)
    return caught.value.code


def picture(tmp_path: Path, kind: str, size: str, encoder: str) -> Path:
    path = tmp_path / f"picture.{kind}"
    ffmpeg("-f", "lavfi", "-i", f"color=red@0.5:s={size},format=rgba", "-frames:v", "1", "-c:v", encoder,
           "-f", "image2", path)  # fmt: skip
    path.write_bytes(path.read_bytes() + b"<script>secret</script>")
    return path


@pytest.mark.parametrize(("kind", "encoder"), [("png", "png"), ("jpg", "mjpeg"), ("webp", "libwebp")])
def test_pictures_become_png(tmp_path: Path, kind: str, encoder: str) -> None:
    source = picture(tmp_path, kind, "60x40", encoder)
    made = taken(source, tmp_path)
    stream = made.media.main_video
    assert made.kind == "picture"
    assert stream is not None
    assert (made.media.container, stream.width, stream.height) == ("png", 60, 40)
    data = made.path.read_bytes()
    assert data.startswith(b"\x89PNG")
    assert data[25] == 6  # true colour with alpha
    assert b"secret" not in data
    assert data != source.read_bytes()


def test_what_a_camera_tells_is_not_kept(tmp_path: Path) -> None:
    plain = picture(tmp_path, "jpg", "60x40", "mjpeg").read_bytes()
    # Who made it, and that it is to be turned by a quarter.
    told = struct.pack("<HHHII", 2, 0x010F, 2, 12, 50) + struct.pack("<HHIHHI", 0x0112, 3, 1, 6, 0, 0)
    exif = b"Exif\0\0" + (b"II*\0\x08\0\0\0" + told).ljust(50, b"\0") + b"SECRETMAKER\0"
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    made = sent(plain[:2] + segment + plain[2:], tmp_path)
    assert b"SECRET" not in made.path.read_bytes()
    stream = made.media.main_video
    assert stream is not None
    assert (stream.width, stream.height) == (40, 60)


def test_a_large_picture_is_made_smaller(tmp_path: Path) -> None:
    stream = taken(picture(tmp_path, "png", "4000x100", "png"), tmp_path).media.main_video
    assert stream is not None
    assert (stream.width, stream.height) == (LONGEST_SIDE, 51)


def test_a_picture_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 10_000, 8, 6, 0, 0, 0))
    assert refused(bomb + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""), tmp_path) == (
        "too_large_dimensions"
    )


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (SRT, [("Hi",)]),
        (VTT, [("Hi",)]),
        (ASS, [("Hi",)]),
        ("\ufeff".encode() + SRT, [("Hi",)]),
        (SRT.decode().encode("utf-16"), [("Hi",)]),
        (SRT.replace(b"Hi", b"caf\xe9"), [("café",)]),
        (SRT.replace(b"\n", b"\r\n"), [("Hi",)]),
    ],
    ids=["srt", "vtt", "ass", "bom", "utf-16", "cp1252", "crlf"],
)
def test_subtitles_become_plain(tmp_path: Path, data: bytes, lines: list[tuple[str, ...]]) -> None:
    made = sent(data, tmp_path)
    text = made.path.read_text()
    assert made.kind == "subtitles"
    assert [cue.lines for cue in cues_of(text)] == lines
    assert (made.media.container, [track.codec for track in made.media.subtitles]) == ("srt", ["subrip"])
    assert made.media.duration == 1.0
    assert not any(mark in text for mark in ("script", "blur", "evil", "STYLE"))
    assert raw_probe(made.path)["streams"][0]["codec_name"] == "subrip"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "upload_empty"),
        (b"hello there", "not_an_asset"),
        (b"\x89PNG\r\n\x1a\nrubbish", "not_an_asset"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "not_an_asset"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>", "not_an_asset"),
        (b"1\n00:00:00,000 --> 00:00:01,000\n<i></i>\n", "subtitles_empty"),
        (b"WEBVTT\n", "subtitles_empty"),
        (b"x\x00" + SRT, "not_an_asset"),
        (SRT + b" " * 5 * 1024**2, "upload_too_large"),
    ],
    ids=["nothing", "text", "no-png", "playlist", "svg", "no-words", "no-cues", "nul", "too-large"],
)
def test_what_is_refused(tmp_path: Path, data: bytes, code: str) -> None:
    assert refused(data, tmp_path) == code


def test_a_video_is_no_asset(clips: Clips, tmp_path: Path) -> None:
    with pytest.raises(Problem) as caught:
        taken(clips.container("mp4"), tmp_path)
    assert caught.value.code == "not_an_asset"
