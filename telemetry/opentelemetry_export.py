"""OpenTelemetry's side of `telemetry.tracing`: loaded only where a collector is named.

The SDK reads its own environment variables (endpoint, headers, sampler, batch sizes). It sends from a thread
of its own, drops spans while the collector is away, and starts that thread anew after a fork.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

# A process that ends must not wait long for a collector that is away.
SECONDS_TO_SEND = 2

_propagator = TraceContextTextMapPropagator()
_provider = TracerProvider(
    resource=Resource.create(
        {
            "service.name": os.environ.get("OTEL_SERVICE_NAME", "videoproc"),
            "videoproc.process": os.environ.get("VIDEOPROC_PROCESS", "videoproc"),
        }
    )
)
_provider.add_span_processor(
    BatchSpanProcessor(
        OTLPSpanExporter(timeout=int(os.environ.get("OTEL_EXPORTER_OTLP_TIMEOUT") or SECONDS_TO_SEND))
    )
)
_tracer = _provider.get_tracer("videoproc")


@contextmanager
def span(
    name: str,
    *,
    parent: str | None,
    attributes: dict[str, str | int | float],
    server: bool,
    began_ns: int | None,
) -> Iterator[Span]:
    """See `telemetry.tracing.span`. Of an error only the class is told: texts may hold what people typed."""
    above: Context | None = _propagator.extract({"traceparent": parent}) if parent else None
    with _tracer.start_as_current_span(
        name,
        context=above,
        kind=SpanKind.SERVER if server else SpanKind.INTERNAL,
        attributes=attributes,
        start_time=began_ns,
        record_exception=False,
        set_status_on_exception=False,
    ) as made:
        try:
            yield made
        except BaseException as error:  # also what cancels a request or stops a worker
            made.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


def past_span(name: str, began_ns: int, ended_ns: int) -> None:
    """See `telemetry.tracing.past_span`."""
    _tracer.start_span(name, start_time=began_ns).end(ended_ns)


def failed(code: str) -> None:
    """See `telemetry.tracing.failed`."""
    trace.get_current_span().set_status(Status(StatusCode.ERROR, code))


def ids() -> dict[str, str]:
    """Of the current span; empty without one."""
    here = trace.get_current_span().get_span_context()
    if not here.is_valid:
        return {}
    return {"trace_id": f"{here.trace_id:032x}", "span_id": f"{here.span_id:016x}"}


def traceparent() -> str | None:
    """The current span, as the W3C header writes it."""
    headers: dict[str, str] = {}
    _propagator.inject(headers)
    return headers.get("traceparent")


def flush() -> None:
    """Sends what has gathered."""
    _provider.force_flush(SECONDS_TO_SEND * 1000)
