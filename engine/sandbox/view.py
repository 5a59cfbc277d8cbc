"""What a tool may see of the file system: itself, the files it reads, and its scratch folder.

It follows from the command line, which is our own: what stands after `-i` is read, any other file is written,
and a tool that writes has its working directory as scratch. One that writes nothing sees no folder at all.
"""

from __future__ import annotations

import functools
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from engine.binaries import font_path
from engine.sandbox.setting_up import DEVICE, READ, RUN, WRITE, Entry

_FILE = "file:"
_DEVICES = ("null", "full", "urandom")
_LIBRARIES = ("/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib")
# On most systems these lead into /usr.
_TOP = ("/lib", "/lib32", "/lib64", "/bin", "/sbin")
_LOADER_CACHE = "/etc/ld.so.cache"
_ELF = b"\x7fELF"
_INTERPRETER = 3  # the kind of program header that names the loader of a program with shared libraries


@dataclass(frozen=True, slots=True)
class View:
    """What there is to be seen, in the order in which it is laid out, and symbolic links between folders."""

    entries: tuple[Entry, ...]
    links: tuple[tuple[str, str], ...]


def view_of(argv: Sequence[str], cwd: Path, sees: Iterable[Path]) -> View:
    """What a command may see, besides the files of `sees`. Files that are not there are left out."""
    folder = cwd.absolute()
    inputs, writes = _named(argv)
    program = _program(argv[0])
    entries = list(program.entries)
    wanted = [Path(name) for name in sorted(inputs)] + [Path(one).absolute() for one in sees]
    if writes:
        entries.append((str(folder), _real(folder), WRITE))
        wanted += _fonts()
    entries += [
        (str(path), _real(path), READ)
        for path in dict.fromkeys(wanted)
        # What lies in the scratch folder is there already.
        if path.exists() and not (writes and path.is_relative_to(folder))
    ]
    entries.append((argv[0], _real(Path(argv[0])), RUN))
    return View(
        tuple((_placed(path, program.links), real, kind) for path, real, kind in entries), program.links
    )


def _placed(path: str, links: Sequence[tuple[str, str]]) -> str:
    """Where something is laid out that is known by a path through one of the links."""
    for link, target in links:
        if path.startswith(f"{link}/"):
            return f"/{target}{path.removeprefix(link)}"
    return path


def scratch_of(argv: Sequence[str], cwd: Path) -> Path | None:
    """The folder that a command may write to, if any."""
    _, writes = _named(argv)
    return cwd if writes else None


def _named(argv: Sequence[str]) -> tuple[set[str], bool]:
    """The files that a command reads, and whether it writes any."""
    inputs = {
        after.removeprefix(_FILE)
        for before, after in pairwise(argv)
        if before == "-i" and after.startswith(_FILE)
    }
    return inputs, any(word.startswith(_FILE) and word.removeprefix(_FILE) not in inputs for word in argv)


def _real(path: Path) -> str:
    return os.path.realpath(path)


@functools.cache
def _program(path: str) -> View:
    """What this program needs to start: devices and shared libraries."""
    devices = (f"/dev/{name}" for name in _DEVICES)
    entries = [(name, name, DEVICE) for name in devices if Path(name).exists()]
    links = []
    folders = list(_folders_for(Path(path)))
    if folders:
        for top in _TOP:
            if os.path.islink(top):  # noqa: PTH114
                links.append((top, os.readlink(top).strip("/")))  # noqa: PTH115
            elif os.path.isdir(top):  # noqa: PTH112
                folders.append(top)
    entries += [
        (folder, _real(Path(folder)), READ if folder == _LOADER_CACHE else RUN)
        for folder in dict.fromkeys(folders)
        if Path(folder).exists()
    ]
    return View(tuple(entries), tuple(links))


def _fonts() -> list[Path]:
    try:
        return [font_path()]
    except RuntimeError:
        return []


def _folders_for(path: Path) -> Iterator[str]:
    loader = _loader_of(path)
    if loader is None:
        return
    if not loader:  # a script, of the operator's own, may start anything
        yield "/usr"
    else:
        yield from _LIBRARIES
        if not loader.startswith(("/usr/", *(f"{top}/" for top in _TOP))):
            yield str(Path(loader).parent)
    yield _LOADER_CACHE
    yield from filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(":"))


def _loader_of(path: Path) -> str | None:
    """The loader of a program; empty for what is no program, None for one that needs none."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
            if not head.startswith(_ELF):
                return ""
            (first,) = struct.unpack_from("=Q", head, 32)
            size, count = struct.unpack_from("=HH", head, 54)
            file.seek(first)
            table = file.read(size * count)
            for at in range(0, len(table), size):
                kind, _, begin, _, _, length = struct.unpack_from("=IIQQQQ", table, at)
                if kind == _INTERPRETER:
                    file.seek(begin)
                    return file.read(length).rstrip(b"\0").decode()
    except (OSError, struct.error):
        return ""
    return None
