"""How running work is steered from another thread: ended, held still, let go on.

Whoever starts work makes one Control and hands it in; everything below passes the same one on. The runner
obeys it while a tool runs, loops of our own between two blocks of bytes.
"""

from __future__ import annotations

import threading


class Stopped(Exception):
    """The work was told to stop; the tool's process group, if there was one, is killed and reaped."""


class Control:
    """Nobody steers unless a method is called; a stop is for good and goes before a pause."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._moving = threading.Event()
        self._moving.set()

    def stop(self) -> None:
        """End the work at once, also work that is held still."""
        self._stop.set()
        self._moving.set()

    def pause(self) -> None:
        """Hold the work still until `resume` or `stop`."""
        if not self.stopped:
            self._moving.clear()
        # A stop from another thread between the two lines above must not be buried.
        if self.stopped:
            self._moving.set()

    def resume(self) -> None:
        self._moving.set()

    @property
    def stopped(self) -> bool:
        return self._stop.is_set()

    @property
    def paused(self) -> bool:
        return not self._moving.is_set()

    def checkpoint(self) -> None:
        """Between two pieces of work: returns once they may go on. Raises Stopped."""
        self._moving.wait()
        if self.stopped:
            raise Stopped
