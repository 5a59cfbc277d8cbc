"""Scratch folders: `work/<step>/<token>/` below the media folder, one for each claim of a step.

On the same file system as the results, so that publishing is a rename.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from django.conf import settings


def work_root() -> Path:
    return Path(settings.MEDIA) / "work"


@contextmanager
def attempt_folder(step_id: int, token: UUID) -> Iterator[Path]:
    """An empty folder of this claim alone, removed with all that is left in it at the end.

    It bears the fencing token and not the number of the try: a try that does not count leaves its number to
    the next one, and a worker that wakes up late would remove the folder of its successor.
    """
    folder = work_root() / str(step_id) / str(token)
    folder.mkdir(parents=True, mode=0o750)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # another try of the step may have a folder there
            folder.parent.rmdir()


@contextmanager
def import_folder() -> Iterator[Path]:
    """The empty scratch folder of an import. Raises BlockingIOError while another import has it."""
    folder = work_root() / "import"
    folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _clear(folder)  # of a run that was killed
        yield folder
        _clear(folder)
    finally:
        os.close(lock)


def _clear(folder: Path) -> None:
    for entry in folder.iterdir():
        shutil.rmtree(entry, ignore_errors=True)


def steps_with_folders(*, untouched_since: float) -> list[int]:
    """Steps whose folder last changed before this Unix time."""
    root = work_root()
    if not root.is_dir():
        return []
    return [
        int(entry.name)
        for entry in root.iterdir()
        if entry.name.isdecimal() and entry.stat(follow_symlinks=False).st_mtime < untouched_since
    ]


def step_discard(step_id: int) -> None:
    """Removes every try's folder of a step."""
    shutil.rmtree(work_root() / str(step_id), ignore_errors=True)
