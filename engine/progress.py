"""Turns ffmpeg's `-progress` blocks into honest fractions.

A block is lines of `key=value`, closed by `progress=continue` or `progress=end`. The fraction is the media
time written against the media time expected, so it never guesses; it never falls and is reported at most
four times a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from engine.types.results import Progress

_MIN_INTERVAL = 0.25


class ProgressReporter:
    """Passes progress on to the caller: never falling, never more than four a second."""

    def __init__(self, report: Callable[[Progress], None]) -> None:
        self._report = report
        self._highest = 0.0
        self._last_at = float("-inf")

    def __call__(self, progress: Progress, *, urgent: bool = False) -> None:
        """Report unless it is too soon; `urgent` is for the end of a phase and always goes out."""
        now = time.monotonic()
        if not urgent and now - self._last_at < _MIN_INTERVAL:
            return
        self._last_at = now
        self._highest = max(self._highest, min(1.0, progress.fraction))
        self._report(progress.model_copy(update={"fraction": self._highest}))


class ProgressMeter:
    """Reads one run's progress; the run fills the stretch from `begin` to `end` of the whole."""

    def __init__(
        self, expected: float, reporter: ProgressReporter, *, begin: float = 0.0, end: float = 1.0
    ) -> None:
        self._expected = max(expected, 0.001)
        self._reporter = reporter
        self._begin = begin
        self._end = end
        self._pending = b""
        self._block: dict[str, str] = {}
        self._started_at = time.monotonic()
        self._held_seconds = 0.0
        self.position: tuple[float, int, int] = (0.0, 0, 0)

    def held(self, seconds: float) -> None:
        """The tool stood still for so long: its own figure of the speed, an average, is wrong from now on."""
        self._held_seconds += seconds

    def feed(self, data: bytes) -> None:
        """Take what the tool wrote, in pieces of any size."""
        *lines, self._pending = (self._pending + data).split(b"\n")
        # A line is short; a tool that writes without end must not fill the memory.
        self._pending = self._pending[-4096:]
        for line in lines:
            key, _, value = line.decode("ascii", "replace").strip().partition("=")
            self._block[key] = value.strip()
            if key == "progress":
                self._close_block()

    def _close_block(self) -> None:
        block, self._block = self._block, {}
        done = _number(block.get("out_time_us")) / 1_000_000
        frame = int(_number(block.get("frame")))
        # The position is what the watchdog compares: any of the three moving is life.
        self.position = (done, frame, int(_number(block.get("total_size"))))
        share = min(1.0, max(0.0, done / self._expected))
        speed = self._speed(block, done)
        self._reporter(
            Progress(
                fraction=self._begin + (self._end - self._begin) * share,
                speed=speed,
                eta_seconds=max(0.0, self._expected - done) / speed if speed else None,
                frame=frame or None,
            )
        )

    def _speed(self, block: dict[str, str], done: float) -> float | None:
        """Seconds of media for each second in which the tool could run."""
        if not self._held_seconds:
            return _number(block.get("speed", "").removesuffix("x")) or None
        running = time.monotonic() - self._started_at - self._held_seconds
        return done / max(running, 0.001) or None


def _number(text: str | None) -> float:
    """The number in a field, 0 for `N/A` and for fields this version does not print."""
    try:
        return float(text or 0)
    except ValueError:
        return 0.0
