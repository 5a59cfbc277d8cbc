"""How long a claim takes where few steps wait, and where 100,000 do. Prints the medians in milliseconds as
JSON."""

from __future__ import annotations

import json
import statistics
import sys
import time

from django.core.management import call_command
from django.db import connection, transaction

from jobs.claiming import step_claim
from jobs.models import Job, Step
from users.models import Priority, User
from videos.models import Video

OWNERS, FEW, MANY, CLAIMS = 50, 1_000, 100_000, 200

# Each owner has a video; what waits is spread over them and over the priorities as on a busy site.
_FILL = """
    WITH owners AS (
        SELECT v.id AS video, v.owner_id AS owner, row_number() OVER (ORDER BY v.id) - 1 AS number
        FROM videos_video v
    ), made AS (
        INSERT INTO jobs_job (id, owner_id, video_id, type, priority, status, progress, attempt, max_attempts,
            error_code, error_message, log, cpu_seconds, output_bytes, seq)
        SELECT gen_random_uuid(), o.owner, o.video, 'resize',
            CASE n %% 10 WHEN 0 THEN %(urgent)s ELSE %(usual)s END, 'queued', 0, 0, 4, '', '', '', 0, 0, 1000
        FROM generate_series(%(first)s, %(last)s) n JOIN owners o ON o.number = n %% %(owners)s
        RETURNING id, owner_id, priority
    )
    INSERT INTO jobs_step (job_id, owner_id, position, kind, lane, priority, needs, status, attempt, worker,
        cpu_seconds, weight, fraction)
    SELECT id, owner_id, 0, 'resize', 'encode', priority, '{}', 'queued', 0, '', 0, 1, 0 FROM made
"""


def main() -> None:
    """Runs in a fresh database."""
    call_command("migrate", verbosity=0)
    for number in range(OWNERS):
        owner = User.objects.create(username=f"owner{number}", email=f"owner{number}@example.org")
        Video.objects.create(owner=owner, name="Clip", status="processing", size=1)
    result = {}
    filled = 0
    for name, rows in (("few", FEW), ("many", MANY)):
        _fill(filled, rows)
        filled = rows
        result[name] = _claim_ms()
    sys.stdout.write(json.dumps(result) + "\n")


def _fill(first: int, rows: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_FILL, _values(first, rows))
        for table in (Job, Step):
            cursor.execute(f"VACUUM ANALYZE {table._meta.db_table}")


def _values(first: int, rows: int) -> dict[str, int]:
    return {
        "first": first + 1,
        "last": rows,
        "owners": OWNERS,
        "urgent": Priority.HIGH,
        "usual": Priority.NORMAL,
    }


def _claim_ms() -> float:
    """Median of whole claims. Each is undone, so that all find the same queue."""
    times = []
    for _ in range(CLAIMS):
        with transaction.atomic():
            began = time.perf_counter()
            claim = step_claim(lane=Step.Lane.ENCODE, worker="bench/1")
            times.append(time.perf_counter() - began)
            assert claim is not None
            transaction.set_rollback(True)
    return 1000 * statistics.median(times)
