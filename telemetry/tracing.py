"""Traces, where OTEL_EXPORTER_OTLP_ENDPOINT names a collector. Elsewhere nothing of it is even loaded."""

from __future__ import annotations

import functools
import importlib
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from telemetry import context

log = logging.getLogger(__name__)

Attributes = Mapping[str, str | int | float]
# What a job remembers of the request that asked for it.
Carrier = dict[str, str]


@functools.cache
def _opentelemetry() -> Any:
    """`telemetry.opentelemetry_export`, or None where nobody wants traces."""
    names = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    if not any(os.environ.get(name, "").strip() for name in names):
        return None
    try:
        return importlib.import_module("telemetry.opentelemetry_export")
    except Exception:  # whatever is wrong with the set-up of traces, the site works without them
        log.exception("traces are off")
        return None


@contextmanager
def span(
    name: str,
    *,
    parent: str | None = None,
    attributes: Attributes | None = None,
    server: bool = False,
    began_ns: int | None = None,
) -> Iterator[Any]:
    """A span around the `with` block, or nothing where traces are off.

    `parent` is a `traceparent` from elsewhere, `server` says that it answers a request, `began_ns` is a
    start in the past. Yields the span, or None.
    """
    export = _opentelemetry()
    if export is None:
        yield None
        return
    with export.span(
        name, parent=parent, attributes=dict(attributes or {}), server=server, began_ns=began_ns
    ) as made:
        yield made


def past_span(name: str, *, began_ns: int, ended_ns: int) -> None:
    """A span of what is over already, below the current one."""
    if export := _opentelemetry():
        export.past_span(name, began_ns, ended_ns)


def failed(code: str) -> None:
    """Marks the current span: what it stands for did not succeed."""
    if export := _opentelemetry():
        export.failed(code)


def ids() -> dict[str, str]:
    """`trace_id` and `span_id` of the current span, for log lines; empty without one."""
    export = _opentelemetry()
    found: dict[str, str] = {} if export is None else export.ids()
    return found


def flush() -> None:
    """Hands over what has gathered, within about two seconds."""
    if export := _opentelemetry():
        export.flush()


def carrier() -> Carrier | None:
    """What work that is asked for now shall remember of this request; None outside of one."""
    found: Carrier = {}
    if (request_id := context.current_request_id()) != context.NO_REQUEST:
        found["request_id"] = request_id
    if (export := _opentelemetry()) and (traceparent := export.traceparent()):
        found["traceparent"] = traceparent
    return found or None


@contextmanager
def continued(
    carrier: Carrier | None,
    *,
    span_name: str | None = None,
    attributes: Attributes | None = None,
    began_ns: int | None = None,
    **fields: context.Value,
) -> Iterator[None]:
    """Work for the request that `carrier` remembers: its id and `fields` in log lines, and its trace goes on.

    Without `span_name` the block gets no span of its own.
    """
    known = carrier or {}
    if request_id := known.get("request_id"):
        fields["request_id"] = request_id
    with context.bound(**fields):
        if span_name is None:
            yield
            return
        with span(span_name, parent=known.get("traceparent"), attributes=attributes, began_ns=began_ns):
            yield
