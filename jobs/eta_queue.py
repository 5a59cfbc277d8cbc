"""When waiting work will begin, and when all of it will be done.

The queue is taken in as sums for each lane, priority and owner: what waits, how long it is expected to take,
and what runs. From these follows when a place becomes free for somebody: the more urgent work of others comes
first, equally urgent work of others takes turns with one's own, and nobody has more at once than their cap.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.conf import settings
from django.core.cache import cache
from django.db import connection

from jobs.eta_live import Left, left_of
from jobs.eta_pace import Paces, Span, cores, paces_for
from jobs.models import SiteSettings, Step

# A long queue changes little in so many seconds, and adding it up takes a while.
_KEPT_SECONDS = 3
_LONG = 500
_CACHE = "jobs.eta-queue"
# So many are dealt out one by one; of more, the average tells.
_DEALT = 64
_DOUBT = 0.25


class Load(NamedTuple):
    """Steps that wait: how many, their seconds alone and of processors. `unknown` are those nobody can tell
    of."""

    steps: int = 0
    wall: float = 0.0
    cpu: float = 0.0
    unknown: int = 0

    def plus(self, other: Load, share: float = 1.0) -> Load:
        return Load(
            self.steps + math.ceil(other.steps * share),
            self.wall + other.wall * share,
            self.cpu + other.cpu * share,
            self.unknown + math.ceil(other.unknown * share),
        )


class Running(NamedTuple):
    """A step that runs; `left` is None where nobody can tell, `held` where its job is paused."""

    owner: str
    lane: str
    left: float | None
    held: bool


@dataclass(frozen=True, slots=True)
class Queue:
    """All that waits and runs. `ready` waits for a worker; `later` for other steps of its job."""

    ready: Mapping[tuple[str, int, str], Load] = field(default_factory=dict)
    later: Mapping[str, Load] = field(default_factory=dict)
    running: tuple[Running, ...] = ()
    drained: frozenset[str] = frozenset()
    # How many jobs of each owner that has something waiting may run at once.
    caps: Mapping[str, int] = field(default_factory=dict)
    # Of one second of work, for each kind that waits or runs.
    spans: Mapping[str, Span] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        return sum(load.steps for load in self.ready.values())

    def crowd(self, more: int = 0) -> float:
        """How many steps will run beside each other, with `more` that are about to begin."""
        return max(1.0, min(float(sum(places().values())), sum(not one.held for one in self.running) + more))


class Own(NamedTuple):
    """Where a job stands: what its owner has waiting before it in the lane, and how urgent it is."""

    lane: str
    owner: str
    priority: int
    ahead: Load
    cap: int | None


def places() -> dict[str, int]:
    """How many steps of each lane run at once."""
    return {Step.Lane.SHORT: settings.SHORT_WORKER_CONCURRENCY, Step.Lane.ENCODE: settings.WORKER_CONCURRENCY}


_WAITING = """
    SELECT lane, priority, owner_id, status, cost_key, count(*), sum(work) FROM jobs_step
    WHERE status IN ('queued', 'blocked') GROUP BY lane, priority, owner_id, status, cost_key
"""

_RUNNING = """
    SELECT s.owner_id, s.lane, s.cost_key, s.work, j.status = 'paused',
        extract(epoch FROM statement_timestamp() - s.started_at)::float8,
        CASE WHEN j.eta_at >= s.started_at
            THEN j.eta_seconds - extract(epoch FROM statement_timestamp() - j.eta_at)::float8 END
    FROM jobs_step s JOIN jobs_job j ON j.id = s.job_id WHERE s.status = 'active'
