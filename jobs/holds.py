"""Why a waiting job does not start although a worker may be free: said before people have to ask.

The claim's SQL decides; what is said here is read from the same tables, the first reason that applies. A job
that nothing holds waits for its turn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from engine import catalogue
from jobs.events import HoldCode, HoldState, rfc3339
from jobs.models import Job, Limit, SiteSettings, Step
from jobs.site import site_settings
from users.models import Priority, User

_MOST = "the most allowed at once"


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a job waits. `words` continue "this job waits: …"; `until` is when that is expected to end."""

    code: HoldCode
    words: str
    until: datetime | None = None

    @property
    def state(self) -> HoldState:
        detail = f"{self.words[:1].upper()}{self.words[1:]}."
        return {
            "code": self.code,
            "detail": detail,
            "until": None if self.until is None else rfc3339(self.until),
        }


class Holds:
    """The reasons of the jobs of one page or answer. Everything is read once and only when it is needed, so
    the number of jobs does not matter where they were announced."""

    def __init__(self, jobs: Iterable[Job] = (), *, settings: SiteSettings | None = None) -> None:
        self._given = settings
        self._announced = [job.id for job in jobs if job.status == Job.Status.QUEUED]
        self._lanes: dict[str, str | None] = {}
        self._owners: dict[str, tuple[User, Counter[str]]] = {}

    def of(self, job: Job) -> Hold | None:
        """What holds this job; None where nothing does, or where it does not wait."""
        if job.status != Job.Status.QUEUED:
            return None
        return self._drained(job) or _retry(job) or self._hours(job) or self._limited(job)

    @cached_property
    def _settings(self) -> SiteSettings:
        return self._given or site_settings()

    @cached_property
    def _limits(self) -> list[Limit]:
        return list(Limit.objects.order_by("id"))

    @cached_property
    def _everybody(self) -> Counter[tuple[str, str]]:
        """Running jobs by tier and type."""
        rows = _running().values_list("owner__tier_id", "type").annotate(number=Count("id")).order_by()
        return Counter({(tier, type_): number for tier, type_, number in rows})

    def _lane(self, job: Job) -> str | None:
        if job.id not in self._lanes:
            asked = {job.id, *self._announced}
            self._lanes = dict.fromkeys(asked) | _lanes(asked)
        return self._lanes[job.id]

    def _owner(self, job: Job) -> tuple[User, Counter[str]]:
        """The owner, and how many of their jobs run, by type."""
        if job.owner_id not in self._owners:
            rows = _running().filter(owner_id=job.owner_id).values_list("type").annotate(number=Count("id"))
            owner = User.objects.select_related("tier").get(id=job.owner_id)
            self._owners[job.owner_id] = (owner, Counter(dict(rows.order_by())))
        return self._owners[job.owner_id]

    def _drained(self, job: Job) -> Hold | None:
        drained = self._settings.lanes_drained
        if not drained or (len(drained) < len(Step.Lane.values) and self._lane(job) not in drained):
            return None
        words = "the site is paused for maintenance: your job starts when it is over"
        return Hold("drained", words, self._settings.drained_until)

    def _hours(self, job: Job) -> Hold | None:
        site = self._settings
        if (
            job.priority < Priority.LOW
            or job.type == Job.INTAKE
            or site.low_runs_at(timezone.now())
            or self._lane(job) != Step.Lane.ENCODE
        ):
            return None
        hours = f"{site.low_from:%H:%M} to {site.low_until:%H:%M} ({site.time_zone})"
        words = f"jobs of low priority start from {hours}"
        return Hold("working_hours", words)

    def _limited(self, job: Job) -> Hold | None:
        if job.type == Job.INTAKE:
            return None
        owner, own = self._owner(job)
        cap = owner.concurrent_jobs_limit
        if own.total() >= cap:
            return Hold("own_limit", f"{own.total()} of your jobs {_are(own.total())} running, {_MOST}")
        held = (self._held_by(limit, job, owner, own) for limit in self._limits)
        return next((hold for hold in held if hold is not None), None)

    def _held_by(self, limit: Limit, job: Job, owner: User, own: Counter[str]) -> Hold | None:
        if limit.type not in ("", job.type) or limit.tier_id not in (None, owner.tier_id):
            return None
        code: HoldCode = "operation_limit" if limit.type else "tier_limit"
        of = f" of \u201c{title_of(limit.type)}\u201d" if limit.type else ""
        number = own[limit.type] if limit.type else own.total()
        if limit.per_user is not None and number >= limit.per_user:
            return Hold(code, f"{number} of your jobs{of} {_are(number)} running, {_MOST}")
        number = sum(
            count
            for (tier, type_), count in (self._everybody.items() if limit.at_once is not None else ())
            if limit.type in ("", type_) and limit.tier_id in (None, tier)
        )
        if limit.at_once is None or number < limit.at_once:
            return None
        whose = "this site" if limit.tier_id is None else f"{owner.tier} accounts"
        return Hold(
            code, f"{number} job{'' if number == 1 else 's'}{of} of {whose} {_are(number)} running, {_MOST}"
        )


def title_of(type_: str) -> str:
    """What people call the operation."""
    known = catalogue.operations().get(type_)
    return type_ if known is None else known.title


def _retry(job: Job) -> Hold | None:
    if job.run_after is None or job.run_after <= timezone.now():
        return None
    return Hold("retry", "it was interrupted and tries again by itself", job.run_after)


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _running() -> QuerySet[Job]:
    """Jobs that count against limits, as the claim counts them."""
    held = Step.objects.filter(status=Step.Status.ACTIVE).values("job_id")
    running = Q(status=Job.Status.ACTIVE) | Q(id__in=held, status=Job.Status.PAUSED)
    return Job.objects.filter(running).exclude(type=Job.INTAKE)


def _lanes(job_ids: Iterable[str]) -> dict[str, str | None]:
    """The lane of the first step of each job that waits."""
    steps = Step.objects.filter(job__id__in=job_ids, status=Step.Status.QUEUED)
    firsts = steps.order_by("job_id", "position").distinct("job_id").only("job_id", "lane")
    return {step.job_id: step.lane for step in firsts}
