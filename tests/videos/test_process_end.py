"""The uploads process ends in the middle of an upload, politely and not."""

from __future__ import annotations

import signal
import socket
import time

import psutil
import pytest

from tests.videos.conftest import uploader
from users.models import User
from videos import storage
from videos.models import Upload
from videos.services.uploads import upload_create

SENT = 3_000_000


@pytest.mark.parametrize(("how", "counted"), [(signal.SIGTERM, SENT), (signal.SIGKILL, 0)])
def test_only_counted_bytes_are_believed(
    uploads_process: tuple[psutil.Process, str], alice: User, how: int, counted: int
) -> None:
    server, address = uploads_process
    upload = upload_create(owner=alice, length=SENT * 2)
    token = uploader("", alice).headers["Authorization"]
    head = f"PATCH /api/v1/uploads/{upload.pk} HTTP/1.1\r\nHost: 127.0.0.1\r\nTus-Resumable: 1.0.0\r\n"
    head += "Upload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\n"
    head += f"Content-Length: {SENT * 2}\r\nAuthorization: {token}\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        connection.sendall(head.encode() + b"x" * SENT)
        time.sleep(1)
        server.send_signal(how)
        server.wait(timeout=15)

    assert Upload.objects.get().offset == counted
    assert storage.upload_path(upload.pk).stat().st_size >= counted
