"""A thread that sends what others put down, so that nobody waits for Redis.

What goes through here may be lost without harm: wake-ups (the reconciler sends them again) and live
events (a page reads the state afresh when it connects). So the box is bounded, and trouble is logged.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

Item = TypeVar("Item")


class Outbox(Generic[Item]):
    """Items in order, sent one by one by a daemon thread of the calling process.

    A forked child starts with an empty box and a thread of its own. When more than `capacity` items
    wait, the oldest is dropped.
    """

    def __init__(self, name: str, send: Callable[[Item], None], *, capacity: int = 1000) -> None:
        self._name = name
        self._send = send
        self._capacity = capacity
        self._reset()
        os.register_at_fork(after_in_child=self._reset)
        atexit.register(self.flush, 1.0)

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._items: deque[Item] = deque(maxlen=self._capacity)
        self._sending = False
        self._thread: threading.Thread | None = None

    def put(self, item: Item) -> None:
        """Returns at once; the item is sent as soon as the thread gets to it."""
        with self._changed:
            if len(self._items) == self._capacity:
                log.warning("%s: the box is full, the oldest item is dropped", self._name)
            self._items.append(item)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self, timeout: float) -> bool:
        """Waits up to `timeout` seconds until everything was sent; says whether it was."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._items and not self._sending, timeout)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._items))
                item = self._items.popleft()
                self._sending = True
            try:
                self._send(item)
            except Exception as error:  # noqa: BLE001 - any client error means one lost item, never a dead thread
                log.warning("%s: not sent: %s: %s", self._name, type(error).__name__, error)
            finally:
                with self._changed:
                    self._sending = False
                    self._changed.notify_all()
