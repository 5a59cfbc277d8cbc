"""Sums of this process on their way to Valkey, where the sums of all processes meet.

Recording adds to a dictionary and returns. A daemon thread carries what has gathered to one hash, every
two seconds; while Redis is away the sums wait here. See docs/adr/0005.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

log = logging.getLogger(__name__)

SUMS = "videoproc:metrics"
PROCESS = "videoproc:process:"
FLUSH_EVERY = 2.0
BEAT_EVERY = 10.0
# A process that did not tell for so long is gone.
BEAT_LIFETIME = 30
TIMEOUT = 2.0
# Labels come from small fixed sets; this only keeps a mistake with them from eating the memory.
SERIES_LIMIT = 10_000


class Sample(NamedTuple):
    """One gauge of one process; those with equal names and labels are added up."""

    name: str
    labels: tuple[str, ...]
    value: float


Source = Callable[[], Iterable[Sample]]


@dataclass(frozen=True, slots=True)
class Stored:
    """What all processes have told; `available` is False where Redis could not be asked."""

    available: bool
    sums: Mapping[str, int]
    gauges: tuple[Sample, ...]


class Recorder:
    """The sums of one process. A forked child begins with none."""

    def __init__(self) -> None:
        self._sources: list[Source] = []
        self._reset()
        os.register_at_fork(after_in_child=self._reset)
        atexit.register(self.flush)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._pending: dict[str, int] = {}
        self._thread: threading.Thread | None = None
        self._client: redis.Redis | None = None
        self._away = False

    def add(self, amounts: Iterable[tuple[str, int]]) -> None:
        """Takes amounts per series; never waits for Redis."""
        with self._lock:
            for series, amount in amounts:
                if series in self._pending or len(self._pending) < SERIES_LIMIT:
                    self._pending[series] = self._pending.get(series, 0) + amount
        if self._thread is None:
            self.start()

    def start(self) -> None:
        """Lets the thread run, so that this process counts as alive and its gauges are told."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
                self._thread.start()

    def source(self, source: Source) -> None:
        """Asks `source` for gauges of this process from now on."""
        self._sources.append(source)

    def flush(self, *, beat: bool = False) -> bool:
        """Sends in the calling thread; says whether it worked. With `beat`, the gauges too. Never raises."""
        with self._sending:
            with self._lock:
                amounts, self._pending = self._pending, {}
            try:
                self._send(amounts, beat=beat)
            except (redis.RedisError, OSError, ValueError) as error:
                self._put_back(amounts)
                if not self._away:
                    log.warning("metrics wait for Redis: %s", type(error).__name__)
                self._away = True
                return False
            self._away = False
            return True

    def _put_back(self, amounts: Mapping[str, int]) -> None:
        with self._lock:
            for series, amount in amounts.items():
                self._pending[series] = self._pending.get(series, 0) + amount

    def _send(self, amounts: Mapping[str, int], *, beat: bool) -> None:
        if not amounts and not beat:
            return
        client = self._connection()
        # All or nothing, so that what is sent again after an error was not counted in parts.
        with client.pipeline(transaction=True) as pipeline:
            for series, amount in amounts.items():
                pipeline.hincrby(SUMS, series, amount)
            if beat:
                pipeline.set(f"{PROCESS}{socket.gethostname()}:{os.getpid()}", self._beat(), ex=BEAT_LIFETIME)
            pipeline.execute()

    def _beat(self) -> str:
        return json.dumps([sample for source in self._sources for sample in _asked(source)])

    def read(self) -> Stored:
        """The sums and gauges of every process. Never raises."""
        self.flush(beat=True)
        try:
            client = self._connection()
            sums = {key.decode(): int(value) for key, value in client.hgetall(SUMS).items()}  # type: ignore[union-attr]  # not the async client
            keys = list(client.scan_iter(match=f"{PROCESS}*", count=1000))
            told = client.mget(keys) if keys else []
            gauges = tuple(
                Sample(name, tuple(labels), value)
                for text in told
                if text is not None
                for name, labels, value in json.loads(text)
            )
        except (redis.RedisError, OSError, ValueError) as error:
            log.warning("metrics of other processes cannot be read: %s", type(error).__name__)
            return Stored(available=False, sums={}, gauges=())
        return Stored(available=True, sums=sums, gauges=gauges)

    def _connection(self) -> redis.Redis:
        if self._client is None:
            self._client = redis.Redis.from_url(
                settings.REDIS.for_redis(settings.REDIS.CACHE),
                socket_timeout=TIMEOUT,
                socket_connect_timeout=TIMEOUT,
                retry=Retry(NoBackoff(), 0),
            )
        return self._client

    def _run(self) -> None:
        next_beat = time.monotonic()
        while True:
            beat = time.monotonic() >= next_beat
            if beat:
                next_beat = time.monotonic() + BEAT_EVERY
            try:
                self.flush(beat=beat)
            except Exception:  # a source that fails must not end the thread
                log.exception("metrics could not be told")
            time.sleep(FLUSH_EVERY)


def _asked(source: Source) -> Iterable[Sample]:
    try:
        return source()
    except Exception:  # one gauge less, but the others and all the sums
        log.exception("a gauge could not be read")
        return ()


recorder = Recorder()
