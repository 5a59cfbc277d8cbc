"""Where files are, and the only code that moves or removes them.

    uploads/<upl_id>            bytes of an unfinished upload
    videos/<vid_id>/source      the original
    videos/<vid_id>/thumbnail.jpg
    outputs/<out_id>/file       a published result
    outputs/<out_id>/files/…    the other files of a result that is a folder, such as a stream
    assets/<ast_id>/file        a picture or subtitles that operations use
    work/…                      scratch of running jobs, not ours

All of it is on one file system, so a move is a rename: a file is at one place or at the other, whole.
Names come from ids alone; nothing a user typed becomes part of a path.

A site with a bucket (`videos/bucket.py`) keeps all of it there but unfinished uploads and scratch. The folder
is then a cache: what is adopted goes to the bucket too, `present` fetches what a process needs and does not
have, and `cache_trim` makes room.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from engine.types.plan import MEMBERS
from problems import Problem
from users.ids import public_id_new
from videos.crash_points import crash_point

if TYPE_CHECKING:
    from videos.bucket import Bucket

log = logging.getLogger(__name__)

_FOLDER_MODE = 0o750
_FILE_MODE = 0o640
_NAME = re.compile(r"(?:upl|vid|out|ast)_[0-9a-f]{32}")
_MEMBER = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\.[a-z0-9]{1,8}")


@cache
def bucket() -> Bucket | None:
    """The site's bucket, or None where the media folder is all there is."""
    if not settings.S3_BUCKET:
        return None
    # Its library takes a fifth of a second and 30 MB, in every process of every site that has no bucket.
    from videos.bucket import site_bucket  # noqa: PLC0415

    return site_bucket()


def upload_path(upload_id: str) -> Path:
    return _folder("uploads") / _checked(upload_id)


def source_path(video_id: str) -> Path:
    return _folder("videos") / _checked(video_id) / "source"


def thumbnail_path(video_id: str) -> Path:
    return _folder("videos") / _checked(video_id) / "thumbnail.jpg"


def output_path(output_id: str) -> Path:
    return _folder("outputs") / _checked(output_id) / "file"


def asset_path(asset_id: str) -> Path:
    return _folder("assets") / _checked(asset_id) / "file"


def held_path(public_id: str) -> Path:
    """Where the bytes of a video or a small file are."""
    return asset_path(public_id) if public_id.startswith("ast_") else source_path(public_id)


@contextmanager
def asset_scratch() -> Iterator[Path]:
    """A folder to make a small file in, gone at the end; after a crash the sweep takes it."""
    folder = asset_path(public_id_new("ast")).parent
    _make_folder(folder.parent)
    folder.mkdir(mode=_FOLDER_MODE)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def output_member_path(output_id: str, name: str) -> Path:
    """One of the other files of a result. Raises ValueError for a name that cannot be ours."""
    if not _MEMBER.fullmatch(name):
        raise ValueError("not the name of a file")
    return output_path(output_id).parent / MEMBERS / name


def accel_path(path: Path) -> str:
    """The value of `X-Accel-Redirect` with which the edge serves this file."""
    return f"/{path.relative_to(settings.MEDIA)}"


def upload_file_create(upload_id: str) -> None:
    """An empty file for an upload's bytes, durable at once. Raises FileExistsError."""
    path = upload_path(upload_id)
    _make_folder(path.parent)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE))
    sync_folder(path.parent)


def adopt(origin: Path, target: Path) -> None:
    """Move a file to its final place so that it survives a power cut; replaces what is there."""
    with origin.open("rb") as file:
        os.fchmod(file.fileno(), _FILE_MODE)
        os.fsync(file.fileno())
    _make_folder(target.parent)
    origin.replace(target)
    crash_point("file_moved")
    sync_folder(target.parent)
    sync_folder(origin.parent)
    keep(target)


def keep(path: Path, *, name_of: Path | None = None) -> None:
    """Put a file of the media folder into the bucket, if the site has one; `name_of` is where it will be."""
    if store := bucket():
        store.put(path, bucket_name(name_of or path))


def is_there(path: Path, size: int | None = None) -> bool:
    """Whether the site has this file, and with these many bytes."""
    with suppress(FileNotFoundError):
        return path.stat().st_size == size or size is None
    store = bucket()
    stored = store.look(bucket_name(path)) if store else None
    return stored is not None and size in {None, stored.size}


def present(path: Path) -> Path:
    """Make sure that a file is in this machine's media folder.

    Raises `source_missing` where the site does not have it, `storage_damaged` and `storage_unavailable`.
    """
    store = bucket()
    if store is None:
        if not path.is_file():
            raise Problem("source_missing")
        return path
    try:
        # What was used last is trimmed last. When it was last changed stays as it is: browsers are told so.
        os.utime(path, (time.time(), path.stat().st_mtime))
    except FileNotFoundError:
        _make_folder(path.parent)
        store.fetch(bucket_name(path), path)
        path.chmod(_FILE_MODE)
    return path


def adopt_folder(main: Path, output_id: str) -> None:
    """Move the folder around `main` to a result's final place, in one rename; `main` is its `file` there."""
    folder = main.parent
    target = output_path(output_id)
    for path in (folder, *folder.rglob("*")):
        path.chmod(_FOLDER_MODE if path.is_dir() else _FILE_MODE)
    main.replace(folder / target.name)
    for path in (*folder.rglob("*"), folder):
        sync_folder(path) if path.is_dir() else _sync_file(path)
    _make_folder(target.parent.parent)
    folder.replace(target.parent)
    sync_folder(target.parent.parent)
    sync_folder(folder.parent)
    for path in target.parent.rglob("*"):
        if path.is_file():
            keep(path)


