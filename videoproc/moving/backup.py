"""Backup and restore of a whole site: rows and files of one moment, while it runs."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader

from jobs.models import Job
from jobs.workspace import import_folder
from users.models import User
from videoproc.moving import files, manifest
from videoproc.moving.collecting import OnProgress, collect, note_wanted
from videoproc.moving.database import DUMP, dump, load
from videoproc.moving.exporting import snapshot_begin
from videoproc.moving.manifest import MovingRefused
from videos.models import Asset, Output, Upload, Video
from videos.storage import adopt, is_there

KEY = "secret_key"


def backup_make(folder: Path, *, on_progress: OnProgress) -> dict[str, Any]:
    """Returns the manifest. Raises MovingRefused and OSError.

    The rows are of one moment. Files are never written again once a row names them, so they are taken after
    it; one that was purged in between is noted as gone, and a restore leaves its row out.
    """
    manifest.target_prepare(folder)
    with transaction.atomic(durable=True):
        snapshot_begin()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_export_snapshot()")
            (snapshot,) = cursor.fetchone()
        dump(folder / DUMP, snapshot=snapshot)
        on_progress("database", 1, 1)
        counts = {model.__name__: model.objects.count() for model in (User, Video, Output, Job)}
        migrations = sorted(".".join(key) for key in MigrationLoader(connection).applied_migrations)
        wanted = note_wanted(folder, uploads=True)
    collected = collect(folder, wanted, link=True, on_progress=on_progress)
    key = os.open(folder / KEY, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(key, "w", encoding="utf-8") as file:
        file.write(settings.SECRET_KEY)
    rows = {"database": {"file": DUMP, "sha256": files.sha256_of(folder / DUMP)}}
    more = {"rows": rows, "counts": counts, "migrations": migrations, "key": _fingerprint()}
    return manifest.write(folder, "backup", collected, **more)


def backup_restore(folder: Path, *, replace: bool, on_progress: OnProgress) -> list[str]:
    """Put the site of a backup in place of this one; returns what is worth knowing. Raises MovingRefused.

    Files first, each checked, then all rows in one transaction: stopped before that, this site is as it was,
    and its sweep takes the files again. `replace` allows that there is a site with data here; its files go
    with the next sweeps.
    """
    content = manifest.read(folder, "backup")
    _refuse_newer(content["migrations"])
    if not replace and site_has_data():
        raise MovingRefused(
            "This site has data, and all of it would be replaced. Back it up, then say --replace."
        )
    total = content["files"]["count"]
    try:
        with import_folder() as scratch:
            for done, stored in enumerate(files.listed(folder), 1):
                _place(folder, stored, scratch)
                on_progress("files", done, total)
            load(folder / DUMP)
            on_progress("database", 1, 1)
            # A sweep that ran meanwhile took files that had no row yet.
            for stored in files.listed(folder):
                if not is_there(Path(settings.MEDIA) / stored.path, stored.size):
                    _place(folder, stored, scratch)
    except BlockingIOError:
        raise MovingRefused("An import or another restore is running.") from None
    except (files.Damaged, OSError) as error:
        raise MovingRefused(str(error)) from error
    call_command("migrate", verbosity=0, interactive=False)
    _drop_rows_without_files(content["files"]["gone"])
    return _notes(content)


def site_has_data() -> bool:
    """Whether there is more here than the one account of an administrator that a first start makes."""
    if User._meta.db_table not in connection.introspection.table_names():  # noqa: SLF001 - Django documents it
        return False
    busy = Video.objects.exists() or Job.objects.exists()
    return busy or User.objects.filter(is_superuser=False).exists() or User.objects.count() > 1


def _refuse_newer(migrations: list[str]) -> None:
    known = MigrationLoader(None, ignore_no_migrations=True).disk_migrations or {}
    unknown = set(migrations) - {".".join(key) for key in known}
    if unknown:
        names = ", ".join(sorted(unknown))
        raise MovingRefused(f"The backup is of a newer version, with {names}. Update this site first.")


def _place(folder: Path, stored: files.Stored, scratch: Path) -> None:
    """Copies, never links: what happens to this site must not reach into the backup."""
    target = Path(settings.MEDIA) / stored.path
    if target.is_file() and target.stat().st_size == stored.size and files.sha256_of(target) == stored.sha256:
        return
    copy = scratch / stored.owner
    copy.unlink(missing_ok=True)
    if files.copy(folder / "media" / stored.path, copy) != (stored.size, stored.sha256):
        raise files.Damaged(f"{stored.path} in the backup was changed or damaged.")
    adopt(copy, target)


def _drop_rows_without_files(gone: list[str]) -> None:
    """What was purged, or finished its upload, while the backup ran."""
    for path in gone:
        kind, owner = Path(path).parts[:2]
        if kind == "videos":
            Video.objects.filter(pk=owner).delete()
        elif kind == "outputs":
            Output.objects.filter(pk=owner).delete()
        elif kind == "assets":
            Asset.objects.filter(pk=owner).delete()
        else:
            Upload.objects.filter(pk=owner).delete()


def _notes(content: dict[str, Any]) -> list[str]:
    notes = [f"{name}: {count}" for name, count in content["counts"].items()]
    notes.append(f"Files: {content['files']['count']}, {content['files']['bytes'] / 1e6:.1f} MB")
    notes += [
        f"Was missing or damaged when the backup was made: {path}" for path in content["files"]["damaged"]
    ]
    if content["key"] != _fingerprint():
        notes.append(
            f"The backup was made under another secret key. Put its {KEY} in place of this one's, restart; "
            "otherwise everybody has to sign in again, and what was encrypted with it cannot be read."
        )
    return notes


def _fingerprint() -> str:
    """Tells keys apart without telling the key."""
    return hashlib.sha256(b"videoproc backup " + settings.SECRET_KEY.encode()).hexdigest()[:16]
