"""Writes a long history with COPY: users, videos, operations, outputs, jobs.

Everything follows from its number, so two fills are alike. Users are skewed: the first has a twelfth of all
videos. An operation ran five times, which saves operations and outputs, not jobs. Steps are written for live
jobs only: no list and no statistic reads those of ended jobs.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection

from engine.catalogue import operations

USERS = 2000
LIVE = 200
RUNS = 5
TABLES = ("videos_video", "videos_operation", "videos_output", "jobs_job", "jobs_step")
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
        f"{user_id(n)}\tx\t\\N\tf\t\t\tf\tt\t2024-01-01\tuser{n}\tuser{n}@example.org\tfree\t2024-01-01"
        for n in range(USERS)
    )
    _copy(
        "users_user",
        "id, password, last_login, is_superuser, first_name, last_name, is_staff, is_active, date_joined,"
        " username, email, tier_id, updated_at",
        rows,
    )


def part_fill(part: Part) -> None:
    """Adds the part. Secondary indexes and foreign keys are made anew at the end, as after a restore."""
    with _bare_tables():
        _copy(
            "videos_video",
            "id, owner_id, name, original_filename, status, error_code, error_message, size, sha256,"
            " container, media_info, duration, width, height, has_thumbnail, created_at, updated_at",
            _videos(part),
        )
        _copy(
            "videos_operation",
            "id, video_id, type, parameters, fingerprint, status, error_code, error_message, created_at,"
            " updated_at",
            _operations(part),
        )
        _copy(
            "videos_output",
            "id, operation_id, role, filename, content_type, size, sha256, verification, created_at",
            _outputs(part),
        )
        _copy(
            "jobs_job",
            "id, owner_id, video_id, operation_id, type, priority, plan, status, progress, attempt,"
            " max_attempts, error_code, error_message, log, queued_at, started_at, finished_at, duration_ms,"
            " cpu_seconds, output_bytes, seq",
            _jobs(part),
        )
        if part.first == 0:
            _copy(
                "jobs_step",
                "job_id, owner_id, position, kind, lane, priority, needs, status, attempt, cpu_seconds,"
                " worker",
                _steps(part),
            )


def _videos(part: Part) -> Iterator[str]:
    info = '{"format": "mp4"}'
    for n in part.videos:
        yield (
            f"{video_id(n)}\t{user_id(owner_of(n))}\tHoliday {n} by the sea\tIMG_{n}.mov\tready\t\t\t"
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
            f"{states.get(made.status, made.status)}\t{code}\t\t{made.queued}\t{made.queued}"
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
            yield f"{made.job}\t{owner}\t0\t{made.type}\t{lane}\t5\t{{}}\tqueued\t0\t0\t"


def _copy(table: str, columns: str, rows: Iterable[str]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
        chunk: list[str] = []
        for row in rows:
            chunk.append(row)
            if len(chunk) == 2000:
                copy.write("\n".join(chunk) + "\n")
                chunk.clear()
        if chunk:
            copy.write("\n".join(chunk) + "\n")


@contextmanager
def _bare_tables() -> Iterator[None]:
    """Takes away what makes writing slow, and makes it anew. Foreign keys are not checked: we know them."""
    with connection.cursor() as cursor:
        cursor.execute("SET maintenance_work_mem = '512MB'")
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
        cursor.execute("ALTER TABLE jobs_job DISABLE TRIGGER USER")
        yield
        cursor.execute("ALTER TABLE jobs_job ENABLE TRIGGER USER")
        for _, definition in indexes:
            cursor.execute(definition)
        for table, name, definition in constraints:
            unchecked = (
                " NOT VALID" if definition.startswith("FOREIGN KEY") and "NOT VALID" not in definition else ""
            )
            cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}{unchecked}")
