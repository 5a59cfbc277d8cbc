"""Putting a final upload together from its parts, one part after the other.

The first part's file becomes the upload's own; of the others the bytes are copied, and each part is freed
before the next is touched. So the disk holds one part twice, never the whole file. Every step may be cut
off and repeated: what was copied but not counted is copied again.
"""

from __future__ import annotations

import errno
import logging
import os
from contextlib import ExitStack
from pathlib import Path

from django.db import DatabaseError

from problems import Problem
from videos import storage
from videos.models import Upload
from videos.services.concatenation import finals_waiting, part_taken, parts_left
from videos.tus.sink import lock_try
from videos.tus.threads import in_database, on_disk

log = logging.getLogger(__name__)

# At once, so that a server which shuts down need not wait for long.
_SLICE = 64 * 1024**2
_FULL = {errno.ENOSPC, errno.EDQUOT}


async def joined(upload: Upload) -> Upload:
    """The final upload after it took what it can: all of its parts, or none while one is incomplete.

    Raises `upload_gone` where it lost a part, `upload_locked` while somebody else is at it, and
    `storage_full`, after which another call goes on where this one ended.
    """
    with ExitStack() as stack:
        descriptor = _opened_or_none(upload.pk, stack)
        fresh = await in_database(Upload.objects.filter(pk=upload.pk).first)
        if fresh is not None and fresh.length is not None:
            return fresh
        if fresh is None or descriptor is None:
            raise Problem("upload_gone")
        target = descriptor
        parts = await in_database(parts_left, upload=fresh)
        for part in parts or ():
            if fresh.parts_joined == 0:
                target = await _taken_over(part, fresh, target, stack)
            else:
                await _copied(part, fresh, target)
            fresh = await in_database(part_taken, upload=fresh, part=part)
        return fresh


async def joined_after(part: Upload) -> list[Upload]:
    """Final uploads that are complete now that this part is. What fails is tried again when somebody asks."""
    found = []
    for upload in await in_database(finals_waiting, part=part):
        try:
            found.append(await joined(upload))
        except Problem as problem:
            log.info("upload %s is not put together: %s", upload.pk, problem.code)
    return [upload for upload in found if upload.is_complete]


async def resume() -> None:
    """Go on with what an earlier process left in the middle; the last step is the recovery's."""
    try:
        for upload in await in_database(finals_waiting):
            try:
                await joined(upload)
            except Problem as problem:
                log.info("upload %s is not put together: %s", upload.pk, problem.code)
    except (DatabaseError, OSError):
        log.warning("final uploads could not be looked for", exc_info=True)


async def _taken_over(part: Upload, upload: Upload, target: int, stack: ExitStack) -> int:
    descriptor = _opened_or_none(part.pk, stack)
    if descriptor is None:
        # A process was killed after the move: then the bytes are here already.
        if os.fstat(target).st_size < part.offset:
            raise Problem("upload_gone")
        return target
    await on_disk(os.ftruncate, descriptor, part.offset)
    await on_disk(storage.upload_take_over, part.pk, upload.pk)
    return descriptor


async def _copied(part: Upload, upload: Upload, target: int) -> None:
    await on_disk(storage.room_check, part.offset)
    with ExitStack() as stack:
        source = _opened_or_none(part.pk, stack)
        if source is None:
            raise Problem("upload_gone")
        done = 0
        try:
            while done < part.offset:
                done += await on_disk(_slice_copied, source, target, done, upload.offset + done, part.offset)
            await on_disk(os.ftruncate, target, upload.offset + done)
            await on_disk(os.fsync, target)
        except OSError as error:
            await on_disk(os.ftruncate, target, upload.offset)
            if error.errno in _FULL:
                raise Problem("storage_full") from error
            raise


def _slice_copied(source: int, target: int, start: int, at: int, end: int) -> int:
    count = storage.copied(source, target, start=start, at=at, count=min(_SLICE, end - start))
    if count == 0:
        raise Problem("upload_gone")
    return count


def _opened_or_none(upload_id: str, stack: ExitStack) -> int | None:
    """The upload's file if it is there, locked until the stack ends. Raises `upload_locked`."""
    path = storage.upload_path(upload_id)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    stack.callback(os.close, descriptor)
    if not lock_try(descriptor) or not _is_at(path, descriptor):
        raise Problem("upload_locked")
    return descriptor


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether this open file still has this name: another may have taken its place before we had the lock."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
