"""A dated copy of the original's folders, made before anything is written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from django.conf import settings

from videoproc.legacy.tree import Tree

_PREFIX = "legacy-"
Shape = dict[str, tuple[int, int]]


def backup_folder() -> Path:
    return Path(settings.VAR) / "backups"


def backup_make(tree: Tree, run: str, on_file: Callable[[int, int], None]) -> tuple[Path, bool]:
    """The folder with the copy, and whether it was made now: an equal one of an earlier run is good enough.

    JSON files are copied, because the original writes them in place. Media files, which it writes once, are
    hard links where the file system allows it, so they take no room; else they are copied as well.
    """
    shapes = {"data": _shape(tree.data), "storage": _shape(tree.storage)}
    for earlier in sorted(backup_folder().glob(f"{_PREFIX}*"), reverse=True):
        if all(_shape(earlier / name) == shape for name, shape in shapes.items()):
            return earlier, False
    target = backup_folder() / f"{_PREFIX}{run}"
    part = backup_folder() / f".{target.name}.part"
    part.mkdir(parents=True, mode=0o700)
    done, total = 0, sum(len(shape) for shape in shapes.values())
    try:
        for name, origin in (("data", tree.data), ("storage", tree.storage)):
            (part / name).mkdir()
            for relative in shapes[name]:
                copy = part / name / relative
                copy.parent.mkdir(parents=True, exist_ok=True)
                _place(origin / relative, copy, link=name == "storage")
                done += 1
                on_file(done, total)
        os.sync()
        part.rename(target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return target, True


def _place(origin: Path, copy: Path, *, link: bool) -> None:
    if link:
        try:
            os.link(origin, copy, follow_symlinks=False)
        except OSError:  # another file system, or files of somebody else
            pass
        else:
            return
    shutil.copy2(origin, copy, follow_symlinks=False)


def _shape(folder: Path) -> Shape:
    """Each regular file below, with its size and time of change."""
    found: Shape = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            facts = path.lstat()
            if path.is_file() and not path.is_symlink():
                found[str(path.relative_to(folder))] = (facts.st_size, facts.st_mtime_ns)
    return dict(sorted(found.items()))
