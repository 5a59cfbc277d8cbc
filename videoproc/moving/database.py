"""PostgreSQL's own programs: the rows of a snapshot as SQL, and back in one transaction."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from django.db import connection
from psycopg.conninfo import make_conninfo

from videoproc.embedded.postgres import DatabaseSetupFailed, binary
from videoproc.moving.manifest import MovingRefused

DUMP = "database.sql.gz"
_TRIES = 3
_LOCK_SECONDS = 60
_TLS = ("sslmode", "sslrootcert", "sslcert", "sslkey")
# All that is there goes and all of the backup comes, or nothing happens. `pg_database_owner` owns the schema
# of a new database too.
_BEFORE = f"""\\set ON_ERROR_STOP on
BEGIN;
SET LOCAL lock_timeout = '{_LOCK_SECONDS}s';
SET LOCAL client_min_messages = warning;
DROP SCHEMA public CASCADE;
CREATE SCHEMA public;
ALTER SCHEMA public OWNER TO pg_database_owner;
GRANT USAGE ON SCHEMA public TO PUBLIC;
"""
_AFTER = "\nCOMMIT;\n"


def dump(target: Path, *, snapshot: str) -> None:
    """The whole database as gzipped SQL, as of an exported snapshot. Raises MovingRefused."""
    argv = [
        _program("pg_dump"), "--no-password", "--format=plain", "--compress=gzip:6",
        "--no-owner", "--no-privileges", "--no-comments",
        f"--snapshot={snapshot}", f"--file={target}", f"--dbname={_address()}",
    ]  # fmt: skip
    done = subprocess.run(argv, check=False, capture_output=True, text=True, env=_environment())  # noqa: S603 - PostgreSQL's
    if done.returncode != 0:
        raise MovingRefused(f"pg_dump failed: {done.stderr.strip()}")


def load(dump_file: Path) -> None:
    """Put the database of a backup in place of this one, in one transaction. Raises MovingRefused.

    Processes of the site may be connected; where their locks cross ours it is tried again.
    """
    for left in reversed(range(_TRIES)):
        error = _load(dump_file)
        if not error:
            return
        if not left or not ("deadlock" in error or "lock timeout" in error):
            raise MovingRefused(f"The database was left as it was. psql says: {error}")


def _load(dump_file: Path) -> str:
    """What went wrong; empty where nothing did."""
    argv = [_program("psql"), "--no-psqlrc", "--quiet", "--no-password", f"--dbname={_address()}"]
    with tempfile.TemporaryFile() as complaints:
        child = subprocess.Popen(  # noqa: S603 - PostgreSQL's
            argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=complaints, env=_environment()
        )
        assert child.stdin is not None  # noqa: S101 - it was asked for as a pipe
        try:
            with gzip.open(dump_file) as script:
                child.stdin.write(_BEFORE.encode())
                shutil.copyfileobj(script, child.stdin)
                # Without this line nothing of it happens, so a dump that breaks off changes nothing.
                child.stdin.write(_AFTER.encode())
            child.stdin.close()
        except BrokenPipeError:
            pass  # psql stopped at an error and says which
        except BaseException:
            child.kill()
            raise
        finally:
            code = child.wait()
        complaints.seek(0)
        said = complaints.read().decode(errors="replace").strip()
    return "" if code == 0 else said or f"exit status {code}"


def _program(name: str) -> str:
    try:
        return str(binary(name))
    except DatabaseSetupFailed as error:
        raise MovingRefused(str(error)) from error


def _address() -> str:
    settings = connection.settings_dict
    options = {name: settings["OPTIONS"][name] for name in _TLS if name in settings["OPTIONS"]}
    parts = {"host": settings["HOST"], "port": settings["PORT"], "user": settings["USER"], **options}
    return make_conninfo(
        "", dbname=settings["NAME"], **{name: value for name, value in parts.items() if value}
    )


def _environment() -> dict[str, str]:
    """The password is in no list of processes."""
    return {**os.environ, "PGPASSWORD": connection.settings_dict["PASSWORD"] or "", "PGTZ": "UTC"}
