"""Logs each statement that takes longer than `SLOW_QUERY_SECONDS`, with the place that sent it."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper

log = logging.getLogger(__name__)

_ROOT = Path(__file__).resolve().parent.parent
# With the slash, and from the root: the site may well live in a folder that is named like a room of it.
_OWN_ROOMS = tuple(
    f"{_ROOT / room}/" for room in ("videoproc", "jobs", "videos", "users", "templates", "tests")
)


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
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - reading source lines, as `traceback` does, is slow
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(_OWN_ROOMS) and code.co_filename != __file__:
            return f"{Path(code.co_filename).relative_to(_ROOT)}:{frame.f_lineno} in {code.co_name}"
        frame = frame.f_back
    return "third-party code"
