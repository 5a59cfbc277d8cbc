"""From a fresh fork to a process that sees only what it needs: the steps just before a tool is started.

Runs in the launcher process: standard library only.
"""

from __future__ import annotations

import os
import resource
import select
import signal
from collections.abc import Iterable, Mapping
from typing import Any

from engine.sandbox import kernel

NAMESPACES = "namespaces"
LANDLOCK = "landlock"

# What may be done with something that a tool can see.
READ, RUN, WRITE, DEVICE = "read", "run", "write", "device"

_RIGHTS = {READ: kernel.READS, RUN: kernel.RUNS, WRITE: kernel.WRITES, DEVICE: kernel.DEVICE}
# Hidden under an empty file system while the new one is put together; that it exists is all that matters.
_BASES = ("/tmp", "/var/tmp", "/mnt", "/usr")  # noqa: S108 - nothing is written there
_OLD = "/.old"
_SMALL = "mode=755,size=64k,nr_inodes=4096"
# Bits of statvfs that a bind mount must not lose, as bits of mount: the access times' last one differs.
_KEPT = {1: 1, 2: 2, 4: 4, 8: 8, 1024: 1024, 2048: 2048, 4096: 1 << 21}

Entry = tuple[str, str, str]
"""A path as the tool knows it, the same without symbolic links, and what may be done with it."""


def confine(request: Mapping[str, Any], layer: str, alive: int) -> None:
    """Make this process what the tool is to be. Raises OSError at the first step that does not work.

    `alive` is the end of a pipe whose other end belongs to the process that asked for the tool.
    """
    entries: list[Entry] = [(str(one[0]), str(one[1]), str(one[2])) for one in request["view"]]
    folder = str(request["cwd"])
    if layer == NAMESPACES:
        _only_these(entries, request["links"], folder)
    os.chdir(folder)
    os.nice(int(request["nice"]))
    kernel.die_with_parent(signal.SIGKILL)
    if _is_orphan(alive):
        os._exit(1)  # killed before the kernel was told to watch it
    kernel.drop_capabilities()
    if layer == LANDLOCK:
        kernel.landlock((real, _RIGHTS[kind]) for _, real, kind in entries)
    for name, value in request["limits"].items():
        _limit(int(name), int(value))
    try:
        kernel.refuse_calls()
    except OSError:
        # Kernels without it exist. What it would have stopped is then found open by the proof.
        return


def _limit(name: int, value: int) -> None:
    _, most = resource.getrlimit(name)
    value = value if most == resource.RLIM_INFINITY else min(value, most)
    resource.setrlimit(name, (value, value))


def _is_orphan(alive: int) -> bool:
    poll = select.poll()
    poll.register(alive, 0)
    return any(events & select.POLLERR for _, events in poll.poll(0))


def _only_these(entries: Iterable[Entry], links: Iterable[tuple[str, str]], folder: str) -> None:
    """A file system that holds nothing else."""
    base = next(path for path in _BASES if os.path.isdir(path))  # noqa: PTH112
    kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", base, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, _SMALL)
    os.mkdir(f"{base}{_OLD}")  # noqa: PTH102 - as above, and below
    kernel.pivot_root(base, f"{base}{_OLD}")
    os.chdir("/")
    for link, target in links:
        os.makedirs(os.path.dirname(link), exist_ok=True)  # noqa: PTH103, PTH120
        os.symlink(target, link)  # noqa: PTH211
    for path, real, kind in entries:
        _show(path, real, kind)
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    kernel.unmount(_OLD)
    os.rmdir(_OLD)  # noqa: PTH106
    kernel.mount(None, "/", None, kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | _kept("/"))


def _show(path: str, real: str, kind: str) -> None:
    source = f"{_OLD}{real}"
    if os.path.isdir(source):  # noqa: PTH112
        os.makedirs(path, exist_ok=True)  # noqa: PTH103
    else:
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
        if not os.path.lexists(path):
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
    kernel.mount(source, path, None, kernel.MS_BIND | kernel.MS_REC)
    flags = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_NOSUID | _kept(path)
    if kind != DEVICE:
        flags |= kernel.MS_NODEV
    if kind != RUN:
        flags |= kernel.MS_NOEXEC
    if kind in {READ, RUN}:
        flags |= kernel.MS_RDONLY
    kernel.mount(None, path, None, flags)


def _kept(path: str) -> int:
    found = os.statvfs(path).f_flag
    return sum(bit for told, bit in _KEPT.items() if found & told)
