"""Equal files are inspected once: people upload the same clip again, and a library is full of copies."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar, cast

_Found = TypeVar("_Found")
_BLOCK = 1024**2


class SharedWork:
    """What was found out about the last few hundred contents. Threads that want the same wait for one."""

    def __init__(self, *, capacity: int = 500) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._known: OrderedDict[Hashable, Future[object]] = OrderedDict()

    def get(self, key: Hashable, find_out: Callable[[], _Found]) -> _Found:
        """What `find_out` returned for this key, now or earlier. What it raises is raised and not kept."""
        with self._lock:
            future = self._known.get(key)
            mine = future is None
            if future is None:
                future = self._known[key] = Future()
                if len(self._known) > self._capacity:
                    self._known.popitem(last=False)
            self._known.move_to_end(key)
        if mine:
            try:
                future.set_result(find_out())
            except BaseException as error:
                with self._lock:
                    self._known.pop(key, None)
                future.set_exception(error)
                raise
        return cast("_Found", future.result())


def copied(origin: Path, target: Path) -> str:
    """Copy a regular file and return its SHA-256; a symbolic link is not followed. Raises OSError."""
    digest = hashlib.sha256()
    descriptor = os.open(origin, os.O_RDONLY | os.O_NOFOLLOW)
    with open(descriptor, "rb") as source, target.open("xb") as copy:  # noqa: PTH123 - of a descriptor
        while block := source.read(_BLOCK):
            digest.update(block)
            copy.write(block)
    return digest.hexdigest()
