"""Stands in for web and uploads behind the edge: says what it was asked, and offers a file."""

from __future__ import annotations

import json
import os
from typing import Any

FILE_HEADERS = [
    (b"content-type", b"video/mp4"),
    (b"content-disposition", b"attachment; filename*=UTF-8''clip.mp4"),
    (b"content-security-policy", b"sandbox; default-src 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"etag", b'"by-content"'),
    (b"content-length", b"0"),
]
OFFERED = {"/file": b"/videos/vid_1/source", "/gone": b"/videos/vid_2/source", "/escape": b"/../../secret"}


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    size = 0
    more = True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    path, headers, status, body = scope["path"], [(b"content-type", b"application/json")], 200, b""
    if path in OFFERED:
        headers = [*FILE_HEADERS, (b"x-accel-redirect", OFFERED[path])]
    elif path == "/internal/staff":
        is_staff = (b"cookie", b"staff") in scope["headers"]
        status, headers = (204, []) if is_staff else (302, [(b"location", b"/accounts/login/")])
    else:
        seen = {name.decode(): value.decode() for name, value in scope["headers"]}
        told = {"path": path, "method": scope["method"], "size": size, "headers": seen}
        body = json.dumps({**told, "process": os.environ.get("EDGE_APP")}).encode()
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
