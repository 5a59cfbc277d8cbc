"""Names people see: of videos, and of the files they download. They never become paths on our side."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath

_MAX_BYTES = 200
# Separators, what Windows refuses, control characters, and marks that turn the direction of text.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]+')
_ENDS = re.compile(r"^[\s.]+|[\s.]+$")
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,8}")


def filename_clean(text: str) -> str:
    """The last part of what may be a path, without anything that could confuse a file system or a reader."""
    return _cleaned(text.replace("\\", "/").rpartition("/")[2])


def video_name(*, title: str, filename: str) -> str:
    """How a fresh video is called: by its title, else by its file without the extension."""
    if cleaned := _one_line(title):
        return cleaned[:255]
    path = PurePosixPath(filename_clean(filename))
    stem = path.stem if _EXTENSION.fullmatch(path.suffix) else path.name
    return _one_line(stem)[:255] or "Untitled"


def name_clean(text: str) -> str:
    """A name typed by a person, on one line; may come out empty."""
    return _one_line(text)[:255]


def download_name(name: str, *, extension: str, suffix: str = "") -> str:
    """`<name> - <suffix>.<extension>`, safe on any file system and at most 200 bytes without the tail."""
    tail = f" - {_cleaned(suffix)}" if suffix else ""
    stem = _trimmed(_cleaned(name).encode()[:_MAX_BYTES].decode(errors="ignore")) or "video"
    return f"{stem}{tail}.{extension}"


def _cleaned(text: str) -> str:
    printable = text.encode(errors="replace").decode()
    return _trimmed(_UNSAFE.sub("_", unicodedata.normalize("NFC", printable)))[:255]


def _trimmed(text: str) -> str:
    """Without the spaces and dots at the ends that Windows drops or hides."""
    return _ENDS.sub("", text)


def _one_line(text: str) -> str:
    printable = text.encode(errors="replace").decode()
    kept = "".join(mark if mark.isprintable() else " " for mark in unicodedata.normalize("NFC", printable))
    return " ".join(kept.split())
