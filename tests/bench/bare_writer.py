"""The least that a server can do with an upload: read the body from the edge and write it to a file.

usage: python -m tests.bench.bare_writer SOCKET FOLDER. Knows no users, no offsets, no database. What it wrote
is fsynced before it answers, as an upload is.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
from itertools import count
from pathlib import Path

BUFFER = 1024**2
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
ANSWER = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def serve(address: Path, folder: Path) -> None:
    """Take one upload after the other, for ever."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen()
        for number in count():
            connection, _ = listener.accept()
            threading.Thread(target=take, args=(connection, folder / str(number)), daemon=True).start()


def take(connection: socket.socket, target: Path) -> None:
    """One request, and the connection's end."""
    with connection, target.open("wb", buffering=0) as file:
        head = bytearray()
        while b"\r\n\r\n" not in head:
            if not (piece := connection.recv(65536)):
                return
            head += piece
        headers, _, body = bytes(head).partition(b"\r\n\r\n")
        length = LENGTH.search(headers)
        if length is None:
            return
        left = int(length[1]) - len(body)
        file.write(body)
        buffer = memoryview(bytearray(BUFFER))
        while left > 0 and (got := connection.recv_into(buffer)):
            file.write(buffer[:got])
            left -= got
        os.fsync(file.fileno())
        connection.sendall(ANSWER)


def main() -> None:
    serve(Path(sys.argv[1]), Path(sys.argv[2]))


if __name__ == "__main__":
    main()
