"""What goes by age, as the site's settings say. In batches, each a transaction of its own, so that nothing
waits long for a lock; a round that is cut short goes on with the next."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from jobs.models import Job, SiteSettings
from users.ids import public_id_floor
from videos import storage
from videos.models import Operation, Output, Video
from videos.services.videos import video_trash

BATCH = 500


def retention_apply(settings: SiteSettings) -> dict[str, int]:
    """One round of all rules that are set; how much each removed."""
    return {
        "originals": _days(settings.original_days, originals_retire),
        "results": _days(settings.result_days, results_remove),
        "logs": _days(settings.log_days, logs_remove),
    }


def _days(days: int | None, remove: Callable[[timedelta], int]) -> int:
    return 0 if days is None else remove(timedelta(days=days))


def originals_retire(age: timedelta) -> int:
    """Moves videos to the trash that are older than `age` and have no live job. Read by primary key."""
    old = Video.objects.filter(pk__lt=public_id_floor("vid", timezone.now() - age), deleted_at=None)
    live = Job.objects.filter(video=OuterRef("pk"), finished_at=None)
    gone = 0
    while batch := list(old.exclude(Exists(live)).order_by("pk").only("pk")[:BATCH]):
        for video in batch:
            video_trash(video=video)
        gone += len(batch)
    return gone


def results_remove(age: timedelta) -> int:
    """Removes operations, outputs and files of results older than `age`; the jobs stay as history.

    An operation that lost its result must not answer the next equal request, so its row goes too.
    """
    old = Output.objects.filter(pk__lt=public_id_floor("out", timezone.now() - age))
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
