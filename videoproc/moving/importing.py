"""Brings an export into a site, empty or not. What is there already stays as it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from jobs.models import Job
from jobs.workspace import import_folder
from users.models import Tier, User
from users.selectors import email_is_taken, username_is_taken
from videoproc.legacy.names import username_variants
from videoproc.moving import files, manifest
from videoproc.moving.collecting import OnProgress
from videoproc.moving.manifest import MovingRefused
from videoproc.moving.tables import TABLES, Table
from videos.models import Asset, Output, Preset, ShippedPreset, Video
from videos.site_presets import presets_ensure
from videos.storage import adopt

_BATCH = 500
Row = dict[str, Any]


@dataclass(slots=True)
class Brought:
    """How many rows of each table came, were here, or could not come; and what is worth knowing."""

    imported: dict[str, int] = field(default_factory=dict)
    already_here: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def as_text(self) -> str:
        lines = [*self.notes, ""] if self.notes else []
        for name, count in self.imported.items():
            here, out = self.already_here[name], self.left_out[name]
            lines.append(f"{name}: {count} imported, {here} here already, {out} left out")
        return "\n".join(lines)


def import_export(folder: Path, *, on_progress: OnProgress) -> Brought:
    """Raises MovingRefused where the folder is no whole export, or another import runs.

    A file is at its place before the row that names it. Stopped in between, the next call goes on; a second
    call changes nothing. Rows whose file did not come along in the export are left out.
    """
    content = manifest.read(folder, "export")
    brought = Brought()
    try:
        with import_folder() as scratch:
            _Import(folder, scratch, content, brought, on_progress).run()
    except BlockingIOError:
        raise MovingRefused("Another import is running.") from None
    except files.Damaged as error:
        raise MovingRefused(str(error)) from error
    return brought


class _Import:
    """One pass over an export."""

    def __init__(
        self,
        folder: Path,
        scratch: Path,
        content: Mapping[str, Any],
        brought: Brought,
        on_progress: OnProgress,
    ) -> None:
        self._folder = folder
        self._scratch = scratch
        self._rows = content["rows"]
        self._brought = brought
        self._on_progress = on_progress
        # In the order of the rows that own them, so one pass over both finds them.
        self._files = groupby(files.listed(folder), key=lambda stored: stored.owner)
        self._next: tuple[str, list[files.Stored]] | None = None
        self._fresh = not (Video.objects.exists() or Job.objects.exists())

    def run(self) -> None:
        if self._fresh and Preset._meta.db_table in self._rows:  # noqa: SLF001 - Django documents it
            # The site's presets come as they were changed there, under the ids they had.
            Preset.objects.filter(owner=None).delete()
            ShippedPreset.objects.all().delete()
        prepare: Mapping[type, Callable[[Row], Row | None]] = {
            User: self._user,
            Video: self._video,
            Output: self._with_files,
            Asset: self._with_files,
        }
        for table in TABLES:
            part = self._rows.get(table.name)
            if part is None:
                continue
            if not table.restored:
                if part["rows"]:
                    note = (
                        f"{part['file']}: {part['rows']} rows are for reading; make such anew where needed."
                    )
                    self._brought.notes.append(note)
                continue
            self._table(table, part, prepare.get(table.model, lambda row: row))
        presets_ensure()

    def _table(self, table: Table, part: Mapping[str, Any], prepare: Callable[[Row], Row | None]) -> None:
        name, total, done = part["file"].removesuffix(".jsonl"), part["rows"], 0
        imported = here = 0
        with (self._folder / part["file"]).open(encoding="utf-8") as lines:
            while texts := list(islice(lines, _BATCH)):
                rows = [row for text in texts if (row := prepare(json.loads(text))) is not None]
                with transaction.atomic():
                    new, old = _insert(table, rows, replace=table.model is Tier and self._fresh)
                imported, here, done = imported + new, here + old, done + len(texts)
                self._on_progress(name, done, total)
        self._brought.imported[name] = imported
        self._brought.already_here[name] = here
        self._brought.left_out[name] = total - imported - here

    def _user(self, row: Row) -> Row:
        """Names and addresses are unique here too; whoever had them first keeps them."""
        if User.objects.filter(pk=row["id"]).exists():
            return row
        if username_is_taken(row["username"]):
            variants = islice(username_variants(row["username"]), 1, None)
            free = next(name for name in variants if not username_is_taken(name))
            note = f"{row['username']} ({row['id']}) is called {free} here: the name is taken"
            self._brought.notes.append(note)
            row["username"] = free
        if email_is_taken(row["email"]):
            note = f"{row['username']} ({row['id']}) has no e-mail address here: {row['email']} is taken"
            self._brought.notes.append(note)
            row["email"] = f"{row['id']}@moved.invalid"
        return row

    def _video(self, row: Row) -> Row | None:
        return self._with_files(row) if files.has_bytes(row) else row

    def _with_files(self, row: Row) -> Row | None:
        """The row, its files being at their places; None where they did not come along."""
        found = self._files_of(row["id"])
        for stored in found:
            self._place(stored)
        return row if found else None

    def _files_of(self, owner: str) -> list[files.Stored]:
        """Both come in the order of kinds and ids, so what is passed over belongs to no row that came."""
        if self._next is None:
            group = next(self._files, None)
            if group is None:
                return []
            self._next = (group[0], list(group[1]))
        if self._next[0] != owner:
            return []
        found, self._next = self._next[1], None
        return found

    def _place(self, stored: files.Stored) -> None:
        target = Path(settings.MEDIA) / stored.path
        if target.is_file() and target.stat().st_size == stored.size:
            return
        copy = self._scratch / stored.owner
        copy.unlink(missing_ok=True)
        try:
            size, digest = files.copy(self._folder / "media" / stored.path, copy)
        except OSError as error:
            raise MovingRefused(str(error)) from error
        if (size, digest) != (stored.size, stored.sha256):
            raise MovingRefused(f"{stored.path} in the export was changed or damaged.")
        adopt(copy, target)


def _insert(table: Table, rows: list[Row], *, replace: bool) -> tuple[int, int]:
    """How many came, and how many were here. Rows that belong to one that is not here do not come."""
    ids, quote = table.ids(), connection.ops.quote_name
    for row in rows:
        for column in table.fields():  # an older export may lack some
            row.setdefault(str(column.column), column.get_default())
        for name in ids:
            if row[name] is not None:
                row[name] = row[name].partition("_")[2]
    columns = [quote(name) for name in table.columns()]
    conditions, values = ["true"], dict(zip(columns, (f"r.{name}" for name in columns), strict=True))
    for child, parent, key, may_be_empty, goes_with_it in table.references():
        name = quote(child)
        there = f"EXISTS (SELECT 1 FROM {quote(parent)} p WHERE p.{quote(key)} = r.{name})"  # noqa: S608 - our names
        if not goes_with_it:
            values[name] = f"CASE WHEN {there} THEN r.{name} END"
        else:
            conditions.append(f"(r.{name} IS NULL OR {there})" if may_be_empty else there)
    rows_given = f"json_populate_recordset(NULL::{quote(table.name)}, %s::json) WITH ORDINALITY r"
    source = f"FROM {rows_given} WHERE {' AND '.join(conditions)}"
    action = "DO NOTHING"
    if replace:
        action = f"(name) DO UPDATE SET {', '.join(f'{name} = EXCLUDED.{name}' for name in columns)}"
    data = json.dumps(rows, ensure_ascii=False, default=str)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) {source}", [data])
        (possible,) = cursor.fetchone()
        cursor.execute(
            f"INSERT INTO {quote(table.name)} ({', '.join(columns)}) "
            f"SELECT {', '.join(values.values())} {source} ORDER BY r.ordinality ON CONFLICT {action}",
            [data],
        )
        return cursor.rowcount, possible - cursor.rowcount
