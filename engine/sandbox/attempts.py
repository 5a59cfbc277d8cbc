"""What an intruder would try first. Carried out where a tool would be, with nothing but what it would have.

Each attempt comes back as "stopped: ..." or "open: ...". Runs in the launcher process: standard library only.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from typing import Any

STOPPED, OPEN = "stopped", "open"

FILES = ("system_file", "other_file", "other_folder", "source_changed", "written_outside", "linked")
NETWORK = ("loopback", "loopback_udp", "abstract_socket", "outside")
PROCESSES = ("processes", "signal", "environment")
NAMES = (*FILES, *NETWORK, *PROCESSES)
# An address that belongs to nobody: with a network, the kernel begins to connect.
_OUTSIDE = ("192.0.2.1", 9)


def carry_out(targets: Mapping[str, Any]) -> dict[str, str]:
    """Try everything. `targets` names what is there to be reached; see `proof`."""
    source, scratch = str(targets["source"]), str(targets["scratch"])
    tries: dict[str, Callable[[], object]] = {
        "system_file": lambda: _read("/etc/passwd"),
        "other_file": lambda: _read(str(targets["other"])),
        "other_folder": lambda: os.listdir(os.path.dirname(str(targets["other"]))),  # noqa: PTH120, PTH208
        "source_changed": lambda: _write(source),
        "written_outside": lambda: _write(str(targets["outside"])),
        "linked": lambda: os.symlink(str(targets["other"]), f"{scratch}/link"),  # noqa: PTH211
        "loopback": lambda: _connect(("127.0.0.1", int(targets["port"]))),
        "loopback_udp": lambda: _send(("127.0.0.1", int(targets["udp_port"]))),
        "abstract_socket": lambda: _meet(str(targets["abstract"])),
        "outside": lambda: _connect(_OUTSIDE),
        "processes": _others,
        "signal": lambda: os.kill(int(targets["pid"]), 0),
        "environment": lambda: _read(f"/proc/{int(targets['pid'])}/environ"),
        # Two that have to work: a sandbox in which nothing can be done proves nothing.
        "allowed_read": lambda: _read(source),
        "allowed_write": lambda: _write(f"{scratch}/written"),
    }
    return {name: _result(attempt) for name, attempt in tries.items()}


def _result(attempt: Callable[[], object]) -> str:
    try:
        found = attempt()
    except OSError as error:
        return f"{STOPPED}: {error.strerror}"
    return f"{OPEN}: {str(found)[:80]}"


def _read(path: str) -> str:
    with open(path, "rb") as file:  # noqa: PTH123 - no pathlib in the launcher
        return f"{len(file.read(64))} bytes"


def _write(path: str) -> str:
    with open(path, "ab") as file:  # noqa: PTH123
        return f"{file.write(b'x')} byte"


def _connect(address: tuple[str, int]) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as peer:
        peer.setblocking(False)
        try:
            peer.connect(address)
        except BlockingIOError:
            return "a connection was begun"
        return "connected"


def _send(address: tuple[str, int]) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        return f"{peer.sendto(b'x', address)} byte"


def _meet(name: str) -> str:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.connect(f"\0{name}")
        return "connected"


def _others() -> str:
    own = str(os.getpid())
    seen = [name for name in os.listdir("/proc") if name.isdecimal() and name != own]  # noqa: PTH208
    if not seen:
        raise FileNotFoundError(2, "No other process")
    return f"{len(seen)} processes"
