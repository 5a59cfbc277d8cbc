"""What happens to every small file that operations use: pictures and subtitles.

Nobody ever gets back what was sent: a picture is decoded and becomes a PNG, subtitles are read and written
anew as plain SRT. So whatever else a file may carry ends here.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine import commands, runner
from engine.control import Control
from engine.decoding import decode, decode_words
from engine.failures import explained
from engine.probe import probe
from engine.storage import sha256_of
from engine.types.limits import Limits
from engine.types.media import MediaInfo, VideoStream
from engine.whitelist import PICTURES, WORDS
from engine.words import cues_of, srt_of
from problems import Problem

PICTURE, SUBTITLES = "picture", "subtitles"
MOST_BYTES: Mapping[str, int] = {PICTURE: 20 * 1024**2, SUBTITLES: 5 * 1024**2}
LONGEST_SIDE = 2048
LIMITS = Limits(
    threads=1, max_pixels=64 * 1000**2, max_streams=1, max_output_bytes=64 * 1024**2, probe_seconds=20.0
)

_BEGINNINGS = (
    ("png", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("jpg", re.compile(rb"\xff\xd8\xff")),
    ("webp", re.compile(rb"(?s)RIFF.{4}WEBP")),
)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HEAD = 16
_TIME_LINE = re.compile(r"^\s*\d{1,3}:\d\d:\d\d[,.]\d{1,3}\s*-->", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SmallFile:
    """An accepted file: what was made of it, in the working directory."""

    kind: str
    path: Path
    media: MediaInfo
    sha256: str


def small_file_intake(source: Path, work_dir: Path, *, control: Control) -> SmallFile:
    """Make a PNG of a picture, or a plain SRT of subtitles.

    Raises Problem `upload_empty`, `upload_too_large`, `too_large_dimensions`, `subtitles_empty` or
    `not_an_asset`, and Stopped.
    """
    with source.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        raise Problem("upload_empty")
    container = next((name for name, beginning in _BEGINNINGS if beginning.match(head)), None)
    kind = SUBTITLES if container is None else PICTURE
    size = source.stat().st_size
    if size > MOST_BYTES[kind]:
        raise Problem("upload_too_large", size=size, limit=MOST_BYTES[kind])
    if container is None:
        path, media = _words(source, work_dir, control)
    else:
        path, media = _picture(source, container, work_dir, control)
    return SmallFile(kind=kind, path=path, media=media, sha256=sha256_of(path, control=control))


def _picture(source: Path, container: str, work_dir: Path, control: Control) -> tuple[Path, MediaInfo]:
    path = work_dir / "picture.png"
    argv = commands.picture_argv(
        source, path, reading=PICTURES[container], limits=LIMITS, longest_side=LONGEST_SIDE
    )
    outcome = runner.run(argv, cwd=work_dir, limits=LIMITS, control=control, seconds=LIMITS.probe_seconds)
    if not outcome.succeeded or not path.is_file():
        raise explained(outcome.log, LIMITS) or Problem("not_an_asset")
    made = decode(path, reading=PICTURES["png"], limits=LIMITS, control=control)
    if made.frames != 1 or made.errors:
        raise Problem("not_an_asset")
    width, height = made.size
    stream = VideoStream(index=0, codec="png", width=width, height=height, pixel_format="rgba")
    size = path.stat().st_size
    media = MediaInfo(container="png", format_names=("png_pipe",), duration=0.0, size=size, video=(stream,))
    return path, media


def _words(source: Path, work_dir: Path, control: Control) -> tuple[Path, MediaInfo]:
    text = _text(source.read_bytes())
    raw = work_dir / "raw"
    raw.write_text(text, encoding="utf-8")
    read = decode_words(raw, reading=WORDS[_container(text)], limits=LIMITS, control=control)
    if read.unfinished or (read.errors and not read.text):
        raise Problem("not_an_asset")
    cues = cues_of(read.text)
    if not cues:
        raise Problem("subtitles_empty")
    path = work_dir / "subtitles.srt"
    path.write_text(srt_of(cues), encoding="utf-8")
    media = probe(path, reading=WORDS["srt"], limits=LIMITS, control=control).media
    return path, media.model_copy(update={"duration": max(cue.end for cue in cues)})


def _text(data: bytes) -> str:
    """Old files are often in the Windows code page for the West; every byte means something there."""
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeError:
        text = data.decode("cp1252", "replace")
    if "\x00" in text:
        raise Problem("not_an_asset")
    return text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _container(text: str) -> str:
    beginning = text.lstrip()
    if beginning.startswith("WEBVTT"):
        return "vtt"
    if beginning.startswith("[Script Info]"):
        return "ass"
    if _TIME_LINE.search(text):
        return "srt"
    raise Problem("not_an_asset")