def adopt_if_there(origin: Path, target: Path) -> None:
    """`adopt`, or nothing if an earlier try has moved the file already. Raises `source_missing`."""
    if origin.exists():
        adopt(origin, target)
    elif not is_there(target):
        raise Problem("source_missing")


def source_share(origin_id: str, video_id: str) -> bool:
    """Let a video use the file of another one with equal content, and free its own.

    False, and nothing is changed, where either is not there, they differ in size, or the file system has no
    hard links.
    """
    origin, target = source_path(origin_id), source_path(video_id)
    draft = target.with_name("source.equal")
    try:
        if origin.stat().st_size != target.stat().st_size:
            return False
        draft.unlink(missing_ok=True)
        os.link(origin, draft)
    except OSError as error:
        log.warning("%s cannot share its bytes with %s: %s", video_id, origin_id, error.strerror)
        return False
    draft.replace(target)
    # Where both were one file already, the rename has done nothing.
    draft.unlink(missing_ok=True)
    sync_folder(target.parent)
    return True


def source_is_shared(one_id: str, other_id: str) -> bool:
    """Whether two videos use the same bytes on the disk."""
    try:
        return source_path(one_id).samefile(source_path(other_id))
    except FileNotFoundError:
        return False


def upload_take_over(part_id: str, upload_id: str) -> None:
    """The file of a part becomes that of the upload, which has none of its bytes yet; costs no disk."""
    target = upload_path(upload_id)
    upload_path(part_id).replace(target)
    sync_folder(target.parent)


def copied(source: int, target: int, *, start: int, at: int, count: int) -> int:
    """Copies bytes between open files, inside the kernel where it can; how many, and 0 at the end.

    On file systems that share blocks (XFS, Btrfs) it copies none of them.
    """
    try:
        return os.copy_file_range(source, target, count, start, at)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}:
            raise
    return os.pwrite(target, os.pread(source, min(count, 1024**2), start), at)


def upload_discard(upload_id: str) -> None:
    upload_path(upload_id).unlink(missing_ok=True)


def video_discard(video_id: str) -> None:
    discard_folder(source_path(video_id).parent)


def output_discard(output_id: str) -> None:
    discard_folder(output_path(output_id).parent)


def asset_discard(asset_id: str) -> None:
    discard_folder(asset_path(asset_id).parent)


def discard_folder(folder: Path) -> None:
    """Remove a folder of the media folder, here and in the bucket."""
    shutil.rmtree(folder, ignore_errors=True)
    if store := bucket():
        store.discard(f"{bucket_name(folder)}/")


def room_check(needed: int) -> None:
    """Raises `storage_full` where writing `needed` more bytes would eat into the disk's reserve."""
    _make_folder(_folder("uploads"))
    if reserve_is_reached(needed):
        raise Problem("storage_full")


def reserve_is_reached(needed: int = 0) -> bool:
    """Whether `needed` more bytes would leave less free space than the disk's reserve."""
    free: int = shutil.disk_usage(settings.MEDIA).free
    return free - needed < settings.DISK_RESERVE_BYTES


def room() -> tuple[int, int]:
    """Free bytes of the disk, and how many of them are the reserve."""
    _make_folder(_folder("uploads"))
    return shutil.disk_usage(settings.MEDIA).free, settings.DISK_RESERVE_BYTES


def disk_now() -> float:
    """The Unix time by the clock that stamps our files, for comparing with theirs.

    That of this process may be wrong: then files would look old that another process made a moment ago.
    """
    folder = _folder("work")
    _make_folder(folder)
    os.utime(folder)
    return folder.stat().st_mtime


def entries(kind: str, *, untouched_since: float) -> Iterator[str]:
    """Names (ids) below `uploads`, `videos`, `outputs` or `assets` last changed before this Unix time."""
    yield from _entries_here(kind, untouched_since)
    if store := bucket():
        yield from (name for name in store.entries(kind, untouched_since=untouched_since) if _is_id(name))


def _entries_here(kind: str, untouched_since: float) -> Iterator[str]:
    try:
        listing = os.scandir(_folder(kind))
    except FileNotFoundError:
        return
    with listing:
        for entry in listing:
            if _is_id(entry.name) and entry.stat(follow_symlinks=False).st_mtime < untouched_since:
                yield entry.name


def cache_trim(*, most: int, unused_for: float = 3600.0) -> int:
    """Remove files of the media folder that are in the bucket too, those unused for longest first.

    Stops at `most` bytes. What was used within `unused_for` seconds stays, because it may be read now.
    Returns the bytes removed; without a bucket nothing is.
    """
    store = bucket()
    if store is None:
        return 0
    found = sorted(_cached(), key=lambda item: item[1].st_atime)
    total = sum(stat.st_size for _, stat in found)
    removed = 0
    for path, stat in found:
        if total - removed <= most or stat.st_atime > time.time() - unused_for:
            break
        stored = store.look(bucket_name(path))
        if stored is not None and stored.size == stat.st_size:
            path.unlink(missing_ok=True)
            removed += stat.st_size
    return removed


def _cached() -> Iterator[tuple[Path, os.stat_result]]:
    for kind in ("videos", "outputs", "assets"):
        for path in _folder(kind).rglob("*"):
            with suppress(FileNotFoundError):
                if path.is_file():
                    yield path, path.stat()


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _folder(kind: str) -> Path:
    return Path(settings.MEDIA) / kind


def _make_folder(folder: Path) -> None:
    """Make a folder, and those above it, so that each name survives a power cut."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        sync_folder(folder.parent)


def bucket_name(path: Path) -> str:
    """The name of a file of the media folder in the bucket."""
    return path.relative_to(settings.MEDIA).as_posix()


def _is_id(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def _checked(name: str) -> str:
    if not _is_id(name):
        raise ValueError("not an id")
    return name
