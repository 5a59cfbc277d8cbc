"""What is being worked on in this context: request, user, job, step. Log lines and new jobs read it here."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# A callable is asked when a line is written: who sent a request becomes known only in its middle.
Value = str | int | Callable[[], str | None]

NO_REQUEST = "-"
# Where a request that is over keeps its id for the lines that come late.
ATTRIBUTE = "_videoproc_request_id"
_ACCEPTABLE = re.compile(r"[A-Za-z0-9_.-]{8,64}")

_fields: ContextVar[dict[str, Value] | None] = ContextVar("telemetry_fields", default=None)


@contextmanager
def bound(**fields: Value) -> Iterator[None]:
    """Adds fields for the time of the `with` block, in this thread or task and in those it hands them to."""
    token = _fields.set({**(_fields.get() or {}), **fields})
    try:
        yield
    finally:
        _fields.reset(token)


def tell(**fields: Value) -> None:
    """Adds fields to the innermost `bound` block, which need not be in this function; none outside of one."""
    here = _fields.get()
    if here is not None:
        here.update(fields)


def fields() -> dict[str, str | int]:
    """What is known now; what nobody knows is left out."""
    found: dict[str, str | int] = {}
    for name, value in (_fields.get() or {}).items():
        known = value() if callable(value) else value
        if known is not None:
            found[name] = known
    return found


def current_request_id() -> str:
    """The id of the request that is answered, or that asked for the work at hand; `-` outside of both."""
    value = (_fields.get() or {}).get("request_id", NO_REQUEST)
    return value if isinstance(value, str) else NO_REQUEST


def request_id(given: str) -> str:
    """The current request's id; where one begins, the client's own if it is harmless, or a new one."""
    here = current_request_id()
    if here != NO_REQUEST:
        return here
    return given if _ACCEPTABLE.fullmatch(given) else uuid.uuid4().hex
