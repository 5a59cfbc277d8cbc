"""The embedded servers themselves, and what happens when they are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis

from tests.embedded.test_supervisor import is_gone, wait_until
from videoproc.embedded import credentials, postgres, valkey
from videoproc.embedded.servers import test_servers as throw_away_servers

ROOT = Path(__file__).resolve().parents[2]


def test_both_servers_ask_for_a_password_and_give_no_more_than_needed() -> None:
    with throw_away_servers() as urls:
        with psycopg.connect(urls.database) as connection:
            row = connection.execute(
                "SELECT rolsuper, current_setting('listen_addresses'), upper('straße')"
                " FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
        assert row == (False, "", "STRASSE")
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(urls.database.replace("videoproc:", "videoproc:wrong", 1))
        with redis.Redis.from_url(urls.redis) as client:
            assert client.ping()
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert client.config_get("port") == {"port": "0"}
        without_password = urls.redis.replace(urls.redis.split("@")[0], "unix://").replace("@", "")
        with (
            redis.Redis.from_url(without_password) as client,
            pytest.raises(redis.AuthenticationError),
        ):
            client.ping()


def test_a_command_runs_with_the_servers_and_nothing_stays() -> None:
    code = (
        "import os, pathlib, psycopg; url = os.environ['DATABASE_URL']; psycopg.connect(url).close();"
        "print(url.partition('host=')[2])"
    )
    argv = [sys.executable, "-m", "videoproc.embedded.servers", "--", sys.executable, "-c", code]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert not Path(done.stdout.strip()).exists()


def test_the_exit_code_of_the_command_is_passed_on() -> None:
    argv = [
        sys.executable,
        "-m",
        "videoproc.embedded.servers",
        "--",
        sys.executable,
        "-c",
        "raise SystemExit(7)",
    ]
    assert subprocess.run(argv, cwd=ROOT, check=False, timeout=60).returncode == 7


def test_killing_the_owner_ends_both_servers(tmp_path: Path) -> None:
    code = (
        "import pathlib, psutil, sys, time\n"
        "from videoproc.embedded.servers import test_servers\n"
        "with test_servers():\n"
        "    pids = [child.pid for child in psutil.Process().children(recursive=True)]\n"
        "    pathlib.Path(sys.argv[1]).write_text(' '.join(map(str, pids)))\n"
        "    time.sleep(600)\n"
    )
    mark = tmp_path / "pids"
    owner = subprocess.Popen([sys.executable, "-c", code, str(mark)], cwd=ROOT)
    wait_until(lambda: mark.exists() and mark.read_text() != "", 60)
    owner.kill()
    owner.wait(timeout=10)
    pids = [int(pid) for pid in mark.read_text().split()]
    assert len(pids) > 2
    wait_until(lambda: all(is_gone(pid) for pid in pids), 10)


def test_something_else_in_the_data_folder_is_not_touched(tmp_path: Path) -> None:
    data = tmp_path / "postgres"
    data.mkdir()
    (data / "holiday.jpg").touch()
    server = postgres.Server(data, tmp_path, None, "superuser", "password")
    with pytest.raises(postgres.DatabaseSetupFailed, match="not a PostgreSQL cluster"):
        postgres.prepare_data(server, environment=os.environ)
    assert (data / "holiday.jpg").exists()


def test_data_of_another_release_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "postgres"
    data.mkdir()
    (data / "PG_VERSION").write_text("9\n")
    server = postgres.Server(data, tmp_path, None, "superuser", "password")
    with pytest.raises(postgres.DatabaseSetupFailed, match="was made by PostgreSQL 9"):
        postgres.prepare_data(server, environment=os.environ)


def test_the_password_of_valkey_is_in_no_command_line(tmp_path: Path) -> None:
    server = valkey.Server(tmp_path, tmp_path / "s.sock", tmp_path / "valkey.conf", None, "hidden")
    server.write_configuration()
    assert "hidden" not in " ".join(server.argv())
    assert "requirepass hidden" in server.configuration.read_text()
    assert server.configuration.stat().st_mode & 0o777 == 0o600


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    first = credentials.secret(tmp_path, "key", account=None)
    assert credentials.secret(tmp_path, "key", account=None) == first
    assert credentials.secret(tmp_path, "other", account=None) != first
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_a_link_in_place_of_a_secret_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "private").write_text("of root")
    (tmp_path / "key").symlink_to(tmp_path / "private")
    with pytest.raises(OSError, match="symbolic link"):
        credentials.secret(tmp_path, "key", account=None)


def test_signals_reach_the_command(tmp_path: Path) -> None:
    code = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
    mark = tmp_path / "started"
    argv = [sys.executable, "-m", "videoproc.embedded.servers", "--", sys.executable, "-c", code, str(mark)]
    owner = subprocess.Popen(argv, cwd=ROOT)
    wait_until(mark.exists, 60)
    owner.send_signal(signal.SIGTERM)
    assert owner.wait(timeout=30) != 0
