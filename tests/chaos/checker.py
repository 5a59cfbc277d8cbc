"""Was every promise kept? Looks at the site from outside: its database, files, processes and replies."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import psycopg

from tests.chaos import audit, power
from tests.chaos.clips import Look, difference, look_at, sha256
from tests.chaos.nemesis import Window
from tests.chaos.site import ROLES, Site
from tests.chaos.workload import Ledger
from tests.receiver import Request

TERMINAL_SECONDS = 150.0
DELIVERED_SECONDS = 150.0
CANCEL_SECONDS = 5.0
TRIES = 4
MORE_DESCRIPTORS = 40
MORE_MEMORY = 96 * 1024**2
ENDED = {"completed", "failed", "cancelled"}


class Verdict(NamedTuple):
    """One invariant: what broke it, and what was looked at."""

    name: str
    violations: list[str]
    looked_at: str


class Late(NamedTuple):
    """A tool that ran on after a cancel was acknowledged."""

    job: str
    at: float
    tools: list[str]


@dataclass(slots=True)
class Evidence:
    """What the run has gathered for the checker."""

    site: Site
    ledger: Ledger
    looks: Mapping[tuple[str, str, str], Look]
    windows: list[Window]
    before: Mapping[str, tuple[int, int]]
    requests: list[Request]
    secrets: Mapping[str, str]
    cancels_watched: int = 0
    late: list[Late] = field(default_factory=list)


def raw(public_id: str) -> str:
    """The id as PostgreSQL writes it."""
    return str(uuid.UUID(hex=public_id.rpartition("_")[2]))


def resources(site: Site) -> dict[str, tuple[int, int]]:
    """Memory and open files of the processes that live long."""
    found = {}
    for role in ROLES:
        if role == "postgres" or (pid := site.main(role)) is None:
            continue
        process = psutil.Process(pid)
        found[role] = (process.memory_info().rss, process.num_fds())
    return found


_MOVING = """
    SELECT (SELECT count(*) FROM jobs_job WHERE finished_at IS NULL)
        + (SELECT count(*) FROM videos_upload WHERE "offset" = length AND video_id IS NULL)
