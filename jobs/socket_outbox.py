"""What waits to be sent to one WebSocket, in bounded memory."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import cast

from jobs.events import JobMessage, Message

LIMIT = 200


class SocketOutbox:
    """Messages in order. Of each job only the newest waiting progress is kept."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._messages: deque[Message] = deque()
        self._filled = asyncio.Event()

    def put(self, message: Message) -> bool:
        """False when the reader is too slow: full, and nothing in it can be done without."""
        if message["type"] == "job.progress":
            self._drop(
                lambda waiting: waiting["type"] == "job.progress" and _job_id(waiting) == _job_id(message)
            )
        if len(self._messages) >= self._limit:
            self._drop(lambda waiting: waiting["type"] == "job.progress")
        if len(self._messages) >= self._limit:
            return False
        self._messages.append(message)
        self._filled.set()
        return True

    async def drain(self, send: Callable[[Message], Awaitable[None]]) -> None:
        """Sends for ever, one message after the other."""
        while True:
            await self._filled.wait()
            while self._messages:
                await send(self._messages.popleft())
            self._filled.clear()

    def _drop(self, match: Callable[[Message], bool]) -> None:
        """Removes the oldest message that matches."""
        for index, waiting in enumerate(self._messages):
            if match(waiting):
                del self._messages[index]
                return


def _job_id(message: Message) -> str | None:
    return None if message["type"] in {"snapshot", "error"} else cast("JobMessage", message)["job"]["id"]
