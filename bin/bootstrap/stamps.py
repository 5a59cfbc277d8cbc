"""What has been done already, and a lock so that two set-ups never work on the same folder."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bootstrap.console import SetupFailed, say


@contextlib.contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold the folder's set-up lock; the kernel drops it when this process ends, however that is."""
    try:
        (home / ".tools").mkdir(exist_ok=True)
        stream = (home / ".tools" / "setup.lock").open("a")
    except PermissionError:
        raise SetupFailed(
            f"{home} belongs to another account, and its environment is not up to date. "
            "Run the command once as that account, or work in a copy of your own."
        ) from None
    # Inherited by what set-up runs: an installer that outlives a killed set-up keeps the lock until it ends.
    os.set_inheritable(stream.fileno(), True)
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("another set-up is running here; waiting for it …")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def digest(files: Iterable[Path], base: Path) -> str:
    """One hash over names and contents."""
    sha = hashlib.sha256()
    for file in sorted(files):
        sha.update(str(file.relative_to(base)).encode())
        sha.update(b"\0")
        sha.update(file.read_bytes())
        sha.update(b"\0")
    return sha.hexdigest()


def read(stamp: Path) -> dict[str, Any]:
    """What the stamp says; nothing if it is missing or broken."""
    try:
        content = json.loads(stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write(stamp: Path, content: dict[str, Any]) -> None:
    """Put the stamp in place in one move: it is there whole, or not at all."""
    draft = stamp.with_name(f"{stamp.name}.new")
    draft.write_text(json.dumps(content), encoding="utf-8")
    draft.replace(stamp)
