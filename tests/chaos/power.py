"""What a power cut would take: everything that was not brought to the disk in time.

A killed process loses nothing that it has written, because the kernel keeps it. So the suite takes it away,
by what `recorder` wrote down: bytes that were never fsynced, names whose folder was not fsynced afterwards.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

# Below the media folder; `work` but for its parts is scratch, which the site may lose at any time.
KEPT = ("uploads", "videos", "outputs", "assets", "work/parts")
_SHOWN = ("outputs", "videos")


class Line(NamedTuple):
    """One line of the recorder."""

    at: int
    file: str
    process: str
    kind: str
    path: str
    old: str
    ino: int
    size: int
    folder: bool


def lines(folder: Path) -> list[Line]:
    """All lines of all processes, in the order of their times."""
    return sorted(_read(sorted(folder.glob("*.jsonl"))))


def _read(files: Iterable[Path]) -> Iterator[Line]:
    for file in files:
        for text in file.read_text(encoding="utf-8").splitlines():
            try:
                found: dict[str, Any] = json.loads(text)
            except ValueError:  # the writer was killed in the middle of it
                continue
            yield Line(
                at=found["at"],
                file=file.name,
                process=found["process"],
                kind=found["kind"],
                path=found.get("path", ""),
                old=found.get("old", ""),
                ino=found.get("ino", 0),
                size=found.get("size", 0),
                folder=found.get("folder", False),
            )


@dataclass(slots=True)
class Lost:
    """What a power cut took."""

    cut_short: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.cut_short) + len(self.names)


def power_cut(media: Path, known: Iterable[Line]) -> Lost:
    """Takes from the media folder what was not durable. No process of the site may be alive."""
    synced: dict[int, int] = {}
    undone: dict[str, Line] = {}
    for line in known:
        if line.kind == "fsync" and not line.folder:
            synced[line.ino] = line.size
        elif line.kind == "fsync":
            undone = {path: made for path, made in undone.items() if str(Path(path).parent) != line.path}
        elif line.kind in {"rename", "mkdir", "create"}:
            undone.pop(line.old, None)
            undone[line.path] = line
    lost = Lost()
    for name in KEPT:
        for path in sorted((media / name).rglob("*")):
            if path.is_file() and not path.is_symlink():
                _cut(path, synced, lost)
    for line in sorted(undone.values(), reverse=True):
        _forget(media, line, lost)
    shutil.rmtree(media / "work" / "import", ignore_errors=True)
    return lost


def _cut(path: Path, synced: dict[int, int], lost: Lost) -> None:
    info = path.stat()
    size = synced.get(info.st_ino, 0)
    if info.st_size > size:
        with path.open("r+b") as file:
            file.truncate(size)
        lost.cut_short.append(f"{path}: {info.st_size} to {size} bytes")


def _forget(media: Path, line: Line, lost: Lost) -> None:
    path = Path(line.path)
    inside = any(path.is_relative_to(media / name) or media / name == path for name in KEPT)
    if not inside or not path.exists() or path.stat().st_ino != line.ino:
        return
    lost.names.append(f"{line.kind} {path}")
    if line.kind == "rename" and Path(line.old).parent.is_dir():
        path.rename(line.old)
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def commits_too_early(media: Path, known: Iterable[Line]) -> list[str]:
    """Commits of workers before what they show was on the disk: a process has one step at a time."""
    found: list[str] = []
    # Whoever brought the bytes to the disk: equal uploads share those of the first.
    synced: set[int] = set()
    waiting: dict[str, dict[str, str]] = {}
    for line in known:
        if line.kind == "fsync":
            synced.add(line.ino)
        if not line.process.startswith("worker"):
            continue
        mine = waiting.setdefault(line.file, {})
        if line.kind == "fsync":
            for path in [path for path in mine if line.folder and str(Path(path).parent) == line.path]:
                del mine[path]
        elif line.kind == "rename" and _is_shown(media, line.path):
            if line.ino not in synced:
                found.append(f"{line.process}: {line.path} got its name before its bytes were on the disk")
            mine[line.path] = "its name is not on the disk"
        elif line.kind == "mkdir" and _is_shown(media, line.path):
            mine[line.path] = "its folder is not on the disk"
        elif line.kind == "commit":
            found += [f"{line.process}: a commit shows {path}, but {why}" for path, why in mine.items()]
            mine.clear()
    return found


def _is_shown(media: Path, path: str) -> bool:
    return any(Path(path).is_relative_to(media / name) for name in _SHOWN)
