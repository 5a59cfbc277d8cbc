"""Writes a long history with COPY: users, videos, operations, outputs, jobs.

Everything follows from its number, so two fills are alike. Users are skewed: the first has a twelfth of all
videos. An operation ran five times, which saves operations and outputs, not jobs. Steps are written for live
jobs only: no list and no statistic reads those of ended jobs. Two processes write, each to tables of its own.
"""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.contrib.postgres.fields import ArrayField
from django.db import connection, models

from engine.catalogue import operations
from jobs.models import Job, Step
from users.models import User
from videos.models import Operation, Output, Video

USERS = 2000
LIVE = 200
RUNS = 5
MODELS: tuple[type[models.Model], ...] = (Video, Operation, Output, Job, Step)
TABLES = tuple(model._meta.db_table for model in MODELS)
PLAN = json.dumps({"steps": [{"position": 0, "kind": "resize", "lane": "encode"}], "note": "x" * 60})
LOG = "frame=  240 fps= 60 q=28.0 size=    1024KiB time=00:00:08.00 bitrate=1048.6kbits/s\\n" * 2
_SPREAD = 2654435761  # Knuth's multiplier: neighbours end up far apart
_32 = 1 << 32
TYPES = tuple(operations())
_RANDOM = random.Random(6)  # noqa: S311 - a history, no secret
# Durations from a tenth of a second to hours, one in six over a minute; waits from no time to an hour.
DURATIONS = [max(1, round(math.exp(_RANDOM.gauss(9.5, 1.6)))) for _ in range(8191)]
WAITS = [max(1, round(math.exp(_RANDOM.gauss(6.5, 2.0)))) for _ in range(8191)]


class Part(NamedTuple):
    """Jobs `first` to `last` of all, counted from the newest; their videos; and the end of all time."""

    first: int
    last: int
    videos: range
    end: datetime
    step: timedelta

    def moment(self, number: int) -> datetime:
        return self.end - (number + 1) * self.step


def user_id(number: int) -> str:
    return f"{number + 1:032x}"


def video_id(number: int) -> str:
    return f"01900000000070008{number:015x}"


def owner_of(video: int) -> int:
    """The cube makes the first users busy and the last ones rare."""
    return int(USERS * ((video * _SPREAD % _32) / _32) ** 3)


def users_fill() -> None:
    rows = (
        f"{user_id(n)}\tx\tf\t\t\tf\tt\t2024-01-01\tuser{n}\tuser{n}@example.org\tfree\t2024-01-01"
        for n in range(USERS)
    )
    _copy(
        User,
        "id, password, is_superuser, first_name, last_name, is_staff, is_active, date_joined,"
        " username, email, tier_id, updated_at",
        rows,
    )


def part_fill(part: Part) -> None:
    """Adds the part. Secondary indexes and foreign keys are made anew at the end, as after a restore."""
    with _bare_tables():
        # Making the rows takes as long as storing them, so two processes do it.
        numbers = [part.first, part.last, part.videos.start, part.videos.stop, part.end.timestamp()]
        argv = [sys.executable, "-c", _OTHER, *map(str, [*numbers, part.step / timedelta(microseconds=1)])]
        with subprocess.Popen(argv, env=os.environ) as other:
            jobs_fill(part)
        if other.returncode:
            raise SystemExit("The second process of the fill failed.")


# The process that `part_fill` starts beside itself.
_OTHER = (
    "import django; django.setup(); from tests.bench.history_site.fill import library_main; library_main()"
)


def library_main() -> None:
    first, last, video, video_end = map(int, sys.argv[1:5])
    end = datetime.fromtimestamp(float(sys.argv[5]), UTC)
    step = timedelta(microseconds=float(sys.argv[6]))
    library_fill(Part(first, last, range(video, video_end), end, step))


def library_fill(part: Part) -> None:
    """Videos, operations and outputs of the part."""
    _copy(
        Video,
        "id, owner_id, name, original_filename, status, size, sha256, container, media_info, duration, width,"
        " height, has_thumbnail, created_at, updated_at",
        _videos(part),
    )
    _copy(
        Operation,
        "id, video_id, type, parameters, fingerprint, status, error_code, created_at, updated_at",
        _operations(part),
    )
    _copy(
        Output,
        "id, operation_id, role, filename, content_type, size, sha256, verification, created_at",
        _outputs(part),
    )


def jobs_fill(part: Part) -> None:
    """Jobs of the part, and steps of those that are live."""
    _copy(
        Job,
        "id, owner_id, video_id, operation_id, type, priority, plan, status, progress, attempt, max_attempts,"
        " error_code, error_message, log, queued_at, started_at, finished_at, duration_ms, cpu_seconds,"
        " output_bytes, seq",
        _jobs(part),
    )
    if part.first == 0:
        _copy(Step, "job_id, owner_id, position, kind, lane, priority, needs, status", _steps(part))


def _videos(part: Part) -> Iterator[str]:
    info = '{"format": "mp4"}'
    for n in part.videos:
        yield (
            f"{video_id(n)}\t{user_id(owner_of(n))}\tHoliday {n} by the sea\tIMG_{n}.mov\tready\t"
            f"{n % 10**9}\t"
            f"{n:064x}\tmov\t{info}\t{n % 3600}\t1920\t1080\tt\t2024-01-01\t2024-01-01"
        )


class _Made(NamedTuple):
    number: int
    job: str
    operation: str
    video: int
    type: str
    status: str
    queued: datetime


