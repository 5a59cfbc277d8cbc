"""The requests of tus 1.0.0, each from its headers to its answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from django.utils import timezone
from django.utils.http import http_date
from rest_framework.renderers import JSONRenderer

from problems import FieldError, Problem
from users.ids import public_id_is_valid
from users.models import User
from videos.models import Upload, Video
from videos.selectors import upload_get_for, uploads_unfinished_for
from videos.serializers import UploadSerializer
from videos.services.concatenation import final_create, length_told
from videos.services.uploads import upload_create, upload_discard, upload_length_set, upload_room
from videos.tus.body import Body, BodyEnded
from videos.tus.callers import caller_of
from videos.tus.concatenation import joined, joined_after
from videos.tus.headers import (
    CHECKSUMS,
    checksum_of,
    length_of,
    metadata_header,
    metadata_of,
    number_of,
    parts_of,
)
from videos.tus.messages import TUS_VERSION, Answer, Refusal, Request, json_answer
from videos.tus.sink import Sink, silent_writer_yields, sink_opened
from videos.tus.threads import in_database

BYTES_TYPE = "application/offset+octet-stream"
EXTENSIONS = (
    "creation,creation-with-upload,creation-defer-length,termination,expiration,checksum,concatenation,"
    "concatenation-unfinished"
)
OnComplete = Callable[..., Video]
_PAGE, _PAGE_MOST = 50, 200


def options(_request: Request) -> Answer:
    headers = {
        "Tus-Version": TUS_VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
    }
    return Answer(204, headers)


async def create(request: Request, body: Body, caller: User, on_complete: OnComplete) -> Answer:
    """POST: a new upload, with its first bytes if they come along; or one made of others."""
    metadata = metadata_of(request.headers)
    if parts := parts_of(request.headers):
        return await _create_final(request, caller, parts, metadata, on_complete)
    length = length_of(request.headers)
    with_bytes = request.content_type == BYTES_TYPE
    checksum = checksum_of(request.headers) if with_bytes else None
    if with_bytes and length is not None and (request.content_length or 0) > length:
        raise Problem("upload_body_too_long", length=length)
    upload = await in_database(
        upload_create,
        owner=caller,
        length=length,
        **_names(metadata),
        metadata=metadata,
        partial="upload-concat" in request.headers,
    )
    headers = {"Location": f"/api/v1/uploads/{upload.pk}"}
    if with_bytes:
        async with sink_opened(upload, body) as sink:
            sink.expect(await in_database(upload_room, upload=sink.upload), checksum)
            try:
                await pour(body, sink)
            except Refusal as refusal:
                refusal.headers |= headers
                raise
            # Nobody knows of this upload yet, so no final one waits for it.
            upload, finished = await completed(sink.upload, on_complete)
            headers |= {"Upload-Offset": str(upload.offset), **finished}
    return Answer(201, {**headers, **_expiry(upload)})


async def _create_final(
    request: Request, caller: User, parts: list[str], metadata: dict[str, str], on_complete: OnComplete
) -> Answer:
    if request.content_length:
        raise Problem("upload_is_final")
    upload = await in_database(
        final_create,
        owner=caller,
        concat=request.headers["upload-concat"],
        parts=parts,
        **_names(metadata),
        metadata=metadata,
    )
    upload, headers = await completed(upload, on_complete)
    return Answer(201, {"Location": f"/api/v1/uploads/{upload.pk}", **headers, **_expiry(upload)})


def _names(metadata: dict[str, str]) -> dict[str, str]:
    filename = metadata.get("filename") or metadata.get("name", "")
    return {"filename": filename, "title": metadata.get("title", "")}


async def append(request: Request, body: Body, upload: Upload, on_complete: OnComplete) -> Answer:
    """PATCH: the next bytes, as many as come."""
    if upload.is_final:
        raise Problem("upload_is_final")
    if request.content_type != BYTES_TYPE:
        raise Problem("unsupported_media_type", content_type=request.content_type or "(none)")
    offset = number_of(request.headers, "Upload-Offset")
    checksum = checksum_of(request.headers)
    if upload.is_complete:
        # The last answer got lost, and the client asks again with nothing left to send.
        _offset_check(upload, offset)
        _length_check(upload, offset, request)
        return await _appended(upload, on_complete)
    async with sink_opened(upload, body) as sink:
        _offset_check(sink.upload, offset)
        if "upload-length" in request.headers:
            length = number_of(request.headers, "Upload-Length")
            if sink.upload.length != length:
                sink.upload = await in_database(upload_length_set, upload=sink.upload, length=length)
        _length_check(sink.upload, offset, request)
        sink.expect(await in_database(upload_room, upload=sink.upload), checksum)
        await pour(body, sink)
        upload = sink.upload
        if not upload.is_partial:
            return await _appended(upload, on_complete)
    if upload.is_complete:
        await _part_completed(upload, on_complete)
    return await _appended(upload, on_complete)


async def state(upload: Upload, on_complete: OnComplete) -> Answer:
    """HEAD: where to go on."""
    await silent_writer_yields(upload.pk)
    upload = await in_database(Upload.objects.get, pk=upload.pk)
    upload, headers = await completed(upload, on_complete)
    length = upload.length
    if upload.is_final:
        length = await in_database(length_told, upload=upload)
    if not upload.is_final or upload.is_complete:
        headers["Upload-Offset"] = str(upload.offset)
    if length is not None:
        headers["Upload-Length"] = str(length)
    elif not upload.is_final:
        headers["Upload-Defer-Length"] = "1"
    if upload.concat:
        headers["Upload-Concat"] = upload.concat
    if upload.metadata:
        headers["Upload-Metadata"] = metadata_header(upload.metadata)
    return Answer(200, {**headers, **_expiry(upload)})


async def describe(upload: Upload, on_complete: OnComplete) -> Answer:
    """GET, which tus does not have: the upload as JSON."""
    upload, headers = await completed(upload, on_complete)
    document = JSONRenderer().render(UploadSerializer(upload).data)
    return json_answer(200, document, **headers)


def unfinished(request: Request, caller: User) -> Answer:
    """GET of all: the caller's unfinished uploads, newest first, in pages. Uses the database."""
    before, limit = request.query.get("before", ""), request.query.get("limit", str(_PAGE))
    if not limit.isdecimal() or not 0 < int(limit[:9]) <= _PAGE_MOST:
        error = FieldError("/limit", "out_of_range", f"A whole number from 1 to {_PAGE_MOST}.")
        raise Problem("invalid_request", errors=[error])
    if before and not public_id_is_valid("upl", before):
        raise Problem("invalid_request", errors=[FieldError("/before", "invalid", "The id of an upload.")])
    rows = uploads_unfinished_for(caller)
    if before:
        rows = rows.filter(pk__lt=before)
    found = list(rows[: int(limit) + 1])
    page = found[: int(limit)]
    following = None
    if len(found) > len(page):
        address = f"/api/v1/uploads?before={page[-1].pk}&limit={limit}"
        following = request.for_django().build_absolute_uri(address)
    data = UploadSerializer(page, many=True).data
    return json_answer(200, JSONRenderer().render({"data": data, "next": following, "previous": None}))


