"""Removes what nobody needs any more: scratch of dead steps, expired uploads, old trash, stray files."""

from __future__ import annotations

import time
from dataclasses import dataclass

from jobs import workspace
from jobs.models import Step
from jobs.webhooks.sending import deliveries_purge
from users.idempotency import requests_purge
from users.services import sessions_purge
from videos.services.uploads import uploads_expire
from videos.services.videos import media_sweep, videos_purge

SCRATCH_KEPT_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Cleaned:
    """How many of each kind went."""

    scratch_folders: int
    uploads: int
    videos: int
    files: int
    sessions: int
    idempotency_keys: int
    webhook_deliveries: int


def clean() -> Cleaned:
    """One round; safe to repeat and to run at any time."""
    return Cleaned(
        scratch_folders=scratch_sweep(),
        uploads=uploads_expire(),
        videos=videos_purge(),
        files=media_sweep(),
        sessions=sessions_purge(),
        idempotency_keys=requests_purge(),
        webhook_deliveries=deliveries_purge(),
    )


def scratch_sweep() -> int:
    """Removes folders left by workers that died, an hour after the last change."""
    stale = workspace.steps_with_folders(untouched_since=time.time() - SCRATCH_KEPT_SECONDS)
    active = set(Step.objects.filter(id__in=stale, status=Step.Status.ACTIVE).values_list("id", flat=True))
    dead = [step_id for step_id in stale if step_id not in active]
    for step_id in dead:
        workspace.step_discard(step_id)
    return len(dead)