"""


def queue_now() -> Queue:
    """The queue as it is, or as it was a moment ago where it is long."""
    known: Queue | None = cache.get(_CACHE)
    if known is None:
        known = _read()
        if known.steps > _LONG:
            cache.set(_CACHE, known, timeout=_KEPT_SECONDS)
    return known


def _read() -> Queue:
    with connection.cursor() as cursor:
        cursor.execute(_WAITING)
        waiting = cursor.fetchall()
        cursor.execute(_RUNNING)
        running = cursor.fetchall()
    keys = {row[4] for row in waiting} | {row[2] for row in running}
    paces = paces_for(keys)
    ready: defaultdict[tuple[str, int, str], Load] = defaultdict(Load)
    later: defaultdict[str, Load] = defaultdict(Load)
    for lane, priority, owner, status, key, steps, work in waiting:
        load = load_of(paces, key, steps, work)
        if status == Step.Status.QUEUED:
            place = (lane, priority, str(owner))
            ready[place] = ready[place].plus(load)
        else:
            later[lane] = later[lane].plus(load)
    busy = len(running)
    now = tuple(
        Running(str(owner), lane, _left(paces.span(key, work), busy, since, told), held)
        for owner, lane, key, work, held, since, told in running
    )
    stored = SiteSettings.objects.filter(pk=SiteSettings.ONLY).first()
    drained = frozenset() if stored is None else frozenset(str(lane) for lane in stored.lanes_drained)
    spans = {key: span for key in keys if (span := paces.span(key, 1.0)) is not None}
    caps = _caps({str(owner) for _, _, owner, *_ in waiting})
    return Queue(dict(ready), dict(later), now, drained, caps, spans)


_CAPS = """
    SELECT u.id, COALESCE(u.concurrent_jobs_override, t.concurrent_jobs)
    FROM users_user u JOIN users_tier t ON t.name = u.tier_id WHERE u.id = ANY(%s::uuid[])
"""


def _caps(owners: set[str]) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(_CAPS, [list(owners)])
        return {str(owner): cap for owner, cap in cursor.fetchall()}


def load_of(paces: Paces, key: str, steps: int, work: float) -> Load:
    span = paces.span(key, work)
    return Load(steps, 0, 0, steps) if span is None else Load(steps, span.wall, span.cpu)


def _left(span: Span | None, busy: int, since: float, told: float | None) -> float | None:
    if told is not None:
        return max(0.0, told)
    return None if span is None else max(0.0, span.among(busy) - since)


def begin_of(own: Own, queue: Queue) -> Left | None:
    """Seconds until the job begins; None where nobody can tell, because it is held back or too little is
    known."""
    if own.lane in queue.drained:
        return None
    before = own.ahead
    turns = own.ahead.steps + 1
    most = own.ahead
    for (lane, priority, owner), load in queue.ready.items():
        if lane != own.lane or owner == own.owner or priority > own.priority:
            continue
        share = 1.0 if priority < own.priority else min(1.0, turns / max(1, load.steps))
        before, most = before.plus(load, share), most.plus(load)
    running = [one for one in queue.running if one.lane == own.lane]
    mine = [one for one in running if one.owner == own.owner]
    slots = places()[own.lane]
    times = [
        _free_place(load, running, slots, cap=own.cap, own=own.ahead, mine=mine)
        for load in (before, own.ahead, most)
    ]
    if any(time is None for time in times):
        return None
    likely, earliest, latest = (time or 0.0 for time in times)
    band = left_of(likely, _DOUBT)
    return Left(likely, min(earliest / math.exp(_DOUBT), band.low), max(band.high, latest))


def _free_place(
    ahead: Load, running: list[Running], slots: int, *, cap: int | None, own: Load, mine: list[Running]
) -> float | None:
    lane = _dealt(ahead, running, slots)
    if cap is None or lane is None:
        return lane
    capped = _dealt(own, mine, max(1, cap))
    return None if capped is None else max(lane, capped)


def _dealt(ahead: Load, running: list[Running], slots: int) -> float | None:
    """When one of `slots` places becomes free for whoever comes after `ahead`."""
    held = sum(one.held for one in running)
    lefts = sorted(one.left for one in running if not one.held and one.left is not None)
    places_left = slots - held
    if places_left <= 0:
        return None
    if len(running) + ahead.steps < slots:
        return 0.0
    if ahead.unknown or len(lefts) + held < len(running):
        return None
    each = _each(ahead, places_left)
    if ahead.steps > _DEALT:
        return (sum(lefts) + each * ahead.steps) / places_left
    free = [0.0] * max(0, places_left - len(lefts)) + lefts[:places_left]
    heapq.heapify(free)
    for _ in range(ahead.steps):
        heapq.heapreplace(free, free[0] + each)
    return free[0]


def _each(load: Load, at_once: int) -> float:
    """Seconds of one of these steps while so many run at once."""
    if not load.steps:
        return 0.0
    return max(load.wall, load.cpu * min(at_once, max(load.steps, 1)) / cores()) / load.steps


def end_of(queue: Queue) -> Left | None:
    """Seconds until nothing waits or runs any more; None where nobody can tell. Nothing at all is 0."""
    ends = [0.0]
    cpu = 0.0
    for lane, slots in places().items():
        load = Load()
        for (where, _, _), one in queue.ready.items():
            load = load.plus(one) if where == lane else load
        load = load.plus(queue.later.get(lane, Load()))
        running = [one for one in queue.running if one.lane == lane and not one.held]
        if not load.steps and not running:
            continue
        if load.unknown or any(one.left is None for one in running) or (load.steps and lane in queue.drained):
            return None
        lefts = [one.left or 0.0 for one in running]
        at_once = max(1, slots - sum(one.held and one.lane == lane for one in queue.running))
        cpu += load.cpu
        each = _each(load, at_once)
        whole = (sum(lefts) + each * load.steps) / min(at_once, max(1, load.steps + len(lefts)))
        ends.append(max([whole, each, *lefts]))
    ends += [_end_of_owner(queue, owner, cap) for owner, cap in queue.caps.items()]
    return left_of(max(*ends, cpu / cores()), _DOUBT)


def _end_of_owner(queue: Queue, owner: str, cap: int) -> float:
    """No sooner than this, however idle the site is: the owner's jobs wait for each other."""
    load = Load()
    for (_, _, whose), one in queue.ready.items():
        load = load.plus(one) if whose == owner else load
    lefts = [one.left or 0.0 for one in queue.running if one.owner == owner and not one.held]
    at_once = max(1, min(cap, load.steps + len(lefts)))
    return (sum(lefts) + _each(load, at_once) * load.steps) / at_once


