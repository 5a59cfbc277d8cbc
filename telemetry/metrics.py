"""Every counter and histogram of the site. Gauges are read when somebody asks, see `videoproc.metrics`.

A label has few values, all of them known in advance: no ids, no names of people.
"""

from __future__ import annotations

import bisect
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass

from telemetry.recorder import recorder

log = logging.getLogger(__name__)

# Sums of seconds are kept as whole microseconds: Redis adds integers exactly.
MICROSECONDS = 1_000_000
INFINITE = "+Inf"


@dataclass(frozen=True, slots=True)
class Counter:
    """Only grows; begins anew where Redis was emptied."""

    name: str
    help: str
    labels: tuple[str, ...] = ()

    def add(self, amount: int = 1, **labels: str) -> None:
        """Never raises and never waits."""
        _quietly(lambda: recorder.add([(series(self.name, _values(self.labels, labels), ""), amount)]))


@dataclass(frozen=True, slots=True)
class Histogram:
    """Seconds, sorted into buckets by their upper bounds."""

    name: str
    help: str
    buckets: tuple[float, ...]
    labels: tuple[str, ...] = ()

    def observe(self, seconds: float, **labels: str) -> None:
        """Never raises and never waits."""
        _quietly(lambda: self._observe(max(0.0, seconds), labels))

    def _observe(self, seconds: float, labels: dict[str, str]) -> None:
        values = _values(self.labels, labels)
        place = bisect.bisect_left(self.buckets, seconds)
        bound = str(self.buckets[place]) if place < len(self.buckets) else INFINITE
        recorder.add(
            [
                (series(self.name, values, bound), 1),
                (series(self.name, values, "sum"), round(seconds * MICROSECONDS)),
            ]
        )


def series(name: str, labels: tuple[str, ...], part: str) -> str:
    """The field that one sum has in Redis; `part` is a bucket's bound, `sum`, or empty for counters."""
    return json.dumps([name, labels, part], separators=(",", ":"))


def _values(names: tuple[str, ...], labels: dict[str, str]) -> tuple[str, ...]:
    if len(labels) != len(names):
        raise ValueError(f"expected the labels {names}")
    return tuple(str(labels[name]) for name in names)


def _quietly(act: Callable[[], None]) -> None:
    try:
        act()
    except Exception:
        log.exception("a metric was not counted")


_WAITS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
_WORK = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 1800.0, 3600.0, 10800.0)
_REPLIES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)

CLAIM_LATENCY = Histogram(
    "videoproc_claim_latency_seconds",
    "Time from asking for a job to the first claim of its first step.",
    _WAITS,
    ("lane",),
)
STEP_DURATION = Histogram(
    "videoproc_step_duration_seconds",
    "Time from claiming a step to its published end, by operation and kind of step.",
    _WORK,
    ("operation", "kind"),
)
JOBS_FINISHED = Counter(
    "videoproc_jobs_finished", "Jobs that ended, by operation and how.", ("operation", "status")
)
FAILURES = Counter(
    "videoproc_job_failures", "Jobs that failed for good, by operation and code.", ("operation", "code")
)
RETRIES = Counter(
    "videoproc_retries", "Steps put back for another try, by the reason.", ("operation", "code")
)
LEASE_LOSSES = Counter(
    "videoproc_lease_losses",
    "Leases lost: expired (found by the reconciler), gone (cancelled, deleted or taken over),"
    " unreachable (the worker could not reach PostgreSQL).",
    ("reason",),
)
UPLOADED = Counter("videoproc_uploaded_bytes", "Bytes of uploads that are safe on the disk.")
SERVED = Counter(
    "videoproc_served_bytes",
    "Bytes of files that the edge was told to send; a reader who goes away gets fewer.",
)
HTTP_REQUESTS = Counter(
    "videoproc_http_requests",
    "Requests answered, by class of route, method and status.",
    ("route", "method", "status"),
)
HTTP_DURATION = Histogram(
    "videoproc_http_request_duration_seconds",
    "Time to answer a request, by class of route; of uploads, the time that the bytes took to come.",
    _REPLIES,
    ("route",),
)

COUNTERS = (JOBS_FINISHED, FAILURES, RETRIES, LEASE_LOSSES, UPLOADED, SERVED, HTTP_REQUESTS)
HISTOGRAMS = (CLAIM_LATENCY, STEP_DURATION, HTTP_DURATION)
