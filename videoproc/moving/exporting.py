"""Writes everything: one JSON Lines file for each table, and the files of users."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from videoproc.moving import manifest
from videoproc.moving.collecting import OnProgress, collect, note_wanted
from videoproc.moving.tables import TABLES, Table


def export_all(folder: Path, *, on_progress: OnProgress) -> dict[str, Any]:
    """Returns the manifest. Raises MovingRefused, and OSError where the disk does not do it.

    All rows are of one moment. Files are copied after it; one whose row has gone meanwhile does not come
    along. Stopped in between, the next call with the same folder goes on with the files that are there.
    """
    manifest.target_prepare(folder)
    rows = {}
    with transaction.atomic(durable=True):
        snapshot_begin()
        for done, table in enumerate(TABLES, 1):
            rows[table.name] = _write(table, folder)
            on_progress("tables", done, len(TABLES))
        wanted = note_wanted(folder, uploads=False)
    collected = collect(folder, wanted, link=False, on_progress=on_progress)
    return manifest.write(folder, "export", collected, rows=rows)


def snapshot_begin() -> None:
    """First in a transaction: all its reads see one moment, and it writes nothing."""
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


def _write(table: Table, folder: Path) -> dict[str, Any]:
    digest, count = hashlib.sha256(), 0
    with (
        (folder / table.filename).open("wb") as file,
        connection.cursor() as cursor,
        cursor.copy(f"COPY ({table.select()}) TO STDOUT") as copy,
    ):
        for (text,) in copy.rows():
            line = text.encode() + b"\n"
            digest.update(line)
            file.write(line)
            count += 1
    return {"file": table.filename, "rows": count, "sha256": digest.hexdigest()}
