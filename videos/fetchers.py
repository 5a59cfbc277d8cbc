"""The places at which imports are fetched: a few threads of the uploads process, beside its loop.

The rows are the queue. One thread looks for what is due; a process that ends hands its imports back, and one
that is killed leaves leases that run out, so another start goes on where the bytes ended.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from django.db import DatabaseError, close_old_connections

from videos.fetching import OnComplete, fetch
from videos.import_models import UrlImport
from videos.services.url_imports import import_claim

log = logging.getLogger(__name__)

PLACES = 4
LOOK_SECONDS = 1.0
# After the database was away.
WAIT_SECONDS = 5.0


class Fetchers:
    """Begins with `start` and ends with `stop`."""

    def __init__(self, *, on_complete: OnComplete, places: int = PLACES) -> None:
        self._on_complete = on_complete
        self._places = places
        self._stopping = threading.Event()
        self._running: list[threading.Thread] = []
        self._looker = threading.Thread(target=self._look, name="imports", daemon=True)

    def start(self) -> None:
        self._looker.start()

    def stop(self, *, seconds: float) -> None:
        """Let imports save what they have and hand themselves back; those that wait for a silent server
        longer than this are left to their leases."""
        self._stopping.set()
        end = time.monotonic() + seconds
        for thread in (self._looker, *self._running):
            thread.join(max(0.0, end - time.monotonic()))

    def _look(self) -> None:
        while not self._stopping.is_set():
            self._running = [thread for thread in self._running if thread.is_alive()]
            row = self._survived(import_claim) if len(self._running) < self._places else None
            if row is None:
                self._stopping.wait(LOOK_SECONDS)
                continue
            # A daemon, so that a process which must end does not wait for somebody else's server.
            thread = threading.Thread(target=self._run, args=(row,), name=f"import {row.pk}", daemon=True)
            thread.start()
            self._running.append(thread)

    def _run(self, row: UrlImport) -> None:
        self._survived(lambda: fetch(row, on_complete=self._on_complete, stopping=self._stopping))

    def _survived(self, call: Callable[[], UrlImport | None]) -> UrlImport | None:
        """Without the database everything waits: leases run out, and the next claim goes on."""
        try:
            return call()
        except DatabaseError:
            log.warning("imports wait for the database", exc_info=True)
            self._stopping.wait(WAIT_SECONDS)
            return None
        finally:
            close_old_connections()
