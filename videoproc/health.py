"""`GET /healthz`: can the site take work right now?"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

import redis
from celery.exceptions import CeleryError
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from kombu.exceptions import KombuError

from engine import sandbox
from jobs.site import site_settings
from videoproc import env
from videoproc.celery import app
from videos.storage import reserve_is_reached

log = logging.getLogger(__name__)


@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """200 with `{"status": "ok"}` when every part answers, else 503 that names the parts which do not.

    `drained` names the lanes in which nothing starts because an administrator wants it so; that is no fault.
    """
    checks = site_health().checks
    healthy = all(state == "ok" for state in checks.values())
    body = {
        "status": "ok" if healthy else "unavailable",
        "checks": checks,
        "drained": _drained() if checks["database"] == "ok" else [],
        "sandbox": list(sandbox.layers()),
    }
    return JsonResponse(body, status=200 if healthy else 503)


def _drained() -> list[str]:
    try:
        return sorted(site_settings().lanes_drained)
    except DatabaseError:  # it went away since the check
        return []


def _answer(check: Callable[[], str]) -> str:
    try:
        return check()
    except (DatabaseError, redis.RedisError, KombuError, CeleryError, OSError) as error:
        # The class alone: addresses and passwords of our servers are nobody's business.
        log.warning("health check failed", exc_info=True)
        return f"failed: {type(error).__name__}"


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return "ok"


def _broker() -> str:
    client = redis.Redis.from_url(
        settings.REDIS.for_redis(env.RedisAddress.BROKER), socket_timeout=2, socket_connect_timeout=2
    )
    with client:
        client.ping()
    return "ok"


def _disk() -> str:
    return "failed: below the reserve" if reserve_is_reached() else "ok"


def _lanes_without_worker(workers: list[str]) -> str:
    """Each lane needs a worker that answers. Fills in the names (`lane@machine`) of those that do."""
    try:
        replies = app.control.ping(timeout=0.5)
    except (redis.ConnectionError, KombuError):
        # The first call after the broker came back still finds the broken connection in the pool.
        replies = app.control.ping(timeout=0.5)
    workers += sorted(name for reply in replies for name in reply)
    missing = {"short", "encode"} - {name.partition("@")[0] for name in workers}
    return f"failed: no worker for {', '.join(sorted(missing))}" if missing else "ok"


class Health(NamedTuple):
    """Each part with `ok` or what is wrong, and the workers that answer."""

    checks: dict[str, str]
    workers: list[str]


def site_health() -> Health:
    """Asks every part; half a second for the workers."""
    workers: list[str] = []
    checks: dict[str, Callable[[], str]] = {
        "database": _database,
        "broker": _broker,
        "disk": _disk,
        "workers": lambda: _lanes_without_worker(workers),
    }
    return Health({name: _answer(check) for name, check in checks.items()}, workers)
