"""Bytes of one upload on their way to the disk: one writer at a time, nothing counted before its fsync.

The lock is an flock on the upload's own file, so it goes with the process that held it. Within this
process a writer that has heard nothing for a while makes room for a newcomer: that is a client which
lost its connection and came back before the server could notice.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from problems import Problem
from videos import storage
from videos.crash_points import crash_point
from videos.models import Upload
from videos.services.uploads import Room, upload_advance
from videos.tus.body import Body
from videos.tus.headers import Checksum
from videos.tus.messages import Refusal
from videos.tus.threads import in_database, on_disk

# How much waits in memory to be written: of one connection, and of all together where there are many.
WRITE_SIZE, LEAST_WRITE_SIZE = 1024**2, 64 * 1024
WAITING = 64 * 1024**2
# What a killed process may cost: this many bytes, or seconds; of a line so slow that little has come
# since, more seconds, else a thousand of them would keep the database busy.
SAVE_EVERY = 64 * 1024**2
SAVE_SECONDS = 5.0
LITTLE, LITTLE_SECONDS = 256 * 1024, 30.0
SILENT_AFTER = 3.0
_WAIT_FOR_LOCK = 5.0
_FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True, slots=True)
class _Writer:
    """A request that holds the lock in this process."""

    body: Body
    gone: asyncio.Event


_writers: dict[str, _Writer] = {}


class Sink:
    """An open, locked upload file. Bytes are buffered, written, fsynced and then counted, in this order."""

    def __init__(self, upload: Upload, descriptor: int) -> None:
        self.upload = upload
        self._descriptor = descriptor
        self._buffer = bytearray()
        self._written = upload.offset
        self._saved_at = self._wrote_at = time.monotonic()
        self._room: Room | None = None
        self._checksum: Checksum | None = None
        self._hasher: hashlib._Hash | None = None

    def expect(self, room: Room, checksum: Checksum | None = None) -> None:
        """How much may come, and what it must hash to. With a checksum it is all or nothing."""
        self._room, self._checksum = room, checksum
        self._hasher = checksum.hasher() if checksum else None

    async def feed(self, piece: bytes) -> None:
        """Take the next bytes. Raises Refusal where there are too many or the disk is full."""
        end = self._written + len(self._buffer) + len(piece)
        if self._room is not None and end > self._room.end:
            problem = self._room.refusal(end)
            await self.stop()
            raise Refusal(problem, Upload_Offset=str(self.upload.offset))
        self._buffer += piece
        if len(self._buffer) >= _write_size() or time.monotonic() - self._wrote_at >= SAVE_SECONDS:
            await self._write()
            if self._hasher is None and self._save_is_due():
                await self._save()

    def _save_is_due(self) -> bool:
        passed, unsaved = time.monotonic() - self._saved_at, self._written - self.upload.offset
        if unsaved >= SAVE_EVERY or passed >= LITTLE_SECONDS:
            return True
        return passed >= SAVE_SECONDS and unsaved >= LITTLE

    async def stop(self) -> None:
        """The body ended too early: count what came, or drop it where its checksum cannot be known."""
        if self._hasher is None:
            # In one go, because a server that shuts down lets nothing else begin.
            self.upload = await in_database(self._settle)
        else:
            await self._drop()

    async def finish(self) -> Upload:
        """The body is complete: check it, make it durable, count it."""
        await self._write()
        if self._hasher and self._checksum and self._hasher.digest() != self._checksum.digest:
            await self._drop()
            raise Refusal(Problem("upload_checksum_mismatch"), Upload_Offset=str(self.upload.offset))
        await self._save()
        return self.upload

    async def _write(self) -> None:
        self._wrote_at = time.monotonic()
        if not self._buffer:
            return
        pending, self._buffer = self._buffer, bytearray()
        try:
            await on_disk(self._write_out, memoryview(pending))
        except OSError as error:
            if error.errno not in _FULL:
                raise
            await self._keep_what_fits()
            offset = str(self.upload.offset)
            raise Refusal(Problem("storage_full"), Upload_Offset=offset) from error

    def _write_out(self, pending: memoryview) -> None:
        while pending:
            count = os.pwrite(self._descriptor, pending, self._written)
            if self._hasher is not None:
                self._hasher.update(pending[:count])
            self._written += count
            pending = pending[count:]

    async def _keep_what_fits(self) -> None:
        """The disk filled up: what was written before may still be counted, if it can be made durable."""
        if self._hasher is not None:
            await self._drop()
            return
        try:
            await self._save()
        except OSError:
            await self._drop()

    def _settle(self) -> Upload:
        try:
            self._write_out(memoryview(self._buffer))
        except OSError as error:
            if error.errno not in _FULL:
                raise
        self._buffer = bytearray()
        if self._written == self.upload.offset:
            return self.upload
        os.fsync(self._descriptor)
        return upload_advance(upload=self.upload, from_offset=self.upload.offset, to_offset=self._written)

    async def _save(self) -> None:
        self._saved_at = time.monotonic()
        if self._written == self.upload.offset:
            return
        await on_disk(os.fsync, self._descriptor)
        crash_point("bytes_synced")
        self.upload = await in_database(
            upload_advance, upload=self.upload, from_offset=self.upload.offset, to_offset=self._written
        )

    async def _drop(self) -> None:
        self._buffer.clear()
        self._written = self.upload.offset
        await on_disk(os.ftruncate, self._descriptor, self._written)


@contextlib.asynccontextmanager
async def sink_opened(upload: Upload, body: Body) -> AsyncIterator[Sink]:
    """Lock an upload for writing at its current offset. Raises `upload_locked` and `upload_gone`."""
    try:
        descriptor = os.open(storage.upload_path(upload.pk), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise Problem("upload_gone") from error
    writer = _Writer(body, asyncio.Event())
    try:
        await _lock(upload.pk, descriptor)
        _writers[upload.pk] = writer
        fresh = await in_database(Upload.objects.select_related("owner__tier").filter(pk=upload.pk).first)
        if fresh is None or os.fstat(descriptor).st_size < fresh.offset:
            raise Problem("upload_gone")
        # Bytes that were written but never counted, by a process that was killed.
        await on_disk(os.ftruncate, descriptor, fresh.offset)
        yield Sink(fresh, descriptor)
    finally:
        if _writers.get(upload.pk) is writer:
            del _writers[upload.pk]
        os.close(descriptor)
        writer.gone.set()


async def silent_writer_yields(upload_id: str) -> None:
    """If a writer in this process has gone silent, make it count what it has and let go."""
    writer = _writers.get(upload_id)
    if writer is None or writer.body.silent_for < SILENT_AFTER:
        return
    writer.body.interrupt()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_WAIT_FOR_LOCK):
            await writer.gone.wait()


def _write_size() -> int:
    """Large writes while few connections are open, small ones while many are."""
    return max(LEAST_WRITE_SIZE, min(WRITE_SIZE, WAITING // max(1, len(_writers))))


async def _lock(upload_id: str, descriptor: int) -> None:
    if lock_try(descriptor):
        return
    await silent_writer_yields(upload_id)
    if not lock_try(descriptor):
        raise Problem("upload_locked")


def lock_try(descriptor: int) -> bool:
    """Whether this open file is ours to write now; until it is closed."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
