"""Removes what nobody needs any more: scratch of dead steps, expired uploads, old trash, stray files, and
what the rules of retention say; counts storage by tier and keeps the count of each owner short."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from django.conf import settings

from jobs import workspace
from jobs.figures import DAY
from jobs.models import Step
from jobs.parts import parts_sweep
from jobs.retention import retention_apply
from jobs.rollups import history_day_clean, history_first_day, rolled_through, rollups_update, today
from jobs.site import site_settings, storage_count
from jobs.webhooks.sending import deliveries_purge
from problems import FieldError, Problem
from users.idempotency import requests_purge
from users.services import sessions_purge
from videos.crash_points import crash_point
from videos.services.holdings import holdings_fold
from videos.services.shares import visits_purge
from videos.services.uploads import uploads_expire
from videos.services.usage import usage_fold
from videos.services.videos import media_sweep, videos_purge
from videos.storage import cache_trim, disk_now

SCRATCH_KEPT_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Cleaned:
    """How many of each kind went."""

    scratch_folders: int
    retired: dict[str, int]
    parts: int
    uploads: int
    videos: int
    files: int
    cached_bytes: int
    sessions: int
    idempotency_keys: int
    storage_changes: int
    holding_changes: int
    tiers_counted: int
    webhook_deliveries: int
    share_visits: int


def clean() -> Cleaned:
    """One round; safe to repeat and to run at any time."""
    rules = site_settings()
    crash_point("cleaning")
    return Cleaned(
        scratch_folders=scratch_sweep(),
        retired={**retention_apply(rules), "jobs": _history_retire(rules.history_days)},
        parts=parts_sweep(untouched_seconds=SCRATCH_KEPT_SECONDS),
        uploads=uploads_expire(),
        videos=videos_purge(trashed_before=rules.trash_kept),
        files=media_sweep(),
        cached_bytes=cache_trim(most=settings.MEDIA_CACHE_BYTES),
        sessions=sessions_purge(),
        idempotency_keys=requests_purge(),
        storage_changes=usage_fold(),
        holding_changes=holdings_fold(),
        tiers_counted=storage_count(),
        webhook_deliveries=deliveries_purge(),
        share_visits=visits_purge(),
    )


def _history_retire(days: int | None) -> int:
    return 0 if days is None else history_clean(older_than_days=days)


def scratch_sweep() -> int:
    """Removes folders left by workers that died, an hour after the last change."""
    stale = workspace.steps_with_folders(untouched_since=disk_now() - SCRATCH_KEPT_SECONDS)
    active = set(Step.objects.filter(id__in=stale, status=Step.Status.ACTIVE).values_list("id", flat=True))
    dead = [step_id for step_id in stale if step_id not in active]
    for step_id in dead:
        workspace.step_discard(step_id)
    return len(dead)


def history_clean(*, older_than_days: int) -> int:
    """Removes the rows of ended jobs that were asked for more than so many whole days ago; how many.

    Their figures stay in the roll-ups for ever; lists of jobs, failures and slow jobs, logs and the figures
    of single videos lose them. Takes one day after the other, each in a transaction of its own, so it may
    run beside everything else and be cut short. Jobs that have not ended stay. Raises `invalid_request` for
    less than a day.
    """
    if older_than_days < 1:
        error = FieldError("/older_than_days", "too_small", "The history of at least the last day stays.")
        raise Problem("invalid_request", errors=[error])
    while rollups_update().days_ended:
        pass
    through = rolled_through()
    if through is None:
        return 0
    before = min(through, today() - timedelta(days=older_than_days))
    removed = 0
    day: date | None = date.min
    while day is not None and day < before and (day := history_first_day(before, day)) is not None:
        removed += history_day_clean(day)
        day += DAY
    return removed
