"""A backup restores to the same site, whatever went on while it was made."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError
from django.db import connection

from jobs.services import operation_submit
from tests.moving.conftest import Clip, Manage, contents, empty, video_of
from users.models import User
from videoproc.moving import collecting
from videoproc.moving.files import files_named
from videos.models import Output, Upload, Video
from videos.services.videos import videos_purge
from videos.storage import output_path, upload_path


@pytest.fixture
def fresh_site(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of another site: a database without a table, and no files."""
    database = connection.settings_dict
    login = f"{database['USER']}:{quote(database['PASSWORD'], safe='')}"
    name = f"{database['NAME']}_fresh"
    place = f"?host={quote(database['HOST'], safe='')}"
    if database["PORT"]:
        place += f"&port={database['PORT']}"
    with psycopg.connect(f"postgresql://{login}@/postgres{place}", autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        (tmp_path / "fresh" / "media").mkdir(parents=True)
        yield {
            **os.environ,
            "DATABASE_URL": f"postgresql://{login}@/{name}{place}",
            "VIDEOPROC_VAR": str(tmp_path / "fresh"),
            "DJANGO_SETTINGS_MODULE": "videoproc.settings",
        }
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def run(environment: dict[str, str], *words: object) -> str:
    command = [sys.executable, "-W", "ignore", "-m", "django", *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_fresh_site_becomes_the_same(
    site: None, manage: Manage, tmp_path: Path, fresh_site: dict[str, str]
) -> None:
    manage("backup", tmp_path / "backup")
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "backup" / "secret_key").stat().st_mode & 0o777 == 0o600
    said = run(fresh_site, "restore", tmp_path / "backup")
    assert "Restored." in said
    assert "secret key" not in said
    manage("export_data", tmp_path / "here")
    run(fresh_site, "export_data", tmp_path / "there")
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    upload = Upload.objects.get(video=None)
    assert (tmp_path / "fresh" / "media" / "uploads" / upload.id).read_bytes() == b"x" * 400


def whole() -> None:
    """Every file that a row names is there, and is what the row says."""
    for named in files_named(uploads=True):
        content = (Path(settings.MEDIA) / named.path).read_bytes()
        assert named.size in {None, len(content)}
        assert named.sha256 in {"", hashlib.sha256(content).hexdigest()}


@pytest.mark.usefixtures("site")
def test_with_writes_going_on(manage: Manage, tmp_path: Path, alice: User, clip: Clip) -> None:
    going, stop = threading.Event(), threading.Event()
    failed: list[BaseException] = []

    def write() -> None:
        folder = tmp_path / "writer"
        folder.mkdir()
        number = 0
        try:
            while not stop.is_set():
                video = video_of(alice, clip, f"new {number}", folder)
                operation_submit(viewer=alice, video_id=video.id, type="resize", parameters={"width": 80})
                if number % 2:
                    Video.objects.filter(pk=video.pk).update(deleted_at=video.created_at - timedelta(days=9))
                    videos_purge()
                number += 1
                if number > 3:
                    going.set()
        except BaseException as error:
            failed.append(error)
            raise
        finally:
            going.set()
            connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        going.wait(30)
        manage("backup", tmp_path / "backup")
    finally:
        stop.set()
        writer.join()
    assert not failed
    later = Video.objects.count()
    manage("restore", tmp_path / "backup", "--replace")
    assert 4 < Video.objects.count() <= later
    whole()
    manage("export_data", tmp_path / "out")


def test_what_was_purged_or_finished_meanwhile(
    site: None,
    manage: Manage,
    media: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between the rows and the files: a purge, and a file that the disk lost."""
    original = collecting.collect
    video = Video.objects.get(name="trashed")
    lost = Output.objects.order_by("pk")[0]

    def collect(*args: object, **options: object) -> object:
        videos_purge(trashed_before=timedelta(0))
        shutil.rmtree(output_path(lost.id).parent)
        return original(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("videoproc.moving.backup.collect", collect)
    with pytest.raises(CommandError, match=lost.id):
        manage("backup", tmp_path / "backup")
    said = manage("restore", tmp_path / "backup", "--replace")
    assert not Video.objects.filter(pk=video.pk).exists()
    assert Output.objects.filter(pk=lost.pk).exists()
    assert f"Was missing or damaged when the backup was made: outputs/{lost.id}/file" in said


def test_a_database_that_does_not_load_changes_nothing(site: None, manage: Manage, tmp_path: Path) -> None:
    manage("backup", tmp_path / "backup")
    dump, manifest = tmp_path / "backup" / "database.sql.gz", tmp_path / "backup" / "manifest.json"
    before = hashlib.sha256(dump.read_bytes()).hexdigest()
    with gzip.open(dump, "wt") as script:
        script.write("CREATE TABLE half (id int);\nSELECT 1 / 0;\n")
    after = hashlib.sha256(dump.read_bytes()).hexdigest()
    manifest.write_text(manifest.read_text().replace(before, after))
    videos = Video.objects.count()
    with pytest.raises(CommandError, match=r"left as it was\. psql says: ERROR: +division by zero"):
        manage("restore", tmp_path / "backup", "--replace")
    assert Video.objects.count() == videos
    assert "half" not in connection.introspection.table_names()


def test_data_is_not_overwritten_unless_told(site: None, manage: Manage, media: Path, tmp_path: Path) -> None:
    manage("backup", tmp_path / "backup")
    before = User.objects.get(username="alice").pk
    with pytest.raises(CommandError, match="has data"):
        manage("restore", tmp_path / "backup")
    manifest = tmp_path / "backup" / "manifest.json"
    whole_manifest = manifest.read_text()
    manifest.write_text(whole_manifest.replace('"users.0001_initial"', '"users.9999_later"'))
    with pytest.raises(CommandError, match=r"newer version, with users\.9999_later"):
        manage("restore", tmp_path / "backup", "--replace")
    manifest.write_text(whole_manifest)
    source = next((tmp_path / "backup" / "media" / "videos").rglob("source"))
    content = source.read_bytes()
    source.unlink()
    source.write_bytes(content[:-1] + b"?")
    empty(media)
    with pytest.raises(CommandError, match="changed or damaged"):
        manage("restore", tmp_path / "backup", "--replace")
    assert not User.objects.exists()
    source.write_bytes(content)
    User.objects.create_superuser("admin", "admin@example.org", "x")
    manage("restore", tmp_path / "backup")
    assert User.objects.get(username="alice").pk == before
    assert Upload.objects.filter(video=None).count() == 1
    assert upload_path(Upload.objects.get(video=None).pk).stat().st_size == 400
    whole()
