"""`GET /metrics`: everything the site counts and measures, in the text format of Prometheus."""

from __future__ import annotations

import hmac
import json
import logging
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import product

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from engine.catalogue import operations
from jobs.models import Job
from jobs.queues import lanes_now
from problems import Problem
from problems.catalogue import KINDS
from telemetry.metrics import (
    COUNTERS,
    FAILURES,
    HISTOGRAMS,
    INFINITE,
    JOBS_FINISHED,
    LEASE_LOSSES,
    MICROSECONDS,
    SERVED,
    UPLOADED,
    Counter,
    Histogram,
)
from telemetry.recorder import Sample, recorder
from users.headers import token_from_authorization
from videoproc.problem_responses import respond

log = logging.getLogger(__name__)

_SERVER_ERROR = 500

# Gauges that processes tell of themselves, see `videoproc.process_gauges` and `jobs.consumers`.
_TOLD = {
    "videoproc_open_sockets": ("WebSockets open now.", ()),
    "videoproc_workers": ("Workers that told within the last 30 s that they live, by lane.", ("lane",)),
    "videoproc_db_pool_connections": (
        (
            "Connections to PostgreSQL in the pools of the processes, by process and state"
            " (size, idle, limit; waiting_requests waits for one)."
        ),
        ("process", "state"),
    ),
}

# Values of the labels of one series to its sums by part: a bucket's bound, `sum`, or empty for a counter.
_Series = Mapping[tuple[str, ...], Mapping[str, int]]


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """For the bearer of VIDEOPROC_METRICS_TOKEN and for staff who are signed in."""
    if not _has_token(request):
        if not request.user.is_authenticated:
            refusal = respond(request, Problem("not_authenticated"))
            refusal.headers["WWW-Authenticate"] = "Bearer"
            return refusal
        if not request.user.is_staff:
            raise Problem("permission_denied")
    return HttpResponse(metrics_text(), content_type=CONTENT_TYPE_LATEST)


def metrics_text() -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_SiteCollector())
    return generate_latest(registry)


def _has_token(request: HttpRequest) -> bool:
    given = token_from_authorization(request.headers.get("Authorization", "")) or ""
    wanted: str = settings.METRICS_TOKEN
    return bool(wanted) and hmac.compare_digest(given.encode(), wanted.encode())


class _SiteCollector(Collector):
    def collect(self) -> Iterator[Metric]:
        stored = recorder.read()
        yield _gauge("videoproc_redis_up", "Whether Redis answers.", float(stored.available))
        yield from _lanes()
        yield from _disk()
        if stored.available:
            # Without Redis nobody knows them: absent is right, zero would be wrong.
            yield from _told(stored.gauges)
            by_name = _by_name(stored.sums)
            expected = _expected()
            yield from (_counter(each, by_name[each.name], expected.get(each.name, ())) for each in COUNTERS)
            yield from (_histogram(histogram, by_name[histogram.name]) for histogram in HISTOGRAMS)


def _gauge(name: str, help_: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_, value=value)


def _lanes() -> Iterator[Metric]:
    try:
        states = lanes_now()
    except DatabaseError as error:
        log.warning("the queue cannot be read for metrics: %s", type(error).__name__)
        yield _gauge("videoproc_database_up", "Whether PostgreSQL answers.", 0)
        return
    yield _gauge("videoproc_database_up", "Whether PostgreSQL answers.", 1)
    waiting = GaugeMetricFamily("videoproc_queue_steps", "Steps that wait, by lane.", labels=["lane"])
    running = GaugeMetricFamily("videoproc_running_steps", "Steps that run, by lane.", labels=["lane"])
    oldest = GaugeMetricFamily(
        "videoproc_queue_oldest_seconds", "Age of the oldest waiting job, by lane.", labels=["lane"]
    )
    for state in states:
        waiting.add_metric([state.lane], state.waiting)
        running.add_metric([state.lane], state.running)
        oldest.add_metric([state.lane], state.oldest_seconds)
    yield from (waiting, running, oldest)


def _disk() -> Iterator[Metric]:
    try:
        usage = shutil.disk_usage(settings.MEDIA)
    except OSError as error:
        log.warning("the media folder cannot be measured: %s", error)
        return
    yield _gauge("videoproc_disk_free_bytes", "Free space where the files are.", usage.free)
    yield _gauge("videoproc_disk_size_bytes", "Size of the disk where the files are.", usage.total)
    yield _gauge(
        "videoproc_disk_reserve_bytes",
        "Below so much free space nothing new is taken in.",
        settings.DISK_RESERVE_BYTES,
    )


def _told(samples: Iterable[Sample]) -> Iterator[Metric]:
    added: dict[str, dict[tuple[str, ...], float]] = defaultdict(lambda: defaultdict(float))
    for sample in samples:
        added[sample.name][sample.labels] += sample.value
    # Zero says that nobody told; a series that vanishes would end an alert.
    for lane in ("short", "encode"):
        added["videoproc_workers"][lane,] += 0
    added["videoproc_open_sockets"][()] += 0
    for name, (help_, labels) in _TOLD.items():
        family = GaugeMetricFamily(name, help_, labels=labels)
        for values, value in sorted(added[name].items()):
            if len(values) == len(labels):  # else an older or newer version of the site tells it otherwise
                family.add_metric(values, value)
        yield family


def _by_name(sums: Mapping[str, int]) -> Mapping[str, _Series]:
    found: dict[str, dict[tuple[str, ...], dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    for field, amount in sums.items():
        try:
            name, labels, part = json.loads(field)
            found[name][tuple(labels)][part] = amount
        except (ValueError, TypeError):
            log.warning("unknown field among the metrics: %s", field)
    return found


def _expected() -> Mapping[str, Iterable[tuple[str, ...]]]:
    """Series that exist from the start, at zero: Prometheus sees no growth where one begins at one."""
    types = [*operations(), Job.INTAKE]
    faults = [kind.code for kind in KINDS.values() if kind.retryable and kind.status >= _SERVER_ERROR]
    return {
        JOBS_FINISHED.name: product(types, map(str, Job.FINISHED)),
        FAILURES.name: product(types, faults),
        LEASE_LOSSES.name: (("expired",), ("gone",), ("unreachable",)),
        UPLOADED.name: ((),),
        SERVED.name: ((),),
    }


def _counter(counter: Counter, series: _Series, expected: Iterable[tuple[str, ...]]) -> Metric:
    family = CounterMetricFamily(counter.name, counter.help, labels=counter.labels)
    for labels in sorted({*series, *expected}):
        if len(labels) == len(counter.labels):  # else an older or newer version of the site counted it
            family.add_metric(labels, series.get(labels, {}).get("", 0))
    return family


def _histogram(histogram: Histogram, series: _Series) -> Metric:
    family = HistogramMetricFamily(histogram.name, histogram.help, labels=histogram.labels)
    for labels, parts in sorted(series.items()):
        if len(labels) != len(histogram.labels):
            continue
        # Bounds that are gone or new in this version count into the next one above.
        counted = sorted((_bound(part), amount) for part, amount in parts.items() if part != "sum")
        buckets = [
            (str(bound), sum(amount for upper, amount in counted if upper <= bound))
            for bound in histogram.buckets
        ]
        buckets.append((INFINITE, sum(amount for _, amount in counted)))
        family.add_metric(labels, buckets, parts.get("sum", 0) / MICROSECONDS)
    return family


def _bound(part: str) -> float:
    return float("inf") if part == INFINITE else float(part)
