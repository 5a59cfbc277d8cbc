"""What is said about the times that are expected."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple


class Moments(NamedTuple):
    """A moment that is expected, and between which it will probably be."""

    at: datetime
    earliest: datetime
    latest: datetime


class Estimate(NamedTuple):
    """When a job is expected to begin, while it waits, and to end. `ends` is None while it is being
    estimated.

    `seconds` are those left to its end.
    """

    starts: Moments | None = None
    ends: Moments | None = None
    seconds: float | None = None


class QueueEnd(NamedTuple):
    """When all that waits or runs will be done; `ends` is None while it is being estimated, or nothing is
    left.

    The numbers are those of steps.
    """

    waiting: int
    running: int
    ends: Moments | None

    @property
    def idle(self) -> bool:
        return not self.waiting and not self.running