"""


def wait_until_still(site: Site, *, at_most: float = TERMINAL_SECONDS) -> float:
    """Waits until no job lives and no complete upload waits for its video, or the time is over; how long."""
    begin = time.monotonic()
    while time.monotonic() - begin < at_most:
        try:
            if _value(site, _MOVING) == 0:
                break
        except psycopg.Error:
            pass
        time.sleep(0.5)
    return time.monotonic() - begin


def check(evidence: Evidence) -> list[Verdict]:
    """Every invariant. The site must be healthy and left alone."""
    site = evidence.site
    with site.database() as database:
        record = audit.entries(database)
        verdicts = [
            _ended(evidence, database),
            Verdict(
                "I2 each job ends once, by a way there is",
                audit.published_more_than_once(record) + audit.moves_wrong(record),
                f"{len(record)} changes of state",
            ),
            _results(evidence, database),
            Verdict(
                "I4 nothing was written by a worker that had lost its step",
                audit.written_by_stale_workers(record),
                f"{sum(entry.after == 'done' and entry.kind == 'step' for entry in record)} steps done",
            ),
            _offsets(evidence, database),
            _cancels(evidence, record),
            _webhooks(evidence, database),
        ]
        verdicts.insert(6, _leftovers(evidence, database))
        verdicts.insert(7, _usage(evidence, database))
    verdicts.append(_flat(evidence))
    too_early = power.commits_too_early(site.media, power.lines(site.folder / "disk"))
    verdicts.append(
        Verdict("I11 what a row shows was on the disk before", too_early, "every commit of every worker")
    )
    return verdicts


def _ended(evidence: Evidence, database: psycopg.Connection[Any]) -> Verdict:
    rows = database.execute("SELECT id::text, type, status, attempt, error_code FROM jobs_job").fetchall()
    known = {row[0]: row for row in rows}
    found = [f"job {row[0]} ({row[1]}) is still {row[2]}" for row in rows if row[2] not in ENDED]
    early = [row for row in rows if row[2] == "failed" and row[3] < TRIES]
    # A result that does not pass its check is not made again: one for each lie of a tool is right.
    lies = evidence.site.control / "lies"
    told = len(lies.read_text().splitlines()) if lies.is_file() else 0
    for row in early:
        told -= row[4] == "output_invalid"
        if row[4] != "output_invalid" or told < 0:
            found.append(f"job {row[0]} ({row[1]}) failed with {row[4]} at try {row[3]}")
    for order in evidence.ledger.orders.values():
        row = known.get(raw(order.job))
        if row is None:
            found.append(f"{order.job} was accepted and is lost")
        elif row[2] == "cancelled" and order.job not in evidence.ledger.cancel_asked:
            found.append(f"{order.job} was cancelled, and nobody asked for it")
        elif order.job in evidence.ledger.cancelled and row[2] != "cancelled":
            found.append(f"{order.job} was cancelled with a 2xx and is {row[2]}")
    videos = dict(database.execute("SELECT id::text, status FROM videos_video").fetchall())
    for video in evidence.ledger.videos:
        status = videos.get(raw(video), "lost")
        if status != "ready" and not _gave_up(rows, status):
            found.append(f"{video} was accepted and is {status}")
    waiting = _value(
        evidence.site, 'SELECT count(*) FROM videos_upload WHERE "offset" = length AND video_id IS NULL'
    )
    if waiting:
        found.append(f"{waiting} complete uploads have no video")
    states = {state: sum(row[2] == state for row in rows) for state in sorted(ENDED)}
    seen = ", ".join(f"{count} {state}" for state, count in states.items())
    return Verdict("I1 every accepted job comes to its end", found, f"{len(rows)} jobs: {seen}")


def _gave_up(rows: Iterable[tuple[Any, ...]], status: str) -> bool:
    """An inspection may use up its tries as well."""
    return status == "failed" and any(
        row[1] == "intake" and row[2] == "failed" and row[3] >= TRIES for row in rows
    )


def _results(evidence: Evidence, database: psycopg.Connection[Any]) -> Verdict:
    # Asked for first: a job may end between the two.
    completed = database.execute(
        "SELECT operation_id::text FROM jobs_job WHERE status = 'completed' AND type <> 'intake'"
    ).fetchall()
    rows = database.execute(
        "SELECT o.id::text, o.operation_id::text, o.role, o.size, o.sha256, o.members FROM videos_output o"
    ).fetchall()
    wishes = {raw(order.operation): (order.clip, order.wish) for order in evidence.ledger.orders.values()}
    found: list[str] = []
    compared = 0
    shown = set()
    for output, operation, role, size, digest, members in rows:
        folder = evidence.site.media / "outputs" / f"out_{uuid.UUID(output).hex}"
        shown.add(operation)
        problem = _bytes_wrong(folder, size, digest, members or [])
        if not problem and operation in wishes:
            clip, wish = wishes[operation]
            wanted = evidence.looks.get((clip, wish, role))
            compared += 1
            problem = "nothing to compare it with" if wanted is None else difference(look_of(folder), wanted)
        if problem:
            found.append(f"output {output} ({role} of {wishes.get(operation)}): {problem}")
    found += [
        f"operation {row[0]} is completed and has no result" for row in completed if row[0] not in shown
    ]
    return Verdict(
        "I3 results are those of a site without faults",
        found,
        f"{len(rows)} results by their hashes, {compared} by their pictures and sound",
    )


def _bytes_wrong(folder: Path, size: int, digest: str, members: list[dict[str, Any]]) -> str:
    file = folder / "file"
    if not file.is_file():
        return "its file is not there"
    if not members:
        if file.stat().st_size != size:
            return f"{file.stat().st_size} bytes instead of {size}"
        return "" if sha256(file) == digest else "its bytes are not those that were checked"
    on_disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return "" if on_disk == size else f"{on_disk} bytes instead of {size}"


def look_of(folder: Path) -> Look:
    """A result; of a stream all its media files one after the other."""
    parts = sorted(
        path for path in folder.rglob("*") if path.is_file() and path.suffix in {".mp4", ".m4s", ".ts"}
    )
    looks = [look_at(path) for path in parts or [folder / "file"]]
    return Look(b"".join(look.frames for look in looks), sum(look.samples for look in looks))


def _offsets(evidence: Evidence, database: psycopg.Connection[Any]) -> Verdict:
    rows = database.execute('SELECT id::text, "offset" FROM videos_upload WHERE video_id IS NULL').fetchall()
    found = list(evidence.ledger.complaints)
    for upload, offset in rows:
        path = evidence.site.media / "uploads" / f"upl_{uuid.UUID(upload).hex}"
        size = path.stat().st_size if path.is_file() else -1
        if size < offset:
            found.append(f"upload {upload} counts {offset} bytes and has {size}")
    return Verdict(
        "I5 what a client was told stays true",
        found,
        f"{len(evidence.ledger.videos)} uploads, {len(rows)} unfinished ones, "
        f"{evidence.ledger.keys} repeated keys",
    )


def _cancels(evidence: Evidence, record: list[audit.Entry]) -> Verdict:
    found = audit.shown_after_the_end(record)
    excused = 0
    for late in evidence.late:
        if any(
            window.begin < late.at + CANCEL_SECONDS and window.end > late.at for window in evidence.windows
        ):
            excused += 1
        else:
            found.append(f"{late.tools} still ran {CANCEL_SECONDS:g} s after {late.job} was cancelled")
    looked = f"{len(evidence.ledger.cancelled)} cancels, {evidence.cancels_watched} of them for their tools"
    excuse = f" ({excused} while a worker or PostgreSQL was away)" if excused else ""
    return Verdict("I6 after a cancel nothing appears and nothing runs", found, looked + excuse)


def _leftovers(evidence: Evidence, database: psycopg.Connection[Any]) -> Verdict:
    """After a round of cleaning in which everything is two hours old."""
    site = evidence.site
    found = [f"a tool runs in {where}" for where in site.tools().values()]
    found += [f"process {stray} is nobody's" for stray in site.strays()]
    age_all(site.media, hours=2)
    site.python("from jobs.housekeeping import clean; clean()")
    for kind, prefix, sql in (
        ("uploads", "upl", "SELECT id::text FROM videos_upload WHERE video_id IS NULL"),
        ("videos", "vid", "SELECT id::text FROM videos_video"),
        ("outputs", "out", "SELECT id::text FROM videos_output"),
    ):
        rows = {f"{prefix}_{uuid.UUID(row[0]).hex}" for row in database.execute(sql)}
        folder = site.media / kind
        there = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
        found += [f"{kind}/{name} is there, and no row names it" for name in sorted(there - rows)]
        found += [f"{kind}/{name} is not there, but a row names it" for name in sorted(rows - there)]
    work = site.media / "work"
    scratch = [path for path in work.rglob("*") if path.is_file()] if work.is_dir() else []
    found += [f"{path.relative_to(site.media)} is left over" for path in scratch]
    looked = f"{sum(1 for _ in site.media.rglob('*'))} files and folders, {len(site.family())} processes"
    return Verdict("I7 no process and no file is left over", found, looked)


def age_all(media: Path, *, hours: float) -> None:
    """Makes every file and folder older, as if so much time had passed."""
    then = time.time() - hours * 3600
    for path in sorted(media.rglob("*"), reverse=True):
        os.utime(path, (then, then), follow_symlinks=False)


def _usage(evidence: Evidence, database: psycopg.Connection[Any]) -> Verdict:
    told = evidence.site.python(
        "from videos.services.usage import usage_check; "
        "print([(one.owner_id, one.bytes) for one in usage_check()])"
    ).strip()
    found = [] if told.endswith("[]") else [f"the count of what is stored is wrong: {told}"]
    rows = database.execute("SELECT id::text, size FROM videos_video WHERE deleted_at IS NULL").fetchall()
    for video, size in rows:
        path = evidence.site.media / "videos" / f"vid_{uuid.UUID(video).hex}" / "source"
        there = path.stat().st_size if path.is_file() else 0
        if there != size:
            found.append(f"video {video} counts {size} bytes and has {there}")
    return Verdict("I8 usage is what is on the disk", found, f"{len(rows)} originals; results see I3")


def _webhooks(evidence: Evidence, database: psycopg.Connection[Any]) -> Verdict:
    got = {request.headers.get("webhook-id", "") for request in evidence.requests}
    found = [
        f"the message {request.headers.get('webhook-id')} has a wrong signature"
        for request in evidence.requests
        if not _is_signed(request, evidence.secrets)
    ]
    rows = database.execute(
        "SELECT 'evt_' || replace(event_id::text, '-', ''), type, status FROM jobs_webhookdelivery"
    ).fetchall()
    found += [f"{row[1]} {row[0]} is {row[2]}" for row in rows if row[2] != "delivered"]
    found += [f"{row[1]} {row[0]} counts as delivered and never came" for row in rows if row[0] not in got]
    missing = _value(
        evidence.site,
        "SELECT count(*) FROM jobs_job j JOIN jobs_webhook w ON w.owner_id = j.owner_id"
        " WHERE j.queued_at > w.created_at AND j.finished_at IS NOT NULL AND NOT EXISTS ("
        "  SELECT 1 FROM jobs_webhookdelivery d WHERE d.webhook_id = w.id AND d.type = 'job.' || j.status"
        "  AND position(replace(j.id::text, '-', '') IN d.body) > 0)",
    )
    if missing:
        found.append(f"{missing} ends of jobs were told to nobody")
    return Verdict(
        "I9 every message arrives, signed", found, f"{len(rows)} messages, {len(evidence.requests)} requests"
    )


def _is_signed(request: Request, secrets: Mapping[str, str]) -> bool:
    owner = request.line.split()[1].rpartition("/")[2]
    key = base64.b64decode(secrets[owner].removeprefix("whsec_"))
    name, at = request.headers["webhook-id"], request.headers["webhook-timestamp"]
    digest = hmac.digest(key, b"%s.%s.%s" % (name.encode(), at.encode(), request.body), hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}" in request.headers["webhook-signature"].split()


def _flat(evidence: Evidence) -> Verdict:
    after = resources(evidence.site)
    found = []
    for role, (memory, descriptors) in after.items():
        if role not in evidence.before:
            continue
        base_memory, base_descriptors = evidence.before[role]
        if memory > base_memory * 1.5 + MORE_MEMORY:
            found.append(f"{role} grew from {base_memory >> 20} to {memory >> 20} MiB")
        if descriptors > base_descriptors + MORE_DESCRIPTORS:
            found.append(f"{role} has {descriptors} open files, and had {base_descriptors}")
    seen = ", ".join(f"{role} {memory >> 20} MiB {count} files" for role, (memory, count) in after.items())
    return Verdict("I10 memory and open files stay flat", found, seen)


def wait_until_delivered(site: Site) -> None:
    """Waits until no message waits for another try, or the time is over."""
    _poll(lambda: _value(site, "SELECT count(*) FROM jobs_webhookdelivery WHERE status = 'pending'") == 0)


def _poll(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DELIVERED_SECONDS
    while time.monotonic() < end:
        try:
            if condition():
                return
        except psycopg.Error:
            pass
        time.sleep(1)


def _value(site: Site, sql: str) -> Any:
    with site.database() as database:
        row = database.execute(sql).fetchone()
    return None if row is None else row[0]
