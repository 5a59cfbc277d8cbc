"""Keeps the numbers of what each owner has short, and checks them against the rows that they count."""

from __future__ import annotations

from django.db import connection, transaction

_LOCK = 0x76_69_64_65_6F_04  # any number of our own
_NUMBERS = "sum(count) AS count, sum(bytes) AS bytes, sum(microseconds) AS microseconds"
_NOTHING = "sum(count) = 0 AND sum(bytes) = 0 AND sum(microseconds) = 0"

# In one statement, so that no reader ever sees a change twice or not at all.
_FOLD = f"""
    WITH gone AS (
        DELETE FROM videos_holdingchange WHERE (owner_id, kind, status) IN (
            SELECT owner_id, kind, status FROM videos_holdingchange GROUP BY owner_id, kind, status
            HAVING count(*) > 1 OR {_NOTHING})
        RETURNING owner_id, kind, status, count, bytes, microseconds),
    kept AS (
        INSERT INTO videos_holdingchange (owner_id, kind, status, count, bytes, microseconds)
        SELECT owner_id, kind, status, {_NUMBERS} FROM gone
        GROUP BY owner_id, kind, status HAVING NOT ({_NOTHING})
        RETURNING 1)
    SELECT (SELECT count(*) FROM gone) - (SELECT count(*) FROM kept)
"""  # noqa: S608 - from constants
# What is there less what the changes add up to. One snapshot for both, so nobody has to stop writing.
_DIFFERENCES = f"""
    SELECT owner_id, kind, status, {_NUMBERS} FROM (
        SELECT owner_id, 'video' AS kind, status, 1 AS count, size AS bytes,
            round(coalesce(duration, 0) * 1000000) AS microseconds FROM videos_video
        UNION ALL
        SELECT video.owner_id, 'operation', operation.status, 1, 0, 0 FROM videos_operation operation
            JOIN videos_video video ON video.id = operation.video_id
        UNION ALL
        SELECT video.owner_id, 'output', '', 1, result.size, 0 FROM videos_output result
            JOIN videos_operation operation ON operation.id = result.operation_id
            JOIN videos_video video ON video.id = operation.video_id
        UNION ALL
        SELECT owner_id, kind, status, -count, -bytes, -microseconds FROM videos_holdingchange
    ) AS entry GROUP BY owner_id, kind, status HAVING NOT ({_NOTHING})
"""  # noqa: S608 - the same
_REPAIR = f"""
    INSERT INTO videos_holdingchange (owner_id, kind, status, count, bytes, microseconds) {_DIFFERENCES}
    RETURNING owner_id
"""


def holdings_fold() -> int:
    """Turns the changes of each owner into one row for each kind and state; how many rows went.

    Safe beside everything else: what two rounds both see, only one of them takes.
    """
    with connection.cursor() as cursor:
        cursor.execute(_FOLD)
        return int(cursor.fetchone()[0])


@transaction.atomic
def holdings_check(*, repair: bool = False) -> list[str]:
    """Ids of the owners whose numbers are not those of what they have; with `repair` they are afterwards.

    Reads every video, operation and result, so not for a request. Differences come from triggers that were
    switched off, such as by a restore of single tables.
    """
    with connection.cursor() as cursor:
        # Two repairs at once would both add the same difference.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        cursor.execute(_REPAIR if repair else _DIFFERENCES)
        return sorted({f"usr_{row[0].hex}" for row in cursor.fetchall()})
