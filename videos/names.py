"""Names people see: of videos, and of the files they download. They never become paths on our side."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath
from urllib.parse import quote

_MAX_BYTES = 200
# Separators, what Windows refuses, control characters, and marks that turn the direction of text.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]+')
_ENDS = re.compile(r"^[\s.]+|[\s.]+$")
# What a quoted text of a header cannot carry, or is read differently there.
_QUOTED_BADLY = re.compile(r'[\x00-\x1f\x7f"\\%]')
# Characters that RFC 5987 lets stand for themselves, beside letters and digits.
_ATTR_CHARS = "!#$&+-.^_`|~"
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


def content_disposition(filename: str, *, inline: bool) -> str:
    """The header of RFC 6266: a name in plain letters for old programs, the whole name for all others."""
    kind = "inline" if inline else "attachment"
    plain = unicodedata.normalize("NFKD", filename).encode("ascii", "ignore").decode()
    plain = _QUOTED_BADLY.sub("_", plain).strip()
    # Some programs decode a percent sign in the plain form, so such a name is not the same there.
    if plain == filename:
        return f'{kind}; filename="{plain}"'
    stem, dot, extension = plain.rpartition(".")
    if dot and not _trimmed(stem):
        plain = f"download.{extension}"
    whole = quote(filename, safe=_ATTR_CHARS, errors="replace")
    return f"{kind}; filename=\"{plain or 'download'}\"; filename*=UTF-8''{whole}"


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
