"""Fills, measures, and says how it went."""

from __future__ import annotations

import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from django.core.management import call_command
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from psycopg import connect
from psycopg.conninfo import make_conninfo

from jobs.models import Job
from jobs.rollups import rollups_update
from tests.bench.history_site.cases import PEOPLE, Case, cases
from tests.bench.history_site.fill import TABLES, Part, part_fill, user_id, users_fill
from users.models import User
from videos.paging import place_of
from videos.services.holdings import holdings_check, holdings_fold
from videos.services.usage import usage_check, usage_fold

FULL = 10_000_000
_DEEP = 1000
DAYS = 730
ROUNDS = int(os.environ.get("VIDEOPROC_BENCH_ROUNDS", "8"))
SLOWEST_GROWTH = 2.0
# Twice of next to nothing is still nothing: below this, growth tells of noise.
NOTHING_MS = 5.0
ROOT = Path(__file__).resolve().parents[3]
VAR = Path(os.environ.get("VIDEOPROC_VAR") or ROOT / "var") / "bench"
STATIC = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}


class Timing(NamedTuple):
    """Milliseconds of Django and PostgreSQL together, without the wait for a processor."""

    p50: float
    p95: float


def main() -> None:
    """`fill NAME`, `measure tenth|whole ONLY` or `report ONLY`."""
    command, *rest = sys.argv[1:]
    commands: dict[str, Callable[..., None]] = {"fill": _fill, "measure": _measure, "report": _report}
    commands[command](*rest)


