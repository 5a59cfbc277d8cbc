"""Threads for what would block the loop: the database and the disk, so that neither waits for the other.

A call that has begun is always waited for, also when its task is cancelled: else a file could be closed,
and its number given to another file, while a thread still writes to it.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from django.db import close_old_connections

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")
_database = ThreadPoolExecutor(8, "database")
_disk = ThreadPoolExecutor(16, "disk")


async def in_database(
    function: Callable[_Arguments, _Result], *arguments: _Arguments.args, **named: _Arguments.kwargs
) -> _Result:
    """Run what uses Django's database, and give its connection back to the pool."""
    return await _finished(_database, functools.partial(_with_connection, function, *arguments, **named))


async def on_disk(
    function: Callable[_Arguments, _Result], *arguments: _Arguments.args, **named: _Arguments.kwargs
) -> _Result:
    """Run what reads, writes or syncs files."""
    return await _finished(_disk, functools.partial(function, *arguments, **named))


async def _finished(pool: ThreadPoolExecutor, call: Callable[[], _Result]) -> _Result:
    future = asyncio.get_running_loop().run_in_executor(pool, contextvars.copy_context().run, call)
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            # Waiting never fails by itself; a server that shuts down may cancel more than once.
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled from future.exception()
    return future.result()


def _with_connection(function: Callable[..., _Result], *arguments: Any, **named: Any) -> _Result:
    try:
        return function(*arguments, **named)
    finally:
        close_old_connections()
