"""Which layer the tools of this process run in: the strongest that the machine allows, and that holds.

A layer that can be set up is not believed: an intruder's first attempts are carried out inside it, against
files and sockets made for that, and one that lets a file or, where it promises more, anything else be reached
is not taken.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.binaries import ffprobe_path
from engine.sandbox import attempts, starting
from engine.sandbox.kernel import SUPPORTED
from engine.sandbox.setting_up import LANDLOCK, NAMESPACES
from engine.sandbox.starting import LAYERS, LIMITS
from engine.types.limits import Limits

log = logging.getLogger(__name__)

MINIMUM = "VIDEOPROC_SANDBOX_MINIMUM"

# What may not be reached for a layer to be taken. A kernel may know landlock and lack the rest.
_PROMISED = {NAMESPACES: attempts.NAMES, LANDLOCK: attempts.FILES}
_WORKS = ("allowed_read", "allowed_write")


class SandboxTooWeak(RuntimeError):
    """The machine does not allow the layer that the operator demands."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The layer; what each attempt came to inside it; and why the stronger ones were not taken."""

    layer: str
    found: Mapping[str, str]
    refused: Mapping[str, str]

    @property
    def open(self) -> tuple[str, ...]:
        """The attempts that nothing stops."""
        return tuple(name for name in attempts.NAMES if not _stopped(self.found.get(name)))

    @property
    def warning(self) -> str:
        """What an operator should know; empty where all is well."""
        if self.layer == LIMITS:
            return "ffmpeg runs with limits alone: the machine allows no sandbox"
        return f"the sandbox leaves open: {', '.join(self.open)}" if self.open else ""


_lock = threading.Lock()
_chosen: Choice | None = None


def chosen() -> Choice:
    """The choice of this process and its forks, made at the first call.

    Raises SandboxTooWeak where it is below what `VIDEOPROC_SANDBOX_MINIMUM` demands.
    """
    global _chosen  # noqa: PLW0603 - made once, and kept over a fork
    with _lock:
        if _chosen is None:
            _chosen = choose(minimum=_minimum())
            log.log(
                logging.WARNING if _chosen.warning else logging.INFO,
                "media tools run in the sandbox %s%s",
                _chosen.layer,
                f": {_chosen.warning}" if _chosen.warning else "",
            )
        return _chosen


def choose(*, minimum: str = LIMITS) -> Choice:
    """Try the layers from the strongest on. Raises SandboxTooWeak, with the reasons."""
    refused: dict[str, str] = {}
    for layer in LAYERS[: LAYERS.index(minimum) + 1]:
        if layer == LIMITS:
            return Choice(layer, {}, refused)
        try:
            found = prove(layer)
        except OSError as error:
            refused[layer] = str(error)
            continue
        finally:
            starting.close()
        reached = [name for name in _PROMISED[layer] if not _stopped(found.get(name))]
        useless = [name for name in _WORKS if _stopped(found.get(name, attempts.STOPPED))]
        if not reached and not useless:
            return Choice(layer, found, refused)
        refused[layer] = ", ".join(f"{name}: {found.get(name)}" for name in (*reached, *useless))
    reasons = "; ".join(f"{layer}: {reason}" for layer, reason in refused.items())
    raise SandboxTooWeak(f"{MINIMUM}={minimum}, but this machine does not allow it ({reasons})")


def prove(layer: str) -> dict[str, str]:
    """Carry out the attempts inside this layer. Raises OSError where it cannot be set up."""
    if not SUPPORTED:
        raise OSError("only on Linux, on x86-64 and aarch64")
    with tempfile.TemporaryDirectory(prefix="videoproc-sandbox-") as name, _listeners() as listening:
        folder = Path(name).resolve()
        source, other, scratch = folder / "mine" / "source", folder / "theirs" / "source", folder / "scratch"
        for path in (source, other, scratch / "begun"):
            path.parent.mkdir()
            path.write_bytes(b"x")
        targets = {
            **{key: str(value) for key, value in {"source": source, "other": other}.items()},
            "scratch": str(scratch),
            "outside": str(folder / "outside"),
            "pid": os.getpid(),
            **listening.addresses,
        }
        argv = [str(ffprobe_path()), "-i", f"file:{source}", f"file:{scratch / 'out'}"]
        found = _carried_out(argv, layer, scratch, targets)
        for reached in listening.reached():
            found[reached] = f"{attempts.OPEN}: something arrived"
        if (folder / "outside").exists():
            found["written_outside"] = f"{attempts.OPEN}: the file is there"
        return found


def _carried_out(argv: list[str], layer: str, scratch: Path, targets: Mapping[str, Any]) -> dict[str, str]:
    started = starting.start(argv, layer=layer, cwd=scratch, limits=Limits(), attempts=targets)
    with started.stdout, started.stderr:
        answer, errors = started.stdout.read(), started.stderr.read()
    os.waitpid(started.pid, 0)
    try:
        found: dict[str, str] = json.loads(answer)
    except ValueError as error:
        raise OSError(errors.decode(errors="replace").strip() or "it ended without an answer") from error
    return found


@dataclass(frozen=True, slots=True)
class _Listening:
    """Sockets that nothing in a sandbox may reach."""

    addresses: Mapping[str, Any]
    streams: Mapping[str, socket.socket]
    datagrams: socket.socket

    def reached(self) -> Iterator[str]:
        for name, server in self.streams.items():
            try:
                peer, _ = server.accept()
            except BlockingIOError:
                continue
            peer.close()
            yield name
        try:
            self.datagrams.recv(1)
        except BlockingIOError:
            return
        yield "loopback_udp"


@contextmanager
def _listeners() -> Iterator[_Listening]:
    abstract = f"videoproc-sandbox-{os.getpid()}-{os.urandom(4).hex()}"
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as meeting,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        meeting.bind(f"\0{abstract}")
        meeting.listen()
        datagrams.bind(("127.0.0.1", 0))
        for one in (server, meeting, datagrams):
            one.setblocking(False)
        yield _Listening(
            addresses={
                "port": server.getsockname()[1],
                "udp_port": datagrams.getsockname()[1],
                "abstract": abstract,
            },
            streams={"loopback": server, "abstract_socket": meeting},
            datagrams=datagrams,
        )


def _stopped(result: str | None) -> bool:
    return result is not None and result.startswith(attempts.STOPPED)


def _minimum() -> str:
    wanted = os.environ.get(MINIMUM, "").strip().lower() or LIMITS
    if wanted not in LAYERS:
        raise SandboxTooWeak(f"{MINIMUM}={wanted!r}: expected {', '.join(LAYERS)}")
    return wanted
