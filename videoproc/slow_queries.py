"""Logs each statement that takes longer than `SLOW_QUERY_SECONDS`, with the place that sent it."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper

log = logging.getLogger(__name__)

_OWN_ROOMS = ("/videoproc/", "/jobs/", "/videos/", "/users/")


def watch_connection(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Signal receiver of `connection_created`: starts timing what this connection executes."""
    if _timed not in connection.execute_wrappers:
        connection.execute_wrappers.append(_timed)


def _timed(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    started = time.monotonic()
    try:
        return execute(sql, params, many, context)
    finally:
        seconds = time.monotonic() - started
        if seconds >= settings.SLOW_QUERY_SECONDS:
            # The parameters stay out of the log: they may hold what people typed.
            log.warning("slow query: %.2f s at %s: %s", seconds, _place(), sql)


def _place() -> str:
    """File, line and function of the innermost frame of our own code."""
    for frame in reversed(traceback.extract_stack()):
        if any(room in frame.filename for room in _OWN_ROOMS) and frame.filename != __file__:
            return f"{frame.filename}:{frame.lineno} in {frame.name}"
    return "third-party code"
