"""GET /api/v1/archive and GET /api/v1/videos/{id}/archive: many files as one zip, out of this process.

Bytes go out as the client takes them: a piece is read once the one before it is on its way.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import format_datetime
from urllib.parse import parse_qsl

from problems import FieldError, Problem
from telemetry.metrics import SERVED
from users.models import User
from videos.archive import Archive, What, archive_of
from videos.names import content_disposition
from videos.tus.body import Body, BodyEnded
from videos.tus.messages import Answer, Request, Send
from videos.tus.threads import in_database, on_disk

log = logging.getLogger(__name__)

PATH = "/api/v1/archive"
OF_VIDEO = re.compile(r"/api/v1/videos/([^/]+)/archive")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_WHAT: dict[str, What] = {"results": "results", "originals": "originals", "all": "all"}


@dataclass(slots=True)
class Streamed(Answer):
    """An answer whose body is read from a source while it is sent."""

    pieces: Iterator[bytes] | None = None
    incoming: Body | None = None

    async def send(self, send: Send, request: Request) -> None:
        headers = {"X-Request-Id": request.id, "X-Content-Type-Options": "nosniff", **self.headers}
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})
        if self.pieces is not None and request.method != "HEAD":
            await self._pour(send, self.pieces)
        await send({"type": "http.response.body", "body": b""})

    async def _pour(self, send: Send, pieces: Iterator[bytes]) -> None:
        gone = asyncio.create_task(_gone(self.incoming)) if self.incoming is not None else None
        try:
            while (gone is None or not gone.done()) and (
                piece := await on_disk(next, pieces, None)
            ) is not None:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                SERVED.add(len(piece))
        finally:
            if gone is not None:
                gone.cancel()
                with contextlib.suppress(asyncio.CancelledError, BodyEnded):
                    await gone


async def archive_get(request: Request, body: Body, caller: User) -> Answer:
    """The zip, or a part of it. Raises what `archive_of` raises, and `invalid_request`."""
    archive = await in_database(_chosen, request, caller)
    headers = {
        "Content-Type": "application/zip",
        "Content-Disposition": content_disposition(archive.filename, inline=False),
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, no-cache",
        "Accept-Ranges": "bytes",
        "ETag": archive.etag,
        "Last-Modified": format_datetime(archive.changed_at, usegmt=True),
    }
    if archive.etag in _tags(request.headers.get("if-none-match", "")):
        return Streamed(304, headers)
    first, end = 0, archive.size
    status = 200
    wanted = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if wanted is not None and wanted[0] != "bytes=-" and _still(request, archive):
        first, end = _bounds(wanted, archive.size)
        if first >= end:
            return Streamed(
                416, {**headers, "Content-Range": f"bytes */{archive.size}", "Content-Length": "0"}
            )
        status = 206
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{archive.size}"
    headers["Content-Length"] = str(end - first)
    return Streamed(status, headers, pieces=archive.pieces(first, end - first), incoming=body)


def _chosen(request: Request, caller: User) -> Archive:
    query = parse_qsl(request.query_string, keep_blank_values=True)
    asked = dict(query).get("what", "results")
    if asked not in _WHAT:
        words = f"One of {', '.join(_WHAT)}."
        raise Problem("invalid_request", errors=[FieldError("/what", "invalid_choice", words)])
    if found := OF_VIDEO.fullmatch(request.path):
        return archive_of(viewer=caller, videos=[found[1]], what=_WHAT[asked])
    videos = [value for name, value in query if name == "video"]
    outputs = [value for name, value in query if name == "output"]
    return archive_of(viewer=caller, videos=videos, outputs=outputs, what=_WHAT[asked])


def _still(request: Request, archive: Archive) -> bool:
    """Whether the part that was asked for is of the zip as it is now."""
    condition = request.headers.get("if-range")
    return condition is None or condition.strip() == archive.etag


def _bounds(wanted: re.Match[str], size: int) -> tuple[int, int]:
    first, last = wanted[1], wanted[2]
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1) if last else size


def _tags(header: str) -> set[str]:
    return {tag.strip().removeprefix("W/") for tag in header.split(",")}


async def _gone(body: Body) -> None:
    """Ends when the client does."""
    while await body.next() is not None:
        pass
    await body.disconnected()
