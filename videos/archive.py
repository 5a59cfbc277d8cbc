"""Many files as one zip that is made while it is sent.

Files are stored as they are: video does not shrink, and so the size of the zip, and every byte of it, is
known before the first one is sent. The same choice gives the same bytes as long as its files are the same,
so a download that was cut goes on from where it stopped: what comes before is made again and left out.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Literal

from zipstream import ZipStream

from engine.types.plan import MEMBERS
from problems import Problem
from users.models import User
from videos import storage
from videos.delivery import source_delivery
from videos.models import Output
from videos.names import download_name, filename_clean
from videos.selectors import output_get_for, video_get_for

What = Literal["results", "originals", "all"]
MOST_CHOSEN = 100
MOST_FILES = 5000
PIECE = 1024**2


@dataclass(frozen=True, slots=True)
class Entry:
    """A file with its name in the zip; folders in it are divided by slashes."""

    name: str
    path: Path
    digest: str


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip that can be made any number of times."""

    filename: str
    entries: tuple[Entry, ...]
    size: int
    etag: str
    changed_at: datetime

    def pieces(self, first: int, length: int) -> Iterator[bytes]:
        """The bytes from `first` on, in pieces of about a megabyte. Raises OSError where a file has gone."""
        waiting = bytearray()
        for piece in _cut(_stream(self.entries), first, length):
            waiting += piece
            if len(waiting) >= PIECE:
                yield bytes(waiting)
                waiting.clear()
        if waiting:
            yield bytes(waiting)


def archive_of(*, viewer: User, videos: Sequence[str], outputs: Sequence[str] = (), what: What) -> Archive:
    """The files of these videos, and these results, as one zip.

    Raises Problem not_found where one is not the viewer's, archive_empty, archive_too_large, or
    source_missing where a file is not in the storage.
    """
    if len(videos) + len(outputs) > MOST_CHOSEN:
        raise Problem("archive_too_large", limit=MOST_CHOSEN)
    found = [video_get_for(viewer, video_id) for video_id in dict.fromkeys(videos)]
    names = _Names()
    entries: list[Entry] = []
    for video in found:
        # Of a single video there is nothing to tell apart.
        folder = names.folder(video.name) if len(found) > 1 or outputs else ""
        inside = _Names(folder)
        if what in {"originals", "all"} and video.has_bytes:
            original = source_delivery(video, inline=False)
            entries.append(Entry(inside.file(original.filename), original.path, original.digest))
        if what in {"results", "all"}:
            results = Output.objects.filter(operation__video=video).order_by("pk")
            for output in results.defer("media_info", "verification")[: MOST_FILES + 1]:
                entries += _result(output, inside)
        _bound(entries)
    for output_id in dict.fromkeys(outputs):
        entries += _result(output_get_for(viewer, output_id), names)
    _bound(entries)
    if not entries:
        raise Problem("archive_empty")
    title = found[0].name if len(found) == 1 and not outputs else "Videoproc files"
    return _archive(download_name(title, extension="zip"), entries)


def _bound(entries: Sequence[Entry]) -> None:
    if len(entries) > MOST_FILES:
        raise Problem("archive_too_large", limit=MOST_FILES)


def _result(output: Output, names: _Names) -> Iterator[Entry]:
    path = storage.output_path(output.pk)
    if not output.members:
        yield Entry(names.file(output.filename), path, output.sha256)
        return
    # A stream: its playlists name the other files by their places beside it.
    folder = names.folder(PurePosixPath(output.filename).stem)
    yield Entry(f"{folder}/{filename_clean(output.filename)}", path, output.sha256)
    for member in output.members:
        member_path = storage.output_member_path(output.pk, member["name"])
        yield Entry(f"{folder}/{MEMBERS}/{member['name']}", member_path, member["sha256"])


class _Names:
    """Names that are told apart by every file system: by some neither case nor form of letters counts."""

    def __init__(self, folder: str = "") -> None:
        self._prefix = f"{folder}/" if folder else ""
        self._taken: set[str] = set()

    def file(self, name: str) -> str:
        path = PurePosixPath(filename_clean(name) or "file")
        return self._free(path.stem, path.suffix)

    def folder(self, name: str) -> str:
        return self._free(filename_clean(name)[:100].rstrip(". ") or "video", "")

    def _free(self, stem: str, suffix: str) -> str:
        name, number = f"{stem}{suffix}", 1
        while (key := unicodedata.normalize("NFKC", name).casefold()) in self._taken:
            number += 1
            name = f"{stem} ({number}){suffix}"
        self._taken.add(key)
        return f"{self._prefix}{name}"


def _archive(filename: str, entries: Sequence[Entry]) -> Archive:
    digest, newest = hashlib.sha256(), 0.0
    for entry in entries:
        # Times are in the zip too.
        known = storage.present(entry.path).stat()
        newest = max(newest, known.st_mtime)
        digest.update(f"{entry.name}\0{known.st_size}\0{known.st_mtime_ns}\0{entry.digest}\n".encode())
    stream = _stream(entries)
    changed_at = datetime.fromtimestamp(newest, UTC)
    return Archive(filename, tuple(entries), len(stream), f'"{digest.hexdigest()[:32]}"', changed_at)


def _stream(entries: Iterable[Entry]) -> ZipStream:
    stream = ZipStream(sized=True)
    for entry in entries:
        stream.add_path(str(entry.path), entry.name, recurse=False)
    return stream


def _cut(pieces: Iterable[bytes], first: int, length: int) -> Iterator[bytes]:
    """`length` bytes from `first` on."""
    position, end = 0, first + length
    for piece in pieces:
        after = position + len(piece)
        if after > first:
            yield piece[max(0, first - position) : end - position]
        position = after
        if position >= end:
            return
