"""A web server that offers one file, and behaves as a test wants: for imports from web addresses."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Offer:
    """`headers` come on top; `cut_after` ends each answer so many bytes into it; `pause` lies between
    pieces."""

    content: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    length: bool = True
    etag: str = '"one"'
    cut_after: int | None = None
    piece: int = 65536
    pause: float = 0.0


@dataclass
class FileServer:
    """`asked` are the paths and Range headers of requests, in order."""

    port: int
    offer: Offer = field(default_factory=Offer)
    offers: dict[str, Offer] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def file_server() -> Iterator[FileServer]:
    """It listens until the block ends."""
    listening = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    served = FileServer(int(listening.server_address[1]))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served.asked.append((self.path, self.headers.get("Range")))
            try:
                _answer(self, served.offers.get(self.path, served.offer))
            except OSError:
                # A client that hangs up is what some tests are about.
                self.close_connection = True

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the parent's name
            pass

    listening.RequestHandlerClass = Handler
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield served
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()


def _answer(request: BaseHTTPRequestHandler, offer: Offer) -> None:
    content, status, headers = offer.content, offer.status, {}
    wanted = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
    if wanted and offer.ranges and request.headers.get("If-Range") == offer.etag:
        start, whole = int(wanted[1]), len(content)
        status, content = 206, content[start:]
        headers["Content-Range"] = f"bytes {start}-{whole - 1}/{whole}"
    if offer.etag:
        headers["ETag"] = offer.etag
    if offer.length:
        headers["Content-Length"] = str(len(content))
    else:
        headers["Connection"] = "close"
    request.send_response(status)
    for name, value in {**headers, **offer.headers}.items():
        request.send_header(name, value)
    request.end_headers()
    end = len(content) if offer.cut_after is None else offer.cut_after
    for at in range(0, min(end, len(content)), offer.piece):
        request.wfile.write(content[at : min(end, at + offer.piece)])
        if offer.pause:
            request.wfile.flush()
            time.sleep(offer.pause)
    if offer.cut_after is not None or not offer.length:
        request.close_connection = True