async def discard(upload: Upload, body: Body) -> Answer:
    """DELETE: forget an upload, finished or not. A video made from it stays."""
    if upload.video_id is not None:
        await in_database(upload_discard, upload=upload)
    else:
        async with sink_opened(upload, body):
            await in_database(upload_discard, upload=upload)
    return Answer(204)


async def pour(body: Body, sink: Sink) -> None:
    """Everything that comes goes into the sink. What arrived before a cut is kept. Raises BodyEnded."""
    try:
        while (piece := await body.next()) is not None:
            await sink.feed(piece)
    except (BodyEnded, asyncio.CancelledError):
        await sink.stop()
        raise
    await sink.finish()


async def completed(upload: Upload, on_complete: OnComplete) -> tuple[Upload, dict[str, str]]:
    """If all bytes are there, make sure that the video is; a crash may have come in between."""
    if upload.is_final and not upload.is_complete:
        try:
            upload = await joined(upload)
        except Problem as problem:
            # Somebody else puts it together just now.
            if problem.code != "upload_locked":
                raise
    if not upload.is_complete or upload.is_partial:
        return upload, {}
    if upload.video_id is None:
        video = await in_database(on_complete, upload_id=upload.pk)
        upload.video_id = video.pk
    return upload, {"Videoproc-Video": str(upload.video_id)}


def allowed_upload(request: Request, upload_id: str) -> Upload:
    """The caller's upload. Uses the database. Raises `not_found`, `upload_gone` and as `caller_of` does."""
    upload = upload_get_for(caller_of(request), upload_id)
    if upload.video_id is None and upload.expires_at <= timezone.now():
        raise Problem("upload_gone")
    return upload


async def _appended(upload: Upload, on_complete: OnComplete) -> Answer:
    upload, headers = await completed(upload, on_complete)
    return Answer(204, {"Upload-Offset": str(upload.offset), **headers, **_expiry(upload)})


async def _part_completed(part: Upload, on_complete: OnComplete) -> None:
    for upload in await joined_after(part):
        # The bytes are safe whatever happens here: the recovery makes the video.
        with contextlib.suppress(Problem):
            await completed(upload, on_complete)


def _offset_check(upload: Upload, offset: int) -> None:
    if offset != upload.offset:
        problem = Problem("upload_offset_conflict", offset=upload.offset)
        raise Refusal(problem, Upload_Offset=str(upload.offset))


def _length_check(upload: Upload, offset: int, request: Request) -> None:
    """Refuse at once what says itself that it is too long."""
    if upload.length is not None and offset + (request.content_length or 0) > upload.length:
        problem = Problem("upload_body_too_long", length=upload.length)
        raise Refusal(problem, Upload_Offset=str(upload.offset))


def _expiry(upload: Upload) -> dict[str, str]:
    return {"Upload-Expires": http_date(upload.expires_at.timestamp())}
