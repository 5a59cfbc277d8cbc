"""The only sender of Celery messages.

A message names no job. It says "look into lane X", and a worker that gets it claims the best step
there is by then. So a lost message costs a delay until the reconciler's next round, and a double one
finds nothing to do.
"""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

from celery import current_app
from celery.exceptions import CeleryError
from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from jobs.models import Step
from jobs.outbox import Outbox
from videos.crash_points import crash_point

log = logging.getLogger(__name__)

WORK = "jobs.work"
RECONCILE = "jobs.reconcile"
_WORKERS = "jobs.workers-alive"
DELIVER = "jobs.deliver"
# A queue without a lane, so that workers which start media tools need no way to the internet.
OUTBOUND = "outbound"


class _Call(NamedTuple):
    task: str
    queue: str
    kwargs: dict[str, str]
    delay: float | None = None


def wake_on_commit(lane: str, *, count: int = 1, delay: float | None = None) -> None:
    """Lets `count` workers of `lane` look for work once the current transaction has committed.

    `delay` is in seconds and for seconds only: a worker keeps waiting messages in its memory.
    """
    transaction.on_commit(lambda: wake(lane, count=count, delay=delay), robust=True)


def wake(lane: str, *, count: int = 1, delay: float | None = None) -> None:
    """As `wake_on_commit`, at once. Never raises and never waits for the broker."""
    crash_point("before_wake_up")
    for _ in range(count):
        _outbox.put(_Call(WORK, lane, {"lane": str(Step.Lane(lane))}, delay))


def reconcile_soon() -> None:
    """Lets a worker of the short lane reconcile, without waiting for the beat. Never raises."""
    _outbox.put(_Call(RECONCILE, Step.Lane.SHORT, {}))


def deliver_on_commit() -> None:
    """Lets a worker that reaches the internet send webhooks once the current transaction has committed."""
    transaction.on_commit(deliver, robust=True)


def deliver(*, count: int = 1) -> None:
    """As `deliver_on_commit`, at once, with `count` workers. Never raises and never waits for the broker."""
    for _ in range(count):
        _outbox.put(_Call(DELIVER, OUTBOUND, {}))


def pending(lane: str) -> int:
    """How many wake-ups wait in the broker; 0 also where it cannot be asked."""
    try:
        with current_app.pool.acquire(block=True, timeout=2) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=2)
            return _waiting(connection, lane)
    except (KombuError, RedisError, OSError) as error:
        log.warning("the broker could not be asked for waiting wake-ups: %s", error)
        return 0


def workers_alive() -> dict[str, int] | None:
    """How many workers of each lane answer; None where the broker cannot be asked.

    The answer is up to 15 s old: asking takes half a second, for nobody knows how many will answer.
    """
    try:
        known: dict[str, int] | None = cache.get(_WORKERS)
        if known is None:
            replies = _ping()
            names = [name.partition("@")[0] for reply in replies for name in reply]
            known = {str(lane): names.count(lane) for lane in Step.Lane}
            cache.set(_WORKERS, known, timeout=15)
    except (KombuError, CeleryError, RedisError, OSError) as error:
        log.warning("the workers could not be asked: %s", error)
        return None
    return known


def _ping() -> list[dict[str, Any]]:
    """The first call after the broker was away finds a connection that is broken: once more, then."""
    try:
        return list(current_app.control.ping(timeout=0.5))
    except (KombuError, RedisError, OSError):
        return list(current_app.control.ping(timeout=0.5))


def flush(timeout: float = 2.0) -> bool:
    """Waits until everything this process wanted to send was handed to the broker."""
    return _outbox.flush(timeout)


def _waiting(connection: Any, lane: str) -> int:
    # In Redis a queue is a list of the same name; asking for its length is all that kombu would do, too.
    return int(connection.default_channel.client.llen(lane))


def _are_enough(connection: Any, lane: str) -> bool:
    """Wake-ups that wait mean that no worker of the lane is idle; more than two for each worker
    would only find nothing to do."""
    workers = settings.SHORT_WORKER_CONCURRENCY if lane == Step.Lane.SHORT else settings.WORKER_CONCURRENCY
    return _waiting(connection, lane) >= 2 * workers


def _send(call: _Call) -> None:
    with current_app.producer_pool.acquire(block=True, timeout=2) as producer:
        if call.task == WORK and call.delay is None and _are_enough(producer.connection, call.queue):
            # Whoever takes those will look into the lane after what this one is about was committed, and goes
            # on for as long as there is something.
            return
        current_app.send_task(
            call.task,
            kwargs=call.kwargs,
            queue=str(call.queue),
            countdown=call.delay,
            ignore_result=True,
            producer=producer,
        )


_outbox: Outbox[_Call] = Outbox("wake-ups", _send)
