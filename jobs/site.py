"""The site's settings, and storage counted by tier.

A drain is part of the claim's SQL, so it holds for every worker as soon as it is committed.
"""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from jobs.claiming import claims_stop
from jobs.dispatch import wake_on_commit
from jobs.models import Job, SiteSettings, Step, TierStorage
from users.models import Tier
from videos.models import Output, Upload, Video


def site_settings() -> SiteSettings:
    """The settings as they are; the defaults where nobody has set any."""
    return SiteSettings.objects.filter(pk=SiteSettings.ONLY).first() or SiteSettings()


def site_settings_save(changed: SiteSettings) -> None:
    """Stores the settings. Once this returns, no claim starts a step in a lane that is drained.

    Claims that are under way end first, so none of them can have missed the change. Lanes that are open
    again are woken.
    """
    with transaction.atomic():
        claims_stop()
        stored = SiteSettings.objects.filter(pk=SiteSettings.ONLY).first()
        before = frozenset() if stored is None else stored.lanes_drained
        changed.pk = SiteSettings.ONLY
        changed.save(force_insert=stored is None, force_update=stored is not None)
        workers = {
            Step.Lane.SHORT: settings.SHORT_WORKER_CONCURRENCY,
            Step.Lane.ENCODE: settings.WORKER_CONCURRENCY,
        }
        for lane in before - changed.lanes_drained:
            wake_on_commit(lane, count=workers[Step.Lane(lane)])


def held_by_drain(job: Job, known: SiteSettings | None = None) -> SiteSettings | None:
    """The settings, where they are why this waiting job does not start. Whoever has them may give them."""
    if job.status != Job.Status.QUEUED:
        return None
    found = known or site_settings()
    drained = found.lanes_drained
    if not drained:
        return None
    if drained == set(Step.Lane.values):
        return found
    waiting = Step.objects.filter(job=job, status=Step.Status.QUEUED).order_by("position")
    return found if waiting.values_list("lane", flat=True).first() in drained else None


def storage_count() -> int:
    """Counts accounts and bytes by tier and stores them; reads every video, so not for a request.

    Returns how many tiers there are.
    """
    accounts = dict(Tier.objects.annotate(number=Count("users")).values_list("name", "number"))
    videos = Video.objects.filter(deleted_at=None).values_list("owner__tier").order_by()
    outputs = Output.objects.filter(operation__video__deleted_at=None)
    originals = dict(videos.annotate(total=Sum("size")))
    results = dict(
        outputs.values_list("operation__video__owner__tier").order_by().annotate(total=Sum("size"))
    )
    unfinished = Upload.objects.filter(video=None).values_list("owner__tier").order_by()
    uploads = dict(unfinished.annotate(total=Sum(Coalesce("length", "offset"))))
    counted_at = timezone.now()
    for tier, number in accounts.items():
        TierStorage.objects.update_or_create(
            tier_id=tier,
            defaults={
                "accounts": number,
                "originals": originals.get(tier, 0),
                "results": results.get(tier, 0),
                "uploads": uploads.get(tier, 0),
                "counted_at": counted_at,
            },
        )
    return len(accounts)


def storage_by_tier() -> list[TierStorage]:
    """What `storage_count` stored last, the largest tier first; empty before its first run."""
    return sorted(TierStorage.objects.select_related("tier"), key=lambda row: row.total, reverse=True)
