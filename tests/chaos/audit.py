"""PostgreSQL's own record of what happened: triggers write down each change of jobs, steps and outputs.

It is independent of the code under test, in the same transactions, and survives every crash that they
survive.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import psycopg

_INSTALL = """
CREATE TABLE chaos_audit (
    id bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind text NOT NULL, row_id text NOT NULL, job text, before text, after text, token text, result text,
    attempt integer, worker text);

CREATE FUNCTION chaos_note_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_audit (kind, row_id, job, before, after) VALUES (
        'job', NEW.id, NEW.id, CASE TG_OP WHEN 'UPDATE' THEN OLD.status END, NEW.status);
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_job_made AFTER INSERT ON jobs_job FOR EACH ROW EXECUTE FUNCTION chaos_note_job();
CREATE TRIGGER chaos_job AFTER UPDATE ON jobs_job FOR EACH ROW
    WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION chaos_note_job();

CREATE FUNCTION chaos_note_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_audit (kind, row_id, job, before, after, token, result, attempt, worker) VALUES (
        'step', NEW.id, NEW.job_id, CASE TG_OP WHEN 'UPDATE' THEN OLD.status END, NEW.status,
        CASE WHEN NEW.status = 'active' THEN NEW.lease_token
             WHEN TG_OP = 'UPDATE' THEN OLD.lease_token END,
        NEW.result->>'token', NEW.attempt, NEW.worker);
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_step_made AFTER INSERT ON jobs_step FOR EACH ROW EXECUTE FUNCTION chaos_note_step();
CREATE TRIGGER chaos_step AFTER UPDATE ON jobs_step FOR EACH ROW
    WHEN (OLD.status IS DISTINCT FROM NEW.status OR OLD.lease_token IS DISTINCT FROM NEW.lease_token)
    EXECUTE FUNCTION chaos_note_step();

CREATE FUNCTION chaos_note_output() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO chaos_audit (kind, row_id, before) VALUES ('output', OLD.id, OLD.operation_id);
        RETURN NULL;
    END IF;
    INSERT INTO chaos_audit (kind, row_id, after, job) VALUES ('output', NEW.id, NEW.operation_id, (
        SELECT id FROM jobs_job WHERE operation_id = NEW.operation_id ORDER BY id DESC LIMIT 1));
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_output AFTER INSERT OR DELETE ON videos_output
    FOR EACH ROW EXECUTE FUNCTION chaos_note_output();
"""
# Every change of a state that there may be. A job that has ended never changes.
JOB_MOVES = {
    ("queued", "active"), ("queued", "paused"), ("queued", "cancelled"), ("queued", "failed"),
    ("active", "queued"), ("active", "paused"), ("active", "completed"), ("active", "failed"),
    ("active", "cancelled"), ("paused", "active"), ("paused", "queued"), ("paused", "cancelled"),
    ("paused", "completed"), ("paused", "failed"),
}  # fmt: skip
STEP_MOVES = {
    ("queued", "active"), ("queued", "paused"), ("paused", "queued"), ("blocked", "queued"),
    ("blocked", "paused"), ("active", "done"), ("active", "queued"), ("active", "paused"),
    ("active", "failed"), ("active", "cancelled"), ("queued", "failed"), ("queued", "cancelled"),
    ("paused", "failed"), ("paused", "cancelled"), ("blocked", "failed"), ("blocked", "cancelled"),
    ("done", "queued"), ("done", "paused"),
}  # fmt: skip


class Entry(NamedTuple):
    """One change. `before` is empty for a row that was made."""

    at: float
    kind: str
    row: str
    job: str
    before: str
    after: str
    token: str
    result: str
    attempt: int
    worker: str


def install(database: psycopg.Connection[Any]) -> None:
    """Begins the record, on a site that has done nothing so far."""
    database.execute(_INSTALL)


def entries(database: psycopg.Connection[Any]) -> list[Entry]:
    """The record in its order."""
    rows = database.execute(
        "SELECT extract(epoch FROM at)::float8, kind, row_id, coalesce(job, ''), coalesce(before, ''),"
        " coalesce(after, ''), coalesce(token, ''), coalesce(result, ''), coalesce(attempt, 0),"
        " coalesce(worker, '') FROM chaos_audit ORDER BY id"
    )
    return [Entry(*row) for row in rows]


def moves_wrong(record: list[Entry]) -> list[str]:
    """Changes of state that must not be."""
    found = []
    for entry in record:
        allowed = {"job": JOB_MOVES, "step": STEP_MOVES}.get(entry.kind)
        if allowed is None or not entry.before or entry.before == entry.after:
            continue
        if (entry.before, entry.after) not in allowed:
            found.append(f"{entry.kind} {entry.row} of {entry.job} went from {entry.before} to {entry.after}")
    return found


def published_more_than_once(record: list[Entry]) -> list[str]:
    """Jobs that were completed twice, or whose results were replaced."""
    ends: dict[str, int] = {}
    for entry in record:
        if entry.kind == "job" and entry.after == "completed":
            ends[entry.job] = ends.get(entry.job, 0) + 1
    found = [f"{job} was completed {count} times" for job, count in ends.items() if count > 1]
    taken_back = [entry for entry in record if entry.kind == "output" and entry.before]
    found += [f"output {entry.row} of {entry.before} was shown and taken back" for entry in taken_back]
    return found


def written_by_stale_workers(record: list[Entry]) -> list[str]:
    """Steps that were ended by a claim that did not hold them any more."""
    holder: dict[str, str] = {}
    found = []
    for entry in record:
        if entry.kind != "step":
            continue
        if entry.after == "active":
            holder[entry.row] = entry.token
        elif entry.after == "done" and entry.result != holder.get(entry.row):
            found.append(
                f"step {entry.row} of {entry.job} was ended by the claim {entry.result}, "
                f"but {holder.get(entry.row)} held it"
            )
    return found


def shown_after_the_end(record: list[Entry]) -> list[str]:
    """Outputs that became visible for a job that had been cancelled or had failed."""
    over: dict[str, str] = {}
    found = []
    for entry in record:
        if entry.kind == "job" and entry.after in {"cancelled", "failed"}:
            over[entry.job] = entry.after
        elif entry.kind == "output" and entry.after and entry.job in over:
            found.append(f"output {entry.row} appeared after {entry.job} was {over[entry.job]}")
    return found