def _made(part: Part) -> Iterator[_Made]:
    first, count = part.videos.start, len(part.videos)
    # Oldest first, as history is written.
    for n in range(part.last - 1, part.first - 1, -1):
        queued = part.moment(n)
        live = n < LIVE
        head = n if live else n - n % RUNS
        mixed = head * _SPREAD % _32
        chance = n * _SPREAD % _32 % 100
        status = "failed" if chance < 5 else "cancelled" if chance < 8 else "completed"
        if live:
            status = "active" if n % 4 == 0 else "queued"
        stamp = f"{int(queued.timestamp() * 1000):012x}"
        yield _Made(
            n,
            f"{stamp}70008{n:015x}",
            f"{int(part.moment(head).timestamp() * 1000):012x}71008{head:015x}",
            first + mixed % count,
            TYPES[min(mixed >> 8 & 15, mixed >> 16 & 15) % len(TYPES)],
            status,
            queued,
        )


def _heads(part: Part) -> Iterator[_Made]:
    """The last run of each operation."""
    return (made for made in _made(part) if made.number < LIVE or made.number % RUNS == 0)


def _operations(part: Part) -> Iterator[str]:
    states = {"active": "processing", "queued": "pending"}
    for made in _heads(part):
        n = made.number
        code = "worker_lost" if made.status == "failed" else ""
        yield (
            f'{made.operation}\t{video_id(made.video)}\t{made.type}\t{{"width": {n % 2000}}}\t{made.job}\t'
            f"{states.get(made.status, made.status)}\t{code}\t{made.queued}\t{made.queued}"
        )


def _outputs(part: Part) -> Iterator[str]:
    for made in _heads(part):
        n = made.number
        if made.status == "completed":
            yield (
                f"{made.operation[:12]}7200{made.operation[16:]}\t{made.operation}\t{made.type}\t"
                f"Holiday {n}.mp4\tvideo/mp4\t{1000 + n % 10**8}\t"
                f'{n:064x}\t{{"duration": 1}}\t{made.queued}'
            )


def _jobs(part: Part) -> Iterator[str]:
    for made in _made(part):
        n = made.number
        took = DURATIONS[n % 8191]
        started = made.queued + timedelta(milliseconds=WAITS[n % 8191 * 3 % 8191])
        ended = made.status not in {"active", "queued"}
        code, message = ("worker_lost", "The worker went away.") if made.status == "failed" else ("", "")
        yield (
            f"{made.job}\t{user_id(owner_of(made.video))}\t{video_id(made.video)}\t{made.operation}\t"
            f"{made.type}\t5\t"
            f"{PLAN}\t{made.status}\t{100 if ended else 0}\t{1 + (n % 50 == 0)}\t4\t{code}\t{message}\t"
            f"{LOG if ended else ''}\t{made.queued}\t"
            + (f"{started}\t" if made.status != "queued" else "\\N\t")
            + (f"{started + timedelta(milliseconds=took)}\t{took}\t" if ended else "\\N\t\\N\t")
            + f"{took / 500}\t{1000 + n % 10**8 if made.status == 'completed' else 0}\t1000"
        )


def _steps(part: Part) -> Iterator[str]:
    for made in _made(part._replace(last=min(LIVE, part.last))):
        if made.status == "queued":
            owner = user_id(owner_of(made.video))
            lane = "short" if made.number % 2 else "encode"
            yield f"{made.job}\t{owner}\t0\t{made.type}\t{lane}\t5\t{{}}\tqueued"


def _copy(model: type[models.Model], columns: str, rows: Iterable[str]) -> None:
    """Further columns get the defaults of their fields."""
    given = set(columns.split(", "))
    others = {
        str(field.column): _default(field)
        for field in model._meta.concrete_fields
        if field.column not in given
        and not field.null
        and not field.has_db_default()
        and not field.primary_key
    }
    names = ", ".join([columns, *others])
    end = "".join(f"\t{value}" for value in others.values()) + "\n"
    sql = f"COPY {model._meta.db_table} ({names}) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(sql) as copy:
        chunk: list[str] = []
        for row in rows:
            chunk.append(row)
            if len(chunk) == 2000:
                copy.write(end.join([*chunk, ""]))
                chunk.clear()
        if chunk:
            copy.write(end.join([*chunk, ""]))


def _default(field: models.Field[Any, Any]) -> str:
    value = field.get_default()
    if isinstance(field, ArrayField):
        return "{}"
    return json.dumps(value) if isinstance(field, models.JSONField) else str(value)


@contextmanager
def _bare_tables() -> Iterator[None]:
    """Takes away what makes writing slow, and makes it anew. Foreign keys are not checked: we know them."""
    with connection.cursor() as cursor:
        cursor.execute("SET maintenance_work_mem = '1GB'")
        cursor.execute(
            """SELECT conrelid::regclass, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint
            WHERE conrelid = ANY(%s::regclass[]) AND contype IN ('f', 'u') ORDER BY contype DESC""",
            [list(TABLES)],
        )
        constraints = cursor.fetchall()
        for table, name, _ in constraints:
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        cursor.execute(
            """SELECT indexrelid::regclass, pg_get_indexdef(indexrelid) FROM pg_index
            WHERE indrelid = ANY(%s::regclass[]) AND NOT indisprimary""",
            [list(TABLES)],
        )
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f"DROP INDEX {name}")
        for table in TABLES:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield
        for table in TABLES:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        for _, definition in indexes:
            cursor.execute(definition)
        for table, name, definition in constraints:
            unchecked = (
                " NOT VALID" if definition.startswith("FOREIGN KEY") and "NOT VALID" not in definition else ""
            )
            cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}{unchecked}")
