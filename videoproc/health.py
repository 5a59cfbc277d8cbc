"""`GET /healthz`: can the site take work right now?"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import NamedTuple

import redis
from celery.exceptions import CeleryError
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from kombu.exceptions import KombuError

from engine.sandbox.starting import LAYERS
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
    Neither is a sandbox that is weaker than it could be: `sandbox` is the weakest layer that a worker's tools
    run in (null while none answers), and `warnings` say what to do about it.
    """
    health = site_health()
    checks = health.checks
    healthy = all(state == "ok" for state in checks.values())
    body = {
        "status": "ok" if healthy else "unavailable",
        "checks": checks,
        "drained": _drained() if checks["database"] == "ok" else [],
        "sandbox": health.sandbox,
        "warnings": health.warnings,
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


def _lanes_without_worker(workers: dict[str, Mapping[str, str]]) -> str:
    """Each lane needs a worker that answers. Fills in the names (`lane@machine`) of those that do, and what
    they say of their sandbox. On a busy machine an answer may take its time: whoever is missing is asked
    again."""
    missing: set[str] = set()
    for patience in (0.5, 2.0):
        try:
            replies = _ask_workers(patience)
        except (redis.ConnectionError, KombuError):
            # The first call after the broker came back still finds the broken connection in the pool.
            replies = _ask_workers(patience)
        workers.update(sorted((name, told) for reply in replies for name, told in reply.items()))
        missing = {"short", "encode"} - {name.partition("@")[0] for name in workers}
        if not missing:
            return "ok"
    return f"failed: no worker for {', '.join(sorted(missing))}"


def _ask_workers(patience: float) -> list[dict[str, Mapping[str, str]]]:
    """Waits so many seconds, as nobody knows how many will answer."""
    replies: list[dict[str, Mapping[str, str]]] | None = app.control.broadcast(
        "sandbox", reply=True, timeout=patience
    )
    return replies or []


class Health(NamedTuple):
    """Each part with `ok` or what is wrong, the workers that answer, the weakest sandbox among theirs, and
    what an operator should know though all works."""

    checks: dict[str, str]
    workers: list[str]
    sandbox: str | None
    warnings: list[str]


def site_health() -> Health:
    """Asks every part; half a second for the workers, and two more where one is missing."""
    workers: dict[str, Mapping[str, str]] = {}
    checks: dict[str, Callable[[], str]] = {
        "database": _database,
        "broker": _broker,
        "disk": _disk,
        "workers": lambda: _lanes_without_worker(workers),
    }
    answers = {name: _answer(check) for name, check in checks.items()}
    layers = {told["layer"] for told in workers.values() if "layer" in told}
    return Health(
        checks=answers,
        workers=list(workers),
        sandbox=max(layers, key=LAYERS.index, default=None),
        warnings=sorted({told["warning"] for told in workers.values() if told.get("warning")}),
    )
