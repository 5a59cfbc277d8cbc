"""What goes on beside a running step: its lease, its progress, and the reasons to stop it.

Two threads, so that a database that hangs cannot keep a worker from noticing that its lease is gone:
the keeper talks to PostgreSQL once a second; the pulse, four times a second, publishes progress and
watches the clock.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Self

from django.conf import settings
from django.db import Error as DatabaseTrouble
from django.db import connection

from engine.control import Control
from engine.types.results import Progress
from jobs import leases, shutdown
from jobs.claiming import Claim
from jobs.eta_live import Forecast, Left, left_of
from jobs.eta_pace import Took
from jobs.eta_start import Start
from jobs.events import ends_state, job_message, job_state
from jobs.leases import Lease
from jobs.models import SEQ_STRIDE
from jobs.publish import publish_now
from telemetry.metrics import LEASE_LOSSES
from videos.storage import reserve_is_reached

log = logging.getLogger(__name__)

PULSE = 0.25
LOOK_EVERY = 1.0
RENEW_EVERY = 5.0
# Shorter than the lease: the worker stops by itself before anybody else may start.
SILENCE_LIMIT = 20.0
# Of the pace that several steps of a job have together, as a logarithm; claiming's SQL has the same band.
DIVIDED_DOUBT = 0.26


class Reason(StrEnum):
    """Why a step was stopped before its end."""

    LOST = "the lease is lost"
    UNREACHABLE = "PostgreSQL did not answer for too long"
    SHUTDOWN = "the worker shuts down"
    LONG_PAUSE = "the job is paused for so long that others may have the place"


_LOSSES = {Reason.LOST: "gone", Reason.UNREACHABLE: "unreachable"}


class Watch:
    """Keeps a claim while its `with` block runs, and tells the work through `control` to stop or to wait."""

    def __init__(self, claim: Claim) -> None:
        self.control = Control()
        self.reason: Reason | None = None
        self._claim = claim
        # Only the row knows how far several steps are together, so then messages are as frequent as writes.
        self._alone = claim.is_alone
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._renewed_at = time.monotonic()
        self._began_at = self._renewed_at
        self._paused_at: float | None = None
        self._paused_for = 0.0
        self._forecast = Forecast(None)
        self._crowd = 1
        self._disk_was_short = False
        self._progress: Progress | None = None
        self._published: Progress | None = None
        self._written: Progress | None = None
        # The last seq known from the row, and how many messages went out on top of it.
        self._row_seq = claim.job.seq
        self._messages = 0
        self._threads = [
            # Each with the context of the step, for its log lines.
            threading.Thread(
                target=contextvars.copy_context().run, args=(self._every, seconds, act), name=name
            )
            for seconds, act, name in ((LOOK_EVERY, self._keep, "lease"), (PULSE, self._pulse, "pulse"))
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def started(self, start: Start) -> None:
        """Takes what is known of such steps, before the work begins."""
        self._forecast, self._crowd = start.forecast, start.crowd

    def progressed(self, progress: Progress) -> None:
        """Takes the engine's latest word; it is published and written by the threads."""
        self._forecast.progressed(progress, self._elapsed())
        self._progress = progress

    def took(self) -> Took:
        """How long the step has taken until now."""
        elapsed = self._elapsed()
        return Took(elapsed, self._forecast.tail(elapsed), self._crowd)

    def _elapsed(self) -> float:
        """Seconds since the claim in which the work could go on."""
        paused_at = self._paused_at
        return (time.monotonic() if paused_at is None else paused_at) - self._began_at - self._paused_for

    def disk_was_short(self) -> bool:
        """Whether at any time so far the disk had less than its reserve free."""
        with contextlib.suppress(OSError):  # a disk that cannot be asked is no reason to drop the lease
            self._disk_was_short = self._disk_was_short or reserve_is_reached()
        return self._disk_was_short

    def _every(self, seconds: float, act: Callable[[], None]) -> None:
        try:
            while not self._over.wait(seconds) and self.reason is None:
                act()
        finally:
            connection.close()

    def _end(self, reason: Reason) -> None:
        with self._lock:
            if self.reason is None and not self._over.is_set():
                self.reason = reason
                log.info("step %s of job %s is stopped: %s", self._claim.step_id, self._claim.job.id, reason)
                if lost := _LOSSES.get(reason):
                    LEASE_LOSSES.add(reason=lost)
        self.control.stop()

    def _keep(self) -> None:
        asked_at = time.monotonic()
        self.disk_was_short()
        try:
            lease = self._ask(asked_at)
        except DatabaseTrouble as error:
            log.warning("step %s: the lease could not be looked at: %s", self._claim.step_id, error)
            return
        finally:
            # Back to the pool: nobody keeps a connection while a tool runs.
            connection.close()
        if lease is Lease.LOST:
            self._end(Reason.LOST)
        elif lease is Lease.PAUSED:
            self._hold_still(asked_at)
        elif self._paused_at is not None:
            paused_at, self._paused_at = self._paused_at, None
            self._paused_for += time.monotonic() - paused_at
            self.control.resume()

    def _hold_still(self, now: float) -> None:
        if self._paused_at is None:
            self._paused_at = now
            self.control.pause()
        elif now - self._paused_at > settings.PAUSE_KEEPS_WORKER_SECONDS:
            self._end(Reason.LONG_PAUSE)

    def _ask(self, asked_at: float) -> Lease:
        """One statement, that of the most use."""
        if asked_at - self._renewed_at >= RENEW_EVERY:
            lease = leases.lease_renew(self._claim)
            if lease is not Lease.LOST:
                self._renewed_at = asked_at
            return lease
        progress = self._progress
        if progress is None or progress == self._written or self.control.paused:
            return leases.lease_look(self._claim)
        left = self._forecast.left(self._elapsed())
        written = leases.progress_write(
            self._claim,
            per_cent=per_cent(progress),
            speed=progress.speed,
            eta_seconds=None if left is None else left.seconds,
            eta_range=None if left is None else (left.low, left.high),
        )
        if written is None:
            return leases.lease_look(self._claim)
        self._written = progress
        with self._lock:
            self._row_seq, self._messages = written.seq, 0
        if not self._alone:
            whole = None if written.eta_seconds is None else left_of(written.eta_seconds, DIVIDED_DOUBT)
            self._send(written.per_cent, written.speed, whole, seq=written.seq)
        return Lease.HELD

    def _pulse(self) -> None:
        if shutdown.requested():
            self._end(Reason.SHUTDOWN)
        elif time.monotonic() - self._renewed_at > SILENCE_LIMIT:
            self._end(Reason.UNREACHABLE)
        elif self.control.paused:
            return
        elif self._alone and self._progress is not None and self._progress != self._published:
            self._publish(self._progress)
        elif self._alone and self._messages == 0 and self._progress is None:
            self._publish(Progress(fraction=0.0))

    def _publish(self, progress: Progress) -> None:
        with self._lock:
            if self._messages >= SEQ_STRIDE - 1:
                return  # the numbers up to the row's next version are used up
            self._messages += 1
            seq = self._row_seq + self._messages
        self._published = progress
        self._send(per_cent(progress), progress.speed, self._forecast.left(self._elapsed()), seq=seq)

    def _send(self, done: float, speed: float | None, left: Left | None, *, seq: int) -> None:
        job = self._claim.job
        state = job_state(job)
        state["progress"] = round(done, 1)
        state["speed"] = None if speed is None else round(speed, 2)
        state["eta_seconds"] = None if left is None else round(left.seconds, 1)
        state["estimate"] = ends_state(left)
        state["seq"] = seq
        publish_now(job_message("job.progress", state), owner_id=job.owner_id, video_id=job.video_id)


def per_cent(progress: Progress) -> float:
    return min(100.0, max(0.0, progress.fraction * 100))
