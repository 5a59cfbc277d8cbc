"""Fetches one import: from its address through `videos.outbound` into the file of its upload.

As with every upload nothing is counted before its fsync, what arrived before a cut is kept, and the quota
is asked before the bytes come, by the length that the other side declares.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from email.message import Message
from typing import ParamSpec, TypeVar
from urllib.parse import urljoin, urlsplit

from django.db import DatabaseError, close_old_connections

from problems import Problem
from videos import outbound, storage
from videos.import_models import UrlImport
from videos.models import Upload, Video
from videos.names import filename_clean
from videos.outbound import Answer
from videos.services.uploads import Room, upload_advance, upload_length_set, upload_rewind, upload_room
from videos.services.url_imports import import_done, import_fail, import_hand_back, import_note, import_renew

log = logging.getLogger(__name__)

OnComplete = Callable[..., Video]
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

TRY_SECONDS = 6 * 3600
IDLE_SECONDS = 30
# Who sends less than this after a minute only holds a place.
SLOWEST, SLOW_AFTER = 1024, 60
SAVE_EVERY, SAVE_SECONDS = 64 * 1024**2, 2.0
WRITE_SIZE = 1024**2
REDIRECTS = 5
_MOVED = {301, 302, 303, 307, 308}
_WORTH_ANOTHER_TRY = {408, 425, 429}
_FULL = {errno.ENOSPC, errno.EDQUOT}
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
_PAGES = {"text/html", "application/xhtml+xml"}


class _Lost(Exception):
    """The lease is gone: the import was cancelled, or another process has it."""


class _Stopping(Exception):
    """This process ends."""


class _StartAgain(Exception):
    """What has arrived is not the beginning of what the other side has now."""


def fetch(row: UrlImport, *, on_complete: OnComplete, stopping: threading.Event) -> None:
    """Work on a claimed import until it is done, failed, handed back or lost. Raises DatabaseError only."""
    try:
        _whole(row, stopping)
        _in_database(on_complete, upload_id=row.upload_id)
        _in_database(import_done, row=row)
        log.info("import %s is done", row.pk)
    except _Lost:
        log.info("import %s was cancelled or taken over", row.pk)
    except _Stopping:
        _in_database(import_hand_back, row=row)
    except DatabaseError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the row must say that this try is over
        problem = _problem_of(error)
        log.info("import %s, try %d: %s", row.pk, row.attempt, problem.detail)
        if not problem.retryable:
            # Nobody will go on from here, so nothing shall count.
            with contextlib.suppress(Problem, FileNotFoundError):
                _in_database(upload_rewind, upload=row.upload)
                os.truncate(storage.upload_path(row.upload_id), 0)
        _in_database(import_fail, row=row, problem=problem)


def _whole(row: UrlImport, stopping: threading.Event) -> None:
    with _opened(row) as descriptor:
        for _ in range(2):
            upload = _in_database(Upload.objects.select_related("owner__tier").filter(pk=row.upload_id).first)
            if upload is None:
                raise _Lost
            os.ftruncate(descriptor, upload.offset)
            if upload.is_complete:
                return
            try:
                _Transfer(row, upload, descriptor, stopping).run()
            except _StartAgain:
                _in_database(upload_rewind, upload=upload)
                row.validator = ""
            else:
                return
        raise outbound.Failed("What it sends changes all the time.")


class _Transfer:
    """One request, or as many as redirects on the same server ask for."""

    def __init__(self, row: UrlImport, upload: Upload, descriptor: int, stopping: threading.Event) -> None:
        self._row = row
        self._upload = upload
        self._descriptor = descriptor
        self._stopping = stopping
        self._buffer = bytearray()
        self._written = upload.offset
        self._saved_at = time.monotonic()

    def run(self) -> None:
        url = self._row.url
        for _ in range(REDIRECTS + 1):
            with outbound.ask(
                "GET", url, seconds=TRY_SECONDS, idle=IDLE_SECONDS, headers=self._headers()
            ) as answer:
                if answer.status not in _MOVED:
                    self._take(answer)
                    return
                url = _moved_to(url, answer.headers.get("location", ""))
        raise Problem("import_refused", reason="It leads from one address to the next.")

    def _headers(self) -> dict[str, str]:
        headers = {"User-Agent": "Videoproc-Import/1", "Accept": "*/*", "Accept-Encoding": "identity"}
        if self._upload.offset and self._row.validator:
            headers |= {"Range": f"bytes={self._upload.offset}-", "If-Range": self._row.validator}
        return headers

    def _take(self, answer: Answer) -> None:
        length = self._length(answer)
        _in_database(
            import_note,
            row=self._row,
            validator=_validator(answer.headers),
            filename=filename_clean(_filename(answer.headers)),
        )
        if length is not None and self._upload.length is None:
            self._upload = _in_database(upload_length_set, upload=self._upload, length=length)
        room = _in_database(upload_room, upload=self._upload)
        try:
            self._receive(answer, room)
        except Exception:
            # What came before a cut is kept; why it was cut matters more than that this fails too.
            with contextlib.suppress(OSError, Problem):
                self._write()
                self._save()
            raise
        self._write()
        self._save()
        if self._upload.length is None:
            self._upload = _in_database(upload_length_set, upload=self._upload, length=self._written)
        if not self._upload.is_complete:
            raise outbound.Failed("The connection broke off.")

    def _length(self, answer: Answer) -> int | None:
        """How long the whole file is, as far as the other side says so. Raises where it sends no file."""
        status, headers = answer.status, answer.headers
        offset = self._upload.offset
        if status == 206 and (found := _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))):  # noqa: PLR2004
            length = int(found[2])
            if int(found[1]) != offset or self._upload.length not in {None, length}:
                raise _StartAgain
            return length
        if offset and status in {200, 206, 416}:
            raise _StartAgain
        if status != 200:  # noqa: PLR2004 - all others have no file for us
            words = f"It answered {status}."
            if status >= 500 or status in _WORTH_ANOTHER_TRY:  # noqa: PLR2004 - its own fault
                raise outbound.Failed(words)
            raise Problem("import_refused", reason=words)
        if headers.get("content-type", "").partition(";")[0].strip().lower() in _PAGES:
            raise Problem("import_refused", reason="It leads to a web page, not to a file.")
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise Problem("import_refused", reason="It sends the file compressed, though not asked to.")
        declared = headers.get("content-length", "")
        whole = int(declared) if declared.isdecimal() else None
        if self._upload.length not in {None, whole}:
            raise _StartAgain
        return whole

    def _receive(self, answer: Answer, room: Room) -> None:
        began, first = time.monotonic(), self._written
        for chunk in answer.chunks:
            end = self._written + len(self._buffer) + len(chunk)
            if end > room.end:
                raise room.refusal(end)
            self._buffer += chunk
            now = time.monotonic()
            due = now - self._saved_at >= SAVE_SECONDS
            if due or len(self._buffer) >= WRITE_SIZE:
                self._write()
            if due or self._written - self._upload.offset >= SAVE_EVERY:
                self._save()
                self._may_go_on()
            if now - began > SLOW_AFTER and end - first < SLOWEST * (now - began):
                raise outbound.Failed(f"It sends less than {SLOWEST} bytes a second.")

    def _write(self) -> None:
        while self._buffer:
            count = os.pwrite(self._descriptor, self._buffer, self._written)
            self._written += count
            del self._buffer[:count]

    def _save(self) -> None:
        self._saved_at = time.monotonic()
        if self._written > self._upload.offset:
            os.fsync(self._descriptor)
            self._upload = _in_database(
                upload_advance, upload=self._upload, from_offset=self._upload.offset, to_offset=self._written
            )

    def _may_go_on(self) -> None:
        if self._stopping.is_set():
            raise _Stopping
        if not _in_database(import_renew, row=self._row):
            raise _Lost


@contextlib.contextmanager
def _opened(row: UrlImport) -> Iterator[int]:
    """The upload's file, which nobody else writes to meanwhile."""
    try:
        descriptor = os.open(storage.upload_path(row.upload_id), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        raise _Lost from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Problem("upload_locked") from None
        yield descriptor
    finally:
        os.close(descriptor)


def _moved_to(url: str, location: str) -> str:
    """The address of a redirect. Raises `import_refused` where it leads to another server."""
    target = urljoin(url, location)
    before, after = urlsplit(url), urlsplit(target)
    if not location or (before.scheme, before.netloc.lower()) != (after.scheme, after.netloc.lower()):
        elsewhere = after.hostname or "nowhere"
        reason = f"It leads on to {elsewhere}; redirects to other servers are not followed."
        raise Problem("import_refused", reason=reason)
    return target.partition("#")[0]


def _validator(headers: Mapping[str, str]) -> str:
    """What makes sure that the rest, asked for later, is of the same file; empty where nothing does."""
    tag = headers.get("etag", "")
    strong = tag if tag.startswith('"') else ""
    return strong or headers.get("last-modified", "")


def _filename(headers: Mapping[str, str]) -> str:
    message = Message()
    message["Content-Disposition"] = headers.get("content-disposition", "")
    return message.get_filename() or ""


def _problem_of(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, outbound.Refused):
        return Problem("import_refused", reason=str(error))
    if isinstance(error, outbound.Failed):
        return Problem("import_failed", reason=str(error))
    if isinstance(error, OSError) and error.errno in _FULL:
        return Problem("storage_full")
    log.error("an import failed unexpectedly", exc_info=error)
    return Problem("internal_error")


def _in_database(
    function: Callable[_Arguments, _Result], *arguments: _Arguments.args, **named: _Arguments.kwargs
) -> _Result:
    """No connection is held while bytes move."""
    try:
        return function(*arguments, **named)
    finally:
        close_old_connections()
