"""Ask a local server over HTTP whether it is there, by TCP or Unix socket."""

from __future__ import annotations

import http.client
import socket
from dataclasses import dataclass
from pathlib import Path


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, address: Path, *, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._address = address

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._address))


@dataclass(frozen=True, slots=True)
class Question:
    """One request; asking it twice must do no harm."""

    path: str
    host: str
    server: Path | tuple[str, int]
    method: str = "GET"
    seconds: float = 5.0

    def status(self) -> int | None:
        """Status code of the answer; None when nobody answers in time."""
        connection: http.client.HTTPConnection
        if isinstance(self.server, Path):
            connection = _UnixConnection(self.server, timeout=self.seconds)
        else:
            connection = http.client.HTTPConnection(*self.server, timeout=self.seconds)
        try:
            connection.request(self.method, self.path, headers={"Host": self.host, "Connection": "close"})
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def succeeds(self) -> bool:
        """Whether the answer is 2xx or 3xx."""
        status = self.status()
        return status is not None and 200 <= status < 400  # noqa: PLR2004 - HTTP's own classes
