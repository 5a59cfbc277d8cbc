"""A multipart form, taken apart as it comes."""

from __future__ import annotations

from collections.abc import Callable

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from problems import FieldError, Problem
from videos.tus.messages import Request

_FIELD_LIMIT = 4096


class Form:
    """The file's bytes pass through, fields stay."""

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


def form_of(request: Request) -> Form | None:
    """The form that the body will be; None for a raw body."""
    if request.content_type != "multipart/form-data":
        return None
    _, options = parse_options_header(request.headers["content-type"])
    boundary = options.get(b"boundary")
    if not boundary:
        raise Problem("malformed_body", reason="the boundary is missing.")
    return Form(boundary)
