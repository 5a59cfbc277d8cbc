"""POST /api/v1/videos: a whole file in one request, as a raw body or as the field `file` of a form.

It runs through an upload of its own, so quota, disk and completion work as for tus; if the request
fails, that upload is discarded, because the client was never told of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from rest_framework.renderers import JSONRenderer

from problems import FieldError, Problem
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
from videos.tus.sink import Sink, sink_opened
from videos.tus.threads import in_database, on_disk

_FIELD_LIMIT = 4096
_FORM_OVERHEAD = 64 * 1024
# Somebody who sends these means another endpoint.
_REFUSED_TYPES = {"application/json", "text/html"}


class _Form:
    """A multipart body, taken apart as it comes: the file's bytes pass through, fields stay."""

    def __init__(self, boundary: bytes) -> None:
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self._header_name = b""
        self._header_value = b""
        self._disposition = b""
        self._name = ""
        self._in_file = False
        self._pieces: list[bytes] = []
        self._text = bytearray()
        self._ended = False
        callbacks: dict[str, Callable[..., None]] = {
            "on_part_begin": self._part_begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value_more,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }
        self._parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type]  # a TypedDict of these

    def feed(self, piece: bytes) -> list[bytes]:
        """The file's bytes in this piece of the body. Raises `malformed_body`."""
        self._pieces = []
        try:
            self._parser.write(piece)
        except MultipartParseError as error:
            raise Problem("malformed_body", reason="it is not the form it says it is.") from error
        return self._pieces

    def close(self) -> None:
        """Raises `malformed_body` or, without a file, `invalid_request`."""
        if not self._ended:
            raise Problem("malformed_body", reason="its end is missing.")
        if self.filename is None:
            error = FieldError("/file", "required", "Send the file in the field called file.")
            raise Problem("invalid_request", errors=[error])

    def _part_begin(self) -> None:
        self._disposition, self._name, self._in_file, self._text = b"", "", False, bytearray()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _header_value_more(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode(errors="replace")
        self._in_file = self._name == "file" and self.filename is None
        if self._in_file:
            self.filename = options.get(b"filename", b"").decode(errors="replace")

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._pieces.append(data[start:end])
        elif len(self._text) < _FIELD_LIMIT:
            self._text += data[start:end]

    def _part_end(self) -> None:
        if not self._in_file:
            self.fields[self._name] = bytes(self._text[:_FIELD_LIMIT]).decode(errors="replace")

    def _end(self) -> None:
        self._ended = True


async def video_post(request: Request, body: Body, caller: User, on_complete: Callable[..., Video]) -> Answer:
    """Take the file and answer with its video."""
    if request.content_type in _REFUSED_TYPES:
        raise Problem("unsupported_media_type", content_type=request.content_type)
    form = _form_of(request)
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
    upload: Upload, request: Request, body: Body, form: _Form | None, on_complete: Callable[..., Video]
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


def _named(upload: Upload, form: _Form) -> None:
    upload_rename(
        upload=upload,
        filename=upload.filename or form.filename or "",
        title=upload.title or form.fields.get("title", ""),
    )


def _form_of(request: Request) -> _Form | None:
    if request.content_type != "multipart/form-data":
        return None
    _, options = parse_options_header(request.headers["content-type"])
    boundary = options.get(b"boundary")
    if not boundary:
        raise Problem("malformed_body", reason="the boundary is missing.")
    return _Form(boundary)


def _document(video_id: str, request: Request) -> Any:
    video = Video.objects.prefetch_related("operations").get(pk=video_id)
    return JSONRenderer().render(VideoSerializer(video, context={"request": request.for_django()}).data)
