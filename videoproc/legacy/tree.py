"""The original's folders. Nothing outside them is ever opened, whatever a record says."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from problems import Problem


class ImportRefused(Exception):
    """Why an import, or a record of it, cannot go on, as a sentence for the administrator."""


class Tree:
    """`data/` and `storage/` of the original. `folder` may be either the one that holds both, or `data`."""

    def __init__(self, folder: Path, storage: Path | None = None) -> None:
        inner = folder / "data"
        self.data = (inner if inner.is_dir() else folder).resolve()
        self.storage = (storage or self.data.parent / "storage").resolve()

    def missing(self) -> str | None:
        """Why nothing can be imported from here, or None."""
        if not self.data.is_dir():
            return f"{self.data} is not a folder"
        if not (self.data / "users").is_file():
            return f"{self.data} has no file called users: this is not the data of the original"
        if not self.storage.is_dir():
            return f"{self.storage} is not a folder; name the right one with --storage"
        return None

    def content(self, name: str) -> bytes | None:
        """The bytes of a file of `data`; None where it is missing."""
        path = self.data / name
        return path.read_bytes() if path.is_file() else None

    def original(self, video_id: str, extension: str) -> Path:
        """The uploaded file. Raises `source_missing`.

        Some file systems forget the case of names, and a record may give another extension than the file;
        a single `original.*` is meant all the same.
        """
        folder = self.storage / video_id
        exact = folder / f"original.{extension}"
        if self.is_ours(exact):
            return exact
        others = [path for path in self.files(video_id) if path.name.startswith("original.")]
        if len(others) != 1:
            raise Problem("source_missing")
        return others[0]

    def result(self, video_id: str, filename: str) -> Path | None:
        """A file made from a video, whatever it holds; None where there is none."""
        path = self.storage / video_id / filename
        return path if self.is_ours(path) else None

    def files(self, video_id: str) -> list[Path]:
        """The regular files of a video, by name."""
        folder = self.storage / video_id
        try:
            return [] if folder.is_symlink() else sorted(filter(self.is_ours, folder.iterdir()))
        except OSError:  # missing, no folder, or closed to us
            return []

    def folders(self) -> Iterator[str]:
        """Names of the folders of videos."""
        for path in sorted(self.storage.iterdir()):
            if path.is_dir() and not path.is_symlink():
                yield path.name

    def is_ours(self, path: Path) -> bool:
        """Whether this is a regular file within `storage`, reached without a symbolic link."""
        try:
            regular = stat.S_ISREG(path.lstat().st_mode)
        except OSError:
            return False
        return regular and path.resolve() == path and path.is_relative_to(self.storage)


def changed_at(path: Path) -> datetime:
    """When the file was last written: the only date that the original left of most things."""
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)
