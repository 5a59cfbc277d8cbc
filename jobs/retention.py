"""What goes by age, as the site's settings say. In batches, each a transaction of its own, so that nothing
waits long for a lock; a round that is cut short goes on with the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from jobs.models import Job, SiteSettings
from users.ids import public_id_floor
from users.models import Tier
from videos import storage
from videos.models import Operation, Output, Video
from videos.services.videos import video_trash

BATCH = 500


@dataclass(frozen=True, slots=True)
class Rules:
    """How many days things stay; None: until their owner deletes them."""

    original_days: int | None
    result_days: int | None
    trash_days: int


def rules_of(tier: Tier, settings: SiteSettings) -> Rules:
    """What holds for the accounts of a tier: its own rule where it has one, else the site's."""
    return Rules(
        original_days=tier.original_days or settings.original_days,
        result_days=tier.result_days or settings.result_days,
        trash_days=settings.trash_days,
    )


def retention_apply(settings: SiteSettings) -> dict[str, int]:
    """One round of all rules that are set; how much each removed."""
    originals: dict[int, list[str]] = {}
    results: dict[int, list[str]] = {}
    for tier in Tier.objects.order_by("name"):
        rules = rules_of(tier, settings)
        if rules.original_days:
            originals.setdefault(rules.original_days, []).append(tier.name)
        if rules.result_days:
            results.setdefault(rules.result_days, []).append(tier.name)
    return {
        "originals": sum(originals_retire(timedelta(days=days), tiers) for days, tiers in originals.items()),
        "results": sum(results_remove(timedelta(days=days), tiers) for days, tiers in results.items()),
        "logs": 0 if settings.log_days is None else logs_remove(timedelta(days=settings.log_days)),
    }


def originals_retire(age: timedelta, tiers: Sequence[str] | None = None) -> int:
    """Moves videos to the trash that are older than `age` and have no live job. Read by primary key.

    Where `tiers` are given, only those of their accounts.
    """
    old = Video.objects.filter(pk__lt=public_id_floor("vid", timezone.now() - age), deleted_at=None)
    if tiers is not None:
        old = old.filter(owner__tier__in=tiers)
    live = Job.objects.filter(video=OuterRef("pk"), finished_at=None)
    gone = 0
    while batch := list(old.exclude(Exists(live)).order_by("pk").only("pk")[:BATCH]):
        for video in batch:
            video_trash(video=video)
        gone += len(batch)
    return gone


def results_remove(age: timedelta, tiers: Sequence[str] | None = None) -> int:
    """Removes operations, outputs and files of results older than `age`; the jobs stay as history.

    Where `tiers` are given, only those of their accounts.

    An operation that lost its result must not answer the next equal request, so its row goes too.
    """
    old = Output.objects.filter(pk__lt=public_id_floor("out", timezone.now() - age))
    if tiers is not None:
        old = old.filter(operation__video__owner__tier__in=tiers)
    done = Operation.Status.COMPLETED
    gone = 0
    while True:
        with transaction.atomic():
            of_batch = list(
                old.filter(operation__status=done)
                .order_by("pk")
                .values_list("operation_id", flat=True)[:BATCH]
            )
            operations = Operation.objects.select_for_update(skip_locked=True).filter(
                pk__in=of_batch, status=done
            )
            ids = [operation.pk for operation in operations.only("pk")]
            files = [output.pk for output in Output.objects.filter(operation__in=ids).only("pk")]
            Operation.objects.filter(pk__in=ids).delete()
        for output_id in files:
            storage.output_discard(output_id)
        gone += len(files)
        if not ids:
            return gone


_LOGS = """
    UPDATE jobs_job SET log = '' WHERE id IN (
        SELECT id FROM jobs_job WHERE finished_at < %s AND log <> ''
        ORDER BY finished_at LIMIT %s FOR NO KEY UPDATE SKIP LOCKED)
"""


def logs_remove(age: timedelta) -> int:
    """Empties the logs of jobs that ended longer than `age` ago; index job_log_kept."""
    gone = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_LOGS, [timezone.now() - age, BATCH])
            emptied = int(cursor.rowcount)
        gone += emptied
        if emptied < BATCH:
            return gone
