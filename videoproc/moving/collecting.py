"""Copies the files that a snapshot named, after it has ended, into an export or a backup."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from videoproc.moving import files

OnProgress = Callable[[str, int, int], None]
_WANTED = ".files-wanted.jsonl"


@dataclass(slots=True)
class Collected:
    """What came along. `gone` were removed by their owner meanwhile; `damaged` are missing or not whole."""

    count: int = 0
    bytes: int = 0
    gone: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


def note_wanted(folder: Path, *, uploads: bool) -> int:
    """Write down, in the caller's snapshot, which files its rows name. Returns how many."""
    count = 0
    with (folder / _WANTED).open("w", encoding="utf-8") as wanted:
        for named in files.files_named(uploads=uploads):
            wanted.write(files.line(named))
            count += 1
    return count


def collect(folder: Path, total: int, *, link: bool, on_progress: OnProgress) -> Collected:
    """Bring the noted files into `folder/media`, and list those that came in `files.jsonl`."""
    found = Collected()
    with (
        (folder / _WANTED).open(encoding="utf-8") as wanted,
        (folder / files.LIST).open("w", encoding="utf-8") as listing,
    ):
        for done, named in enumerate(files.named_in(wanted), 1):
            _collect_one(folder, named, found, link=link, listing=listing.write)
            on_progress("files", done, total)
        listing.flush()
        os.fsync(listing.fileno())
    (folder / _WANTED).unlink()
    return found


def _collect_one(
    folder: Path, named: files.Named, found: Collected, *, link: bool, listing: Callable[[str], object]
) -> None:
    try:
        stored = files.take(named, folder / "media" / named.path, link=link)
    except FileNotFoundError:
        where = found.damaged if files.is_named_still(named) else found.gone
        where.append(named.path)
    except files.Damaged:
        # Its row may have changed while it was read: an inspection ended, a file was replaced.
        where = found.damaged if files.is_named_still(named) else found.gone
        where.append(named.path)
    else:
        listing(files.line(stored))
        found.count += 1
        found.bytes += stored.size
