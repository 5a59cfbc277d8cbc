"""Gauges that only the process itself knows; each process tells its own every ten seconds."""

from __future__ import annotations

import os

from django.conf import settings
from django.db import connections

from telemetry.recorder import Sample, recorder

# From psycopg's figures of its pool: the gauge's state, and how it is called there.
_POOL = {"size": "pool_size", "idle": "pool_available", "waiting_requests": "requests_waiting"}


def process_watch() -> None:
    """Tells from now on that this process lives, and how its pool of connections is used."""
    recorder.source(_pool_use)
    recorder.start()


def worker_watch(*, lane: str) -> None:
    """For the main process of a worker: tells from now on that the worker lives."""
    main = os.getpid()

    def alive() -> list[Sample]:
        # Children of the pool that are forked later inherit this.
        return [Sample("videoproc_workers", (lane,), 1.0)] if os.getpid() == main else []

    recorder.source(alive)
    recorder.start()


def _pool_use() -> list[Sample]:
    # Looked up without making a pool or a connection where there is none yet.
    pool = type(connections["default"])._connection_pools.get("default")  # type: ignore[attr-defined]  # noqa: SLF001 - Django's property would make one
    figures = pool.get_stats() if pool is not None else {}
    samples = [
        Sample("videoproc_db_pool_connections", (settings.PROCESS, state), float(figures.get(name, 0)))
        for state, name in _POOL.items()
    ]
    limit = float(settings.DATABASES["default"]["OPTIONS"]["pool"]["max_size"])
    return [*samples, Sample("videoproc_db_pool_connections", (settings.PROCESS, "limit"), limit)]
