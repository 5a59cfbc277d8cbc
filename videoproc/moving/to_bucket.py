"""Takes the files of a site that kept them on its disk into a bucket. See docs/storage.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

from problems import Problem
from videoproc.moving import files
from videoproc.moving.manifest import MovingRefused
from videos import storage
from videos.bucket import Bucket

OnProgress = Callable[[str, int, int], None]


@dataclass(slots=True)
class Moved:
    """What the bucket holds now. `damaged` are missing on the disk, or not what their rows describe."""

    count: int = 0
    bytes: int = 0
    damaged: list[str] = field(default_factory=list)


def bucket_fill(*, read_back: bool, on_progress: OnProgress) -> Moved:
    """Put every file that a row names into the site's bucket.

    What is there already, with the same checksum, is not sent again, so a run that was cut short goes on and
    a second one brings what has come since. With `read_back` each object is read from the bucket and its
    checksum compared. Nothing is removed from the disk. Raises MovingRefused where the site has no bucket,
    and Problem("storage_unavailable").
    """
    store = storage.bucket()
    if store is None:
        raise MovingRefused("The site has no bucket: set VIDEOPROC_S3_BUCKET and what goes with it.")
    moved = Moved()
    wanted = list(files.files_named(uploads=False))
    for done, named in enumerate(wanted, 1):
        _fill_one(store, named, moved, read_back=read_back)
        on_progress("files", done, len(wanted))
    return moved


def _fill_one(store: Bucket, named: files.Named, moved: Moved, *, read_back: bool) -> None:
    path = Path(settings.MEDIA) / named.path
    try:
        stored = store.put(path, named.path) if path.is_file() else store.look(named.path)
    except FileNotFoundError:  # its owner removed it a moment ago
        stored = None
    described = stored is not None and (
        named.size in {None, stored.size} and (not named.sha256 or named.sha256 == stored.sha256)
    )
    if stored is None or not described or (read_back and not _is_whole(store, named.path, stored.sha256)):
        if files.is_named_still(named):
            moved.damaged.append(named.path)
        return
    moved.count += 1
    moved.bytes += stored.size


def _is_whole(store: Bucket, name: str, sha256: str) -> bool:
    try:
        return store.digest(name) == sha256
    except Problem as problem:
        if problem.code != "source_missing":
            raise
        return False
