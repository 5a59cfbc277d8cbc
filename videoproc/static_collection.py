"""Static files are collected, hashed and compressed only when their sources changed: it takes seconds."""

from __future__ import annotations

import hashlib
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.contrib.staticfiles.management.commands import collectstatic
from django.core.management import call_command


def static_files_collect() -> bool:
    """Make STATIC_ROOT current; whether there was anything to do."""
    mark = Path(settings.STATIC_ROOT) / ".sources"
    current = _fingerprint()
    if mark.exists() and mark.read_text(encoding="ascii") == current:
        return False
    mark.unlink(missing_ok=True)
    call_command(collectstatic.Command(), interactive=False, verbosity=0)
    mark.write_text(current, encoding="ascii")
    return True


def _fingerprint() -> str:
    """Names, sizes and times of all sources, and how they are stored."""
    sha = hashlib.sha256(repr(settings.STORAGES["staticfiles"]).encode())
    for finder in get_finders():
        for name, storage in finder.list([]):
            info = Path(storage.path(name)).stat()
            sha.update(f"{name}\0{info.st_size}\0{info.st_mtime_ns}\n".encode())
    return sha.hexdigest()
