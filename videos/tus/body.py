"""Reading a request's body piece by piece, knowing when it was cut, stalled or has to make room."""

from __future__ import annotations

import asyncio
import time

from videos.tus.messages import Event, Receive

# A connection whose other end vanished without a word is given up after this time.
STALLED_AFTER = 60.0


class BodyEnded(Exception):
    """The rest of the body will not come. `connected` tells whether an answer can still be sent."""

    def __init__(self, *, connected: bool) -> None:
        super().__init__()
        self.connected = connected


class Body:
    """The bytes of one request."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._complete = False
        self._interrupted = False
        self._waiting: asyncio.Timeout | None = None
        self._last_heard = time.monotonic()

    @property
    def silent_for(self) -> float:
        """Seconds since the last byte came."""
        return time.monotonic() - self._last_heard

    async def next(self) -> bytes | None:
        """The next piece, or None after the last. Raises BodyEnded."""
        while not self._complete:
            event = await self._event()
            if event["type"] == "http.disconnect":
                raise BodyEnded(connected=False)
            self._last_heard = time.monotonic()
            self._complete = not event.get("more_body", False)
            if piece := event.get("body", b""):
                return bytes(piece)
        return None

    async def disconnected(self) -> None:
        """Returns when the other end has gone; while it is there, however silent, never."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def interrupt(self) -> None:
        """Make `next` raise BodyEnded, now or when it is called."""
        self._interrupted = True
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())

    async def _event(self) -> Event:
        if self._interrupted:
            raise BodyEnded(connected=True)
        try:
            async with asyncio.timeout(STALLED_AFTER) as self._waiting:
                return await self._receive()
        except TimeoutError as error:
            raise BodyEnded(connected=True) from error
        finally:
            self._waiting = None
