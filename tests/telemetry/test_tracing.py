"""Traces where nobody wants them, and where nobody takes them. Real ones: tests/jobs/test_observation.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

SPANS = """
import sys
from telemetry import context, tracing
with context.bound(request_id="request-1234"):
    carrier = tracing.carrier()
try:
    with tracing.continued(carrier, span_name="step", began_ns=1) as nothing:
        with tracing.span("ffmpeg", attributes={"command": "ffmpeg"}):
            tracing.past_span("claim", began_ns=1, ended_ns=2)
            here = tracing.ids()
        assert context.current_request_id() == "request-1234"
        raise KeyError
except KeyError:
    pass
tracing.flush()
"""


def _run(code: str, **environment: str) -> None:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", SPANS + code],
        cwd=ROOT,
        env={**plain, **environment},
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_without_a_collector_nothing_of_opentelemetry_is_loaded() -> None:
    _run("assert not here\nassert not [name for name in sys.modules if name.startswith('opentelemetry')]")


def test_a_collector_that_is_away_is_no_trouble() -> None:
    _run("assert len(here['trace_id']) == 32", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")


def test_nonsense_in_the_set_up_of_traces_turns_them_off() -> None:
    address = "http://127.0.0.1:9"
    _run("assert not here", OTEL_EXPORTER_OTLP_ENDPOINT=address, OTEL_EXPORTER_OTLP_TIMEOUT="soon")