def _fill(tenth_name: str) -> None:
    """A tenth of the rows, of which a copy is kept, then all."""
    jobs = int(os.environ.get("VIDEOPROC_BENCH_JOBS", str(FULL)))
    _timed("tables", lambda: call_command("migrate", verbosity=0))
    users_fill()
    User.objects.create_superuser("staff", "staff@example.org", "x")
    end = datetime.now(UTC)
    step = timedelta(days=DAYS) / jobs
    tenth, videos = jobs // 10, jobs // 10
    parts = [
        Part(0, tenth, range(videos // 10), end, step),
        Part(tenth, jobs, range(videos // 10, videos), end, step),
    ]
    for part in parts:
        _timed(f"fill up to {part.last:,} jobs", lambda part=part: part_fill(part))  # type: ignore[misc]  # a lambda's default
        _timed("roll-ups", _roll_up)
        _timed("what each user has", lambda: (usage_check(repair=True), holdings_check(repair=True)))
        _timed("vacuum", _vacuum)
        _sizes()
        if part.first == 0:
            _timed("copy", lambda: _copy(tenth_name))


def _copy(name: str) -> None:
    """Puts a copy of the database beside it."""
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]  # nobody may be connected to what is copied
    outside = make_conninfo(os.environ["DATABASE_URL"], dbname="postgres")
    with connect(outside, autocommit=True) as server:
        server.execute(
            f"CREATE DATABASE {name} TEMPLATE {connection.settings_dict['NAME']} STRATEGY FILE_COPY"
        )


def _measure(size: str, only: str) -> None:
    _timed("migrations since", lambda: call_command("migrate", verbosity=0))
    rollups_update()
    usage_fold()
    holdings_fold()
    _timed("vacuum", _vacuum)
    _say(f"{size}; load {', '.join(f'{load:.1f}' for load in os.getloadavg())}")
    found = measure(VAR / "history-plans" / size, only)
    VAR.mkdir(parents=True, exist_ok=True)
    (VAR / f"history-{size}.json").write_text(json.dumps(found))


def _report(only: str) -> None:
    found = [
        {
            name: Timing(*timing)
            for name, timing in json.loads((VAR / f"history-{size}.json").read_text()).items()
        }
        for size in ("tenth", "whole")
    ]
    measured = _chosen(only)
    records = _records(measured, *found)
    (VAR / "history.json").write_text(json.dumps(records, indent=1))
    _table(measured, *found)
    missed = [record["case"] for record in records if not record["met"]]
    _say(f"\n{len(missed)} of {len(records)} missed" + "".join(f"\n  {case}" for case in missed))
    sys.exit(1 if missed else 0)


def _chosen(only: str) -> list[Case]:
    return [case for case in cases() if only in case.name]


def measure(plans: Path, only: str = "") -> dict[str, Timing]:
    """Server time of each case, and its plans as files."""
    plans.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC).replace(microsecond=0, tzinfo=None)
    dates = {f"from_{days}": (now - timedelta(days=days)).isoformat() + "Z" for days in (1, 366)}
    dates["from_366"] = (now - timedelta(days=365)).isoformat() + "Z"
    found = {}
    with override_settings(STORAGES=STATIC):
        staff = _client(User.objects.get(username="staff"))
        users = [User.objects.get(pk=f"usr_{user_id(number)}") for number in PEOPLE]
        people, places = [_client(user) for user in users], [_deep_place(user) for user in users]
        for case in _chosen(only):
            clients = [staff] * len(people) if case.staff else people
            paths = [path.format(**dates, deep=place) for path, place in zip(case.paths, places, strict=True)]
            found[case.name] = timing = _clock(case, list(zip(clients, paths, strict=True)))
            _say(f"  {case.name:40}{timing.p50:10.1f}{timing.p95:10.1f} ms")
            _explain(plans, case, clients[0], paths[0])
    return found


def _deep_place(user: User) -> str:
    jobs = list(Job.objects.filter(owner=user).order_by("-id").only("id")[:_DEEP])
    return place_of(jobs[-1]) if jobs else ""


def _client(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def _clock(case: Case, requests: list[tuple[Client, str]]) -> Timing:
    times = []
    # What was there before is no garbage, and not for these requests to look through, as in a server that has
    # been up for a while.
    gc.collect()
    gc.freeze()
    for turn in range(ROUNDS + 1):
        for client, path in requests:
            watch = _Watch()
            with connection.execute_wrapper(watch):
                answer = client.get(path)
            taken = watch.milliseconds()
            if answer.status_code != 200:
                raise SystemExit(
                    f"{case.name}: {path} answered {answer.status_code}: {answer.content[:300]!r}"
                )
            if turn:  # the first round warms templates and the cache of PostgreSQL
                times.append(taken)
    cut = statistics.quantiles(times, n=20, method="inclusive")
    return Timing(statistics.median(times), cut[-1])


class _Watch:
    """Server time from now on: this process's processor time outside of queries, and in queries the clock on
    the wall, which has PostgreSQL's reads and waits in it. Without the time in which either of the two was
    ready and had no processor: so it is the same on a machine that has other things to do."""

    def __init__(self) -> None:
        connection.ensure_connection()
        self._backend = connection.connection.info.backend_pid
        self._began = time.process_time()
        self._own_in_queries = self._in_queries = 0.0

    def __call__(self, execute: Callable[..., Any], *arguments: Any) -> Any:
        own, wall, waited = time.process_time(), time.perf_counter(), self._waited()
        try:
            return execute(*arguments)
        finally:
            self._in_queries += time.perf_counter() - wall - (self._waited() - waited)
            self._own_in_queries += time.process_time() - own

    def milliseconds(self) -> float:
        return (time.process_time() - self._began - self._own_in_queries + self._in_queries) * 1000

    def _waited(self) -> float:
        files = (Path(f"/proc/{process}/schedstat") for process in ("self", self._backend))
        return sum(int(file.read_text().split()[1]) for file in files) / 1e9


def _explain(folder: Path, case: Case, client: Client, path: str) -> None:
    with CaptureQueriesContext(connection) as queries:
        client.get(path)
    texts = []
    for query in queries.captured_queries:
        sql = query["sql"]
        if not sql.lstrip().upper().startswith(("SELECT", "WITH")):
            continue
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN (ANALYZE, BUFFERS) " + sql.replace("%", "%%"), [])
            texts.append(sql + "\n\n" + "\n".join(row[0] for row in cursor.fetchall()))
    name = case.name.replace(" ", "-").replace(",", "")
    (folder / f"{name}.txt").write_text(f"GET {path}\n\n" + "\n\n".join(texts) + "\n")


def _records(
    measured: list[Case], small: dict[str, Timing], large: dict[str, Timing]
) -> list[dict[str, Any]]:
    records = []
    for case in measured:
        before, after = small[case.name], large[case.name]
        growth = after.p50 / before.p50
        records += [
            {
                "case": f"{case.name}, p95",
                "value": round(after.p95, 2),
                "unit": "ms",
                "baseline": round(before.p95, 2),
                "ratio": round(after.p95 / before.p95, 2),
                "target": case.target,
                "met": after.p95 <= case.target,
            },
            {
                "case": f"{case.name}, growth of p50",
                "value": round(after.p50, 2),
                "unit": "ms",
                "baseline": round(before.p50, 2),
                "ratio": round(growth, 2),
                "target": SLOWEST_GROWTH,
                "met": growth < SLOWEST_GROWTH or after.p50 < NOTHING_MS,
            },
        ]
    return records


def _table(measured: list[Case], small: dict[str, Timing], large: dict[str, Timing]) -> None:
    _say(f"\n{'milliseconds':40}{'a tenth':>16}{'all':>18}{'target':>8}{'growth':>8}")
    _say(f"{'':40}{'p50':>8}{'p95':>8}{'p50':>10}{'p95':>8}")
    for case in measured:
        before, after = small[case.name], large[case.name]
        late = after.p95 > case.target or (
            after.p50 >= SLOWEST_GROWTH * before.p50 and after.p50 >= NOTHING_MS
        )
        _say(
            f"{case.name:40}{before.p50:8.1f}{before.p95:8.1f}{after.p50:10.1f}{after.p95:8.1f}"
            f"{case.target:8.0f}{after.p50 / before.p50:8.2f}{'  missed' if late else ''}"
        )


def _roll_up() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE jobs_job")
        cursor.execute("TRUNCATE jobs_rollup, jobs_rollupprogress, jobs_rolluptouch")
    while rollups_update().days_ended:
        pass


def _vacuum() -> None:
    with connection.cursor() as cursor:
        for table in (*TABLES, "jobs_rollup", "users_user"):
            cursor.execute(f"VACUUM ANALYZE {table}")


def _sizes() -> None:
    with connection.cursor() as cursor:
        for table in (*TABLES, "jobs_rollup"):
            cursor.execute(
                """SELECT reltuples::bigint, pg_size_pretty(pg_table_size(oid)),
                    pg_size_pretty(pg_indexes_size(oid)) FROM pg_class WHERE oid = %s::regclass""",
                [table],
            )
            rows, size, indexes = cursor.fetchone()
            _say(f"  {table:20}{rows:>12,} rows {size:>10} and indexes {indexes:>10}")


def _timed(what: str, act: Callable[[], object]) -> None:
    began = time.monotonic()
    act()
    _say(f"{what}: {time.monotonic() - began:.0f} s")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