_AHEAD = """
    SELECT ahead.id, ahead.lane, ahead.owner_id, ahead.priority, CASE WHEN ahead.kind <> 'intake' THEN
            (SELECT COALESCE(u.concurrent_jobs_override, t.concurrent_jobs)
             FROM users_user u JOIN users_tier t ON t.name = u.tier_id WHERE u.id = ahead.owner_id) END,
        ahead.steps, ahead.wall, ahead.cpu, ahead.unknown
    FROM (
        SELECT s.id, s.lane, s.owner_id, s.priority, s.kind,
            count(*) OVER before AS steps,
            COALESCE(sum(k.wall * s.work) OVER before, 0) AS wall,
            COALESCE(sum(k.cpu * s.work) OVER before, 0) AS cpu,
            count(*) FILTER (WHERE k.key IS NULL) OVER before AS unknown
        FROM jobs_step s
        LEFT JOIN unnest(%(keys)s::text[], %(walls)s::float8[], %(cpus)s::float8[]) AS k(key, wall, cpu)
            ON k.key = s.cost_key
        WHERE s.status = 'queued' AND s.lane = ANY(%(lanes)s::text[])
          AND s.owner_id IN (SELECT o.owner_id FROM jobs_step o WHERE o.id = ANY(%(steps)s::bigint[]))
        WINDOW before AS (PARTITION BY s.lane, s.owner_id ORDER BY s.priority, s.place
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ) ahead WHERE ahead.id = ANY(%(steps)s::bigint[])
"""


def own_places(steps: Iterable[int], queue: Queue) -> dict[int, Own]:
    """Where these waiting steps stand among those of their owners, in one query."""
    values: dict[str, Any] = {
        "keys": list(queue.spans),
        "walls": [span.wall for span in queue.spans.values()],
        "cpus": [span.cpu for span in queue.spans.values()],
        "lanes": list(places()),
        "steps": list(steps),
    }
    with connection.cursor() as cursor:
        cursor.execute(_AHEAD, values)
        return {
            step: Own(str(lane), str(owner), priority, Load(count, wall, cpu, unknown), cap)
            for step, lane, owner, priority, cap, count, wall, cpu, unknown in cursor.fetchall()
        }
