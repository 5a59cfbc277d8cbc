"""When jobs will begin and end, as far as this server can tell: see docs/eta.md.

What runs is told by its worker; what waits follows from the queue and from what was learned of such steps.
Where too little is known the answer is that it is being estimated, never a guess.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection
from django.utils import timezone

from engine.types.media import MediaInfo
from engine.types.plan import Plan
from jobs.eta_live import Left, left_of
from jobs.eta_pace import Paces, Span, paces_for
from jobs.eta_queue import begin_of, end_of, own_places, places, queue_now
from jobs.eta_types import Estimate, Moments, QueueEnd
from jobs.eta_work import step_cost
from jobs.models import Job, Step
from users.ids import raw_id


class _Group(NamedTuple):
    """Steps of one job that are alike; the first of them and when one began, where they exist already."""

    status: str
    lane: str
    key: str
    steps: int
    work: float
    first: int = 0
    started_at: datetime | None = None


_GROUPS = """
    SELECT job_id, status, lane, cost_key, count(*), sum(work), (array_agg(id ORDER BY position))[1],
        min(started_at), statement_timestamp()
    FROM jobs_step
    WHERE job_id = ANY(%s::uuid[]) AND status IN ('queued', 'active', 'blocked')
    GROUP BY job_id, status, lane, cost_key
"""


def estimates(jobs: Iterable[Job]) -> dict[str, Estimate]:
    """Of those among `jobs` that wait or run, by id. A fixed number of queries, none of them over the
    history."""
    moving = [job for job in jobs if job.status in {Job.Status.QUEUED, Job.Status.ACTIVE}]
    if not moving:
        return {}
    groups, now = _groups_of(moving)
    queue = queue_now()
    paces = paces_for({group.key for found in groups.values() for group in found})
    firsts = {job.id: first for job in moving if (first := _first_waiting(job, groups[job.id])) is not None}
    owns = own_places(firsts.values(), queue) if firsts else {}
    found: dict[str, Estimate] = {}
    for job in moving:
        steps = groups[job.id]
        if not steps:
            continue
        if job.status == Job.Status.ACTIVE:
            found[job.id] = _of_running(job, steps, paces, queue.crowd(), now)
        else:
            own = owns.get(firsts.get(job.id, 0))
            begin = None if own is None else begin_of(own, queue)
            whole = _whole(steps, paces, queue.crowd(more=1))
            found[job.id] = _of_waiting(job, begin, whole, now)
    return found


def queue_end() -> QueueEnd:
    """When all of the site's work will be done."""
    queue = queue_now()
    waiting = queue.steps + sum(load.steps for load in queue.later.values())
    running = sum(not one.held for one in queue.running)
    left = end_of(queue) if waiting or running else None
    return QueueEnd(waiting, running, None if left is None else _moments(timezone.now(), left))


def plan_seconds(plan: Plan, media: MediaInfo, operation: str) -> Left | None:
    """Seconds that this plan is expected to take on an idle site; None where nothing was learned yet."""
    costs = [step_cost(operation, plan, step, media) for step in plan.steps]
    paces = paces_for(cost.key for cost in costs)
    groups = [
        _Group(
            Step.Status.BLOCKED if step.needs else Step.Status.QUEUED,
            step.lane.value,
            cost.key,
            1,
            cost.work,
        )
        for step, cost in zip(plan.steps, costs, strict=True)
    ]
    return _whole(groups, paces, crowd=1.0)


def _groups_of(jobs: Sequence[Job]) -> tuple[Mapping[str, list[_Group]], datetime]:
    """By job, and the time on PostgreSQL's clock."""
    names = {raw_id(job.id): job.id for job in jobs}
    found: defaultdict[str, list[_Group]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(_GROUPS, [list(names)])
        rows = cursor.fetchall()
    for job, *group, _ in rows:
        found[names[job]].append(_Group(*group))
    return found, rows[0][-1] if rows else timezone.now()


def _first_waiting(job: Job, groups: Sequence[_Group]) -> int | None:
    if job.status != Job.Status.QUEUED:
        return None
    return min((group.first for group in groups if group.status == Step.Status.QUEUED), default=None)


def _of_running(job: Job, groups: Sequence[_Group], paces: Paces, crowd: float, now: datetime) -> Estimate:
    if job.eta_seconds is not None and job.eta_at is not None:
        # What its worker said a moment ago.
        gone = (now - job.eta_at).total_seconds()
        low = job.eta_seconds if job.eta_low is None else job.eta_low
        high = job.eta_seconds if job.eta_high is None else job.eta_high
        left = Left(*(max(0.0, seconds - gone) for seconds in (job.eta_seconds, low, high)))
        return Estimate(None, _moments(now, left), left.seconds)
    whole = _whole(groups, paces, crowd)
    since = min((group.started_at for group in groups if group.started_at), default=None)
    if whole is None or since is None:
        return Estimate()
    gone = (now - since).total_seconds()
    # What takes longer than expected will take a little longer still.
    left = Left(*(max(seconds - gone, 0.1 * seconds) for seconds in whole))
    return Estimate(None, _moments(now, left), left.seconds)


def _of_waiting(job: Job, begin: Left | None, whole: Left | None, now: datetime) -> Estimate:
    if begin is None or whole is None:
        return Estimate()
    if job.run_after is not None:
        pause = max(0.0, (job.run_after - now).total_seconds())
        begin = Left(*(max(pause, seconds) for seconds in begin))
    end = Left(*(first + second for first, second in zip(begin, whole, strict=True)))
    return Estimate(_moments(now, begin), _moments(now, end), end.seconds)


def _whole(groups: Sequence[_Group], paces: Paces, crowd: float) -> Left | None:
    """Seconds for all of these steps: those that can run side by side do, the others come after them."""
    side_by_side = Span(0.0, 0.0, 0.0, 0.0)
    at_once = 0
    seconds, doubt = 0.0, 0.0
    for group in groups:
        span = paces.span(group.key, group.work)
        if span is None:
            return None
        doubt = max(doubt, span.doubt)
        if group.status == Step.Status.BLOCKED:
            seconds += span.among(crowd)
        else:
            side_by_side = Span(side_by_side.wall + span.wall, side_by_side.cpu + span.cpu, 0.0, 0.0)
            at_once = min(at_once + group.steps, places()[group.lane])
    if at_once:
        shared = side_by_side._replace(wall=side_by_side.wall / at_once)
        seconds += shared.among(max(1.0, crowd / at_once))
    return left_of(seconds, doubt)


def _moments(now: datetime, left: Left) -> Moments:
    return Moments(*(now + timedelta(seconds=seconds) for seconds in left))
