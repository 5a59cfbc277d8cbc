"""Keeps the count of what each owner stores short, and checks it against the rows that it counts."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection, transaction

_LOCK = 0x76_69_64_65_6F_03  # any number of our own

# In one statement, so that no reader ever sees a change twice or not at all.
_FOLD = """
    WITH gone AS (
        DELETE FROM videos_storagechange WHERE owner_id IN (
            SELECT owner_id FROM videos_storagechange GROUP BY owner_id
            HAVING count(*) > 1 OR sum(bytes) = 0)
        RETURNING owner_id, bytes),
    kept AS (
        INSERT INTO videos_storagechange (owner_id, bytes)
        SELECT owner_id, sum(bytes) FROM gone GROUP BY owner_id HAVING sum(bytes) <> 0
        RETURNING 1)
    SELECT (SELECT count(*) FROM gone) - (SELECT count(*) FROM kept)
"""
# What is stored less what the changes add up to. One snapshot for both, so nobody has to stop writing.
_DIFFERENCES = """
    SELECT owner_id, sum(bytes)::bigint FROM (
        SELECT owner_id, size AS bytes FROM videos_video WHERE deleted_at IS NULL AND sha256 = ''
        UNION ALL
        SELECT owner_id, size FROM videos_video WHERE deleted_at IS NULL AND sha256 <> ''
            GROUP BY owner_id, sha256, size
        UNION ALL
        SELECT video.owner_id, result.size FROM videos_output result
            JOIN videos_operation operation ON operation.id = result.operation_id
            JOIN videos_video video ON video.id = operation.video_id AND video.deleted_at IS NULL
        UNION ALL
        SELECT owner_id, coalesce(length, "offset") FROM videos_upload WHERE video_id IS NULL
        UNION ALL
        SELECT owner_id, -bytes FROM videos_storagechange
    ) AS entry GROUP BY owner_id HAVING sum(bytes) <> 0
"""
_REPAIR = f"INSERT INTO videos_storagechange (owner_id, bytes) {_DIFFERENCES} RETURNING owner_id, bytes"


@dataclass(frozen=True, slots=True)
class Difference:
    """So many bytes are stored that were not counted; negative where too many were."""

    owner_id: str
    bytes: int


def usage_fold() -> int:
    """Turns the changes of each owner into one row, or none where nothing is stored; how many rows went.

    Safe beside everything else: what two rounds both see, only one of them takes.
    """
    with connection.cursor() as cursor:
        cursor.execute(_FOLD)
        return int(cursor.fetchone()[0])


@transaction.atomic
def usage_check(*, repair: bool = False) -> list[Difference]:
    """Owners whose usage is not the sum of what they store; with `repair` it is afterwards.

    Reads every video, output and upload, so not for a request. Differences come from triggers that were
    switched off, such as by a restore of single tables.
    """
    with connection.cursor() as cursor:
        # Two repairs at once would both add the same difference.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        cursor.execute(_REPAIR if repair else _DIFFERENCES)
        return [Difference(f"usr_{owner.hex}", count) for owner, count in cursor.fetchall()]
