"""The site's settings and limits, and storage counted by tier.

Drains, hours and limits are part of the claim's SQL, so they hold for every worker as soon as they are
committed.
"""

from __future__ import annotations

from collections.abc import Iterable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import Count, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from jobs.claiming import claims_stop
from jobs.dispatch import wake_on_commit
from jobs.models import Limit, SiteSettings, Step, TierStorage
from problems import FieldError, Problem
from users.models import Tier
from videos.models import Output, Upload, Video


def site_settings() -> SiteSettings:
    """The settings as they are; the defaults where nobody has set any."""
    return SiteSettings.objects.filter(pk=SiteSettings.ONLY).first() or SiteSettings()


def site_settings_save(changed: SiteSettings) -> None:
    """Stores the settings. Once this returns, no claim starts anything that they forbid.

    Claims that are under way end first, so none of them can have missed the change. Lanes in which more may
    start than before are woken. Raises Problem invalid_request for a time zone that PostgreSQL does not know.
    """
    with transaction.atomic():
        claims_stop()
        time_zone_check(changed.time_zone)
        stored = SiteSettings.objects.filter(pk=SiteSettings.ONLY).first()
        before = frozenset() if stored is None else stored.lanes_drained
        changed.pk = SiteSettings.ONLY
        changed.save(force_insert=stored is None, force_update=stored is not None)
        opened = set(before - changed.lanes_drained)
        if stored is not None and stored.low_from is not None:
            opened.add(Step.Lane.ENCODE)
        _wake(opened - changed.lanes_drained)


def time_zone_check(name: str) -> None:
    """Raises Problem invalid_request where Python or PostgreSQL does not know it. The claim's SQL reads it:
    what fails there would stop the queue."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT statement_timestamp() AT TIME ZONE %s", [name])
        ZoneInfo(name)
    except (DatabaseError, ValueError, OSError, ZoneInfoNotFoundError):
        detail = "This is not the name of a time zone, such as Europe/Berlin."
        raise Problem("invalid_request", errors=[FieldError("/time_zone", "invalid", detail)]) from None


def limit_save(limit: Limit) -> None:
    """Stores a limit. It holds for every claim from here on; what runs goes on. Both lanes are woken: more
    may be allowed than before."""
    with transaction.atomic():
        claims_stop()
        limit.save()
        _wake(Step.Lane.values)


def limit_delete(limit: Limit) -> None:
    """Takes a limit away."""
    with transaction.atomic():
        claims_stop()
        limit.delete()
        _wake(Step.Lane.values)


def _wake(lanes: Iterable[str]) -> None:
    workers = {
        Step.Lane.SHORT: settings.SHORT_WORKER_CONCURRENCY,
        Step.Lane.ENCODE: settings.WORKER_CONCURRENCY,
    }
    for lane in lanes:
        wake_on_commit(lane, count=workers[Step.Lane(lane)])


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
