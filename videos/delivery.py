"""What goes with the bytes of a file: its type, its name, and headers that keep a browser from running it.

The bytes themselves are the edge's business: it gets the place of the file in `X-Accel-Redirect`, or a signed
address in the bucket in `X-Bucket-Address`. A bucket knows other ETags than ours, so what depends on them is
decided here: whether the client has the file already, and whether a part still belongs to what it has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from django.http import HttpResponse

from problems import Problem
from videos import storage
from videos.models import Asset, Output, ShareLink, Video
from videos.names import content_disposition, download_name

UNKNOWN_TYPE = "application/octet-stream"
CONTENT_TYPES = {
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "avi": "video/x-msvideo",
    "webm": "video/webm",
    "mkv": "video/matroska",
    "flv": "video/x-flv",
    "ts": "video/mp2t",
    "mpg": "video/mpeg",
    "wmv": "video/x-ms-wmv",
    "3gp": "video/3gpp",
    "ogv": "video/ogg",
}
_EXTENSION = re.compile(r"\.[a-z0-9]{1,5}")
_RANGES = re.compile(r"bytes=\s*(\d*-\d*(?:\s*,\s*\d*-\d*)*)\s*")
_ETAG_LENGTH = 32
# Shown in a page or a tab by their real type; anything else only ever downloads.
STREAM_TYPE = "application/vnd.apple.mpegurl"
_SHOWN = ("video/", "audio/", "image/jpeg", "image/png", "image/gif", "image/webp", STREAM_TYPE)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One file to hand out. `digest` is its SHA-256 where that is known: the same bytes have the same
    ETag on every machine, so a download goes on after a move of the site."""

    path: Path
    filename: str
    content_type: str
    inline: bool
    digest: str = ""

    def answer(self, method: str, asked: Mapping[str, str]) -> HttpResponse:
        """An answer without a body, for the edge to put the file in. `asked` are the request's headers."""
        store = storage.bucket()
        if store is None:
            return HttpResponse(headers={"X-Accel-Redirect": storage.accel_path(self.path), **self._headers})
        if self.digest and self._etag in _tags(asked.get("If-None-Match", "")):
            return HttpResponse(status=304, headers=self._headers)
        address = store.address(storage.bucket_name(self.path), method)
        place = {"X-Bucket-Address": address.path, "X-Bucket-Host": address.host}
        if asked.get("If-Range", self._etag) != self._etag:
            place["X-Bucket-Whole"] = "yes"
        return HttpResponse(headers={**place, **self._headers})

    @property
    def _etag(self) -> str:
        return f'"{self.digest[:_ETAG_LENGTH]}"'

    @property
    def _headers(self) -> dict[str, str]:
        named = {"ETag": self._etag} if self.digest else {}
        return {
            "Content-Type": self.content_type,
            "Content-Disposition": content_disposition(self.filename, inline=self.inline),
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, no-cache",
            **named,
        }

    def promised_bytes(self, wanted: str) -> int:
        """How many bytes the edge will send for the Range header `wanted`; the whole file without one."""
        try:
            size = self.path.stat().st_size
        except OSError:
            return 0
        found = _RANGES.fullmatch(wanted)
        if found is None:
            return size
        total = sum(_length(part.strip(), size) for part in found[1].split(","))
        # The edge sends the whole file rather than parts that overlap to more than that.
        return min(total, size)


def _tags(header: str) -> set[str]:
    return {tag.strip().removeprefix("W/") for tag in header.split(",")}


def _length(part: str, size: int) -> int:
    first, _, last = part.partition("-")
    if not first:
        return min(size, int(last)) if last else size
    end = min(size, int(last) + 1) if last else size
    return max(0, end - int(first))


def source_delivery(video: Video, *, inline: bool) -> Delivery:
    """The original. Before its inspection nobody knows what it is, so then it only downloads as bytes.

    Raises `not_found` where the bytes were freed.
    """
    if not video.has_bytes:
        raise Problem("not_found")
    known = video.status == Video.Status.READY
    content_type = CONTENT_TYPES.get(video.container, UNKNOWN_TYPE) if known else UNKNOWN_TYPE
    return Delivery(
        path=storage.source_path(video.pk),
        filename=download_name(video.name, extension=_extension(video)),
        content_type=content_type,
        inline=inline and _may_show(content_type),
        digest=video.sha256,
    )


def thumbnail_delivery(video: Video) -> Delivery:
    """Raises `not_found` where the video has none."""
    if not video.has_thumbnail:
        raise Problem("not_found")
    return Delivery(
        path=storage.thumbnail_path(video.pk),
        filename=download_name(video.name, extension="jpg"),
        content_type="image/jpeg",
        inline=True,
    )


def output_delivery(output: Output, *, inline: bool) -> Delivery:
    return Delivery(
        path=storage.output_path(output.pk),
        filename=output.filename,
        content_type=output.content_type,
        inline=inline and _may_show(output.content_type),
        digest=output.sha256,
    )


def share_delivery(share: ShareLink, *, inline: bool) -> Delivery:
    """What a share link leads to, under the name that its owner gave it."""
    if share.output is None:
        found = source_delivery(share.video, inline=inline)
        # As it is inside, not as the uploaded file was called.
        extension = share.video.container or "bin"
    else:
        found = output_delivery(share.output, inline=inline)
        extension = PurePosixPath(share.output.filename).suffix.removeprefix(".") or "bin"
    return replace(found, filename=download_name(share.title or "video", extension=extension))


def asset_delivery(asset: Asset) -> Delivery:
    """Always to be saved, never to be shown."""
    picture = asset.kind == Asset.Kind.PICTURE
    return Delivery(
        path=storage.asset_path(asset.pk),
        filename=asset.filename,
        content_type="image/png" if picture else "application/x-subrip",
        inline=False,
        digest=asset.sha256,
    )


def output_member_delivery(output: Output, name: str) -> Delivery:
    """One of the other files of a result, by its name in the result's own list.

    Raises `not_found` where the list has no such name; what was asked for never becomes a path.
    """
    for member in output.members:
        if member["name"] == name:
            return Delivery(
                path=storage.output_member_path(output.pk, member["name"]),
                filename=member["name"],
                content_type=member["content_type"],
                inline=_may_show(member["content_type"]),
                digest=member["sha256"],
            )
    raise Problem("not_found")


def _may_show(content_type: str) -> bool:
    return content_type.startswith(_SHOWN)


def _extension(video: Video) -> str:
    given = PurePosixPath(video.original_filename).suffix.lower()
    return given.removeprefix(".") if _EXTENSION.fullmatch(given) else video.container or "bin"
