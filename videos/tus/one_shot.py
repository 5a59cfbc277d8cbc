"""POST /api/v1/videos: a whole file in one request, as a raw body or as the field `file` of a form.

It runs through an upload of its own, so quota, disk and completion work as for tus; if the request
fails, that upload is discarded, because the client was never told of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rest_framework.renderers import JSONRenderer

from problems import Problem
from users.models import User
from videos import storage
from videos.models import Upload, Video
from videos.serializers import VideoSerializer
from videos.services.uploads import (
    upload_create,
    upload_discard,
    upload_length_set,
    upload_rename,
    upload_room,
)
from videos.tus.body import Body
from videos.tus.messages import Answer, Request, json_answer
from videos.tus.multipart import Form, form_of
from videos.tus.sink import Sink, sink_opened
from videos.tus.threads import in_database, on_disk

_FORM_OVERHEAD = 64 * 1024
# Somebody who sends these means another endpoint.
_REFUSED_TYPES = {"application/json", "text/html"}


async def video_post(request: Request, body: Body, caller: User, on_complete: Callable[..., Video]) -> Answer:
    """Take the file and answer with its video."""
    if request.content_type in _REFUSED_TYPES:
        raise Problem("unsupported_media_type", content_type=request.content_type)
    form = form_of(request)
    await on_disk(storage.room_check, request.content_length or 0)
    announced = None if form is not None else request.content_length
    upload = await in_database(
        upload_create,
        owner=caller,
        length=announced,
        filename=request.query.get("filename", ""),
        title=request.query.get("title", ""),
    )
    try:
        video_id = await _filled(upload, request, body, form, on_complete)
    except BaseException:
        # Also when the connection was cut or this process is asked to stop.
        await in_database(upload_discard, upload=upload)
        raise
    return json_answer(
        201, await in_database(_document, video_id, request), Location=f"/api/v1/videos/{video_id}"
    )


async def _filled(
    upload: Upload, request: Request, body: Body, form: Form | None, on_complete: Callable[..., Video]
) -> str:
    async with sink_opened(upload, body) as sink:
        room = await in_database(upload_room, upload=sink.upload)
        at_most = (request.content_length or 0) - (_FORM_OVERHEAD if form is not None else 0)
        if at_most > room.end:
            raise room.refusal(at_most)
        sink.expect(room)
        while (piece := await body.next()) is not None:
            for part in [piece] if form is None else form.feed(piece):
                await sink.feed(part)
        await sink.finish()
        if form is not None:
            form.close()
            await in_database(_named, sink.upload, form)
        await _length_settled(sink)
        video = await in_database(on_complete, upload_id=upload.pk)
        return str(video.pk)


async def _length_settled(sink: Sink) -> None:
    """A form and a chunked body do not say how long the file is before its end."""
    if sink.upload.length is None:
        length = sink.upload.offset
        sink.upload = await in_database(upload_length_set, upload=sink.upload, length=length)


def _named(upload: Upload, form: Form) -> None:
    upload_rename(
        upload=upload,
        filename=upload.filename or form.filename or "",
        title=upload.title or form.fields.get("title", ""),
    )


def _document(video_id: str, request: Request) -> Any:
    video = Video.objects.prefetch_related("operations").get(pk=video_id)
    return JSONRenderer().render(VideoSerializer(video, context={"request": request.for_django()}).data)
