"""`bin/up`: run the whole site on this machine until it is told to stop.

Starts PostgreSQL and Valkey (unless DATABASE_URL and REDIS_URL name others), prepares the database, then
starts the site's processes. With `--check` it sends a clip through the public API once everything is up, and
stops.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from videoproc import env
from videoproc.embedded import accounts, caddy, credentials, paths, postgres, services, supervisor, valkey
from videoproc.embedded.answers import Question
from videoproc.embedded.leftovers import Register

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_PORT = 8000
HEALTHY_SECONDS = 90.0
CHECK_SECONDS = 600.0


class CannotStart(Exception):
    """The site cannot run as asked; the text says what to change."""


def main() -> int:
    """Run the site; the exit code of `bin/up`."""
    parser = argparse.ArgumentParser(prog="bin/up", description="Start Videoproc on this machine.")
    parser.add_argument("--check", action="store_true", help="run one job through the API, then stop")
    options = parser.parse_args()
    began = time.monotonic()
    os.umask(0o022)
    try:
        with Run.prepared(check=options.check) as run:
            return run.go(check=options.check, began=began)
    except supervisor.Stopped:
        return 130
    except KNOWN_FAILURES as failure:
        say_error(str(failure))
        return 1


KNOWN_FAILURES = (
    CannotStart,
    accounts.NoAccount,
    caddy.CaddyMissing,
    credentials.UnsafeSecret,
    env.InvalidSetting,
    paths.UnsafeFolder,
    postgres.DatabaseSetupFailed,
    supervisor.StartFailed,
    valkey.ValkeyMissing,
)


@dataclass(slots=True)
class Run:
    """One run of the site."""

    paths: paths.Paths
    account: accounts.Account | None
    database_account: accounts.Account | None
    host: str
    port: int
    care: supervisor.Supervisor

    @classmethod
    @contextlib.contextmanager
    def prepared(cls, *, check: bool) -> Iterator[Run]:
        """Find everything out, take the lock and make the folders; nothing is started yet."""
        where = paths.paths_from_environment(ROOT)
        site, database = accounts.for_site(where.secrets), accounts.for_database(where.postgres)
        if state := paths.move_closed_state(where.var, site):
            say(f"only root can enter {where.var.parent}: the state is in {state}, {where.var} links to it")
            where = paths.paths_from_environment(ROOT)
        where.var.mkdir(parents=True, exist_ok=True)
        with _locked(where.var / "up.lock"):
            host = env.text("VIDEOPROC_HOST")
            port = _free_port(host, check=check)
            paths.make_folders(where, site=site, database=database)
            for folder, account in (
                (where.var, site),
                (where.media, site),
                (ROOT, site),
                (where.var, database),
            ):
                if (closed := paths.unreachable_parent(folder, account)) and account:
                    raise CannotStart(
                        f"The account {account.name} may not enter {closed}, which it needs for {folder}. "
                        "Set VIDEOPROC_VAR or VIDEOPROC_MEDIA to a folder it can reach."
                    )
            care = supervisor.Supervisor(where.log, Register(where.run / "processes.json"), say)
            care.install_signal_handlers()
            if count := care.register.end_earlier():
                say(f"ended {count} processes of a run that was killed")
            yield cls(where, site, database, host, port, care)

    def go(self, *, check: bool, began: float) -> int:
        """Start all, wait for the end (or check), stop all."""
        try:
            site, admin = self._start()
            self._announce(site, admin, time.monotonic() - began)
            if check:
                return self._check(site)
            self.care.run()
            return 0
        finally:
            self._stop()

    def _start(self) -> tuple[services.Site, dict[str, str] | None]:
        public_url = env.http_url("VIDEOPROC_PUBLIC_URL", f"http://127.0.0.1:{self.port}")
        credentials.secret(self.paths.secrets, "secret_key", account=self.account)
        pg, broker = self._database_server(), self._broker_server()
        site = services.Site(
            paths=self.paths,
            account=self.account,
            host=self.host,
            port=self.port,
            public_url=public_url,
            database_url=pg.url if pg else env.text("DATABASE_URL"),
            redis_url=broker.url if broker else env.text("REDIS_URL"),
        )
        # `bin/manage` uses the same servers while the site runs.
        for name, value in (("database_url", site.database_url), ("redis_url", site.redis_url)):
            credentials.write_private(self.paths.secrets / name, f"{value}\n", account=self.account)
        if broker:
            broker.write_configuration()
            self.care.add(services.broker_service(site, broker))
        if pg:
            if postgres.prepare_data(pg, environment=site.plain_environment()):
                say("database made")
            self.care.add(services.database_service(site, pg))
        self.care.wait_until_ready()
        if pg:
            postgres.prepare_role(pg)
        prepared_at = time.monotonic()
        say("preparing database, static files and sample clip …")
        admin = _admin_login(self.care.run_command(services.prepare_command(site)))
        say(f"prepared ({time.monotonic() - prepared_at:.1f} s)")
        self.care.add(*services.site_services(site))
        self.care.wait_until_ready("caddy")
        say(f"first page at {public_url}")
        self.care.wait_until_ready()
        self._wait_until_healthy(site)
        return site, admin

    def _database_server(self) -> postgres.Server | None:
        if env.text("DATABASE_URL"):
            return None
        secrets = self.paths.secrets
        return postgres.Server(
            data=self.paths.postgres,
            sockets=self.paths.postgres_sockets,
            account=self.database_account,
            superuser_password=credentials.secret(secrets, "postgres_superuser", account=self.account),
            password=credentials.secret(secrets, "postgres", account=self.account),
        )

    def _broker_server(self) -> valkey.Server | None:
        if env.text("REDIS_URL"):
            return None
        return valkey.Server(
            data=self.paths.valkey,
            address=self.paths.socket("valkey"),
            configuration=self.paths.secrets / "valkey.conf",
            account=self.account,
            password=credentials.secret(self.paths.secrets, "valkey", account=self.account),
        )

    def _wait_until_healthy(self, site: services.Site) -> None:
        question = Question("/healthz", host=site.public_host, server=self.paths.socket("web"))
        deadline = time.monotonic() + HEALTHY_SECONDS
        while (status := question.status()) != 200:  # noqa: PLR2004 - OK
            self.care.tick()
            if time.monotonic() > deadline:
                raise supervisor.StartFailed(
                    f"/healthz answers {status} instead of 200. See {self.paths.log}/web.log."
                )
            time.sleep(0.2)

    def _announce(self, site: services.Site, admin: dict[str, str] | None, seconds: float) -> None:
        say(f"all ready after {seconds:.1f} s; logs are in {self.paths.log}")
        if admin:
            say("")
            say("First start. This admin login is shown only now:")
            say(f"    user name  {admin['username']}")
            say(f"    password   {admin['password']}")
        say("")
        for title, path in (
            ("Site", "/"),
            ("Admin", "/admin/"),
            ("API docs", "/api/docs"),
            ("Flower", "/flower/"),
        ):
            say(f"{title:<9} {site.public_url}{path}")

    def _check(self, site: services.Site) -> int:
        say("")
        base = site.public_url if caddy.serves_tls(site.public_url) else site.local_url
        command = site.python("check", "videoproc.selfcheck", base, site.public_host, ready=lambda: True)
        code = self.care.run_visible(replace(command, start_seconds=CHECK_SECONDS))
        say("check passed" if code == 0 else "check FAILED")
        return 0 if code == 0 else 1

    def _stop(self) -> None:
        began = time.monotonic()
        if self.care.stop():
            say(f"stopped ({time.monotonic() - began:.1f} s)")


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[IO[str]]:
    """Hold the folder for one run. The lock goes with the process, however it ends."""
    try:
        stream = file.open("a+", encoding="ascii")
    except PermissionError:
        raise CannotStart(
            f"{file.parent} belongs to another account. Start Videoproc as that account, "
            "or set VIDEOPROC_VAR to a folder of your own."
        ) from None
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            stream.seek(0)
            raise CannotStart(
                f"Videoproc is running already with {file.parent} (process {stream.read().strip()}). "
                "Stop it first, or set VIDEOPROC_VAR and PORT to run another one."
            ) from None
        stream.seek(0)
        stream.truncate()
        stream.write(f"{os.getpid()}\n")
        stream.flush()
        yield stream


def _free_port(host: str, *, check: bool) -> int:
    """PORT if nobody listens there. A check without PORT may take any free one. Raises CannotStart."""
    port = env.integer("PORT", DEFAULT_PORT, minimum=1, maximum=65535)
    bind = host or "127.0.0.1"
    if _is_free(bind, port):
        return port
    if check and not env.text("PORT"):
        with socket.socket() as probe:
            probe.bind((bind, 0))
            chosen = int(probe.getsockname()[1])
        say(f"port {port} is taken; checking on {chosen}")
        return chosen
    raise CannotStart(
        f"Port {port} on {bind} is taken by another program. "
        "Set PORT to a free one, for example: PORT=8080 bin/up"
    )


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As the edge itself will: connections of an earlier run in TIME_WAIT do not matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def _admin_login(output: str) -> dict[str, str] | None:
    lines = output.strip().splitlines()
    try:
        login = json.loads(lines[-1]) if lines else None
    except ValueError:
        return None
    return login if isinstance(login, dict) and {"username", "password"} <= login.keys() else None


def say(text: str) -> None:
    """One line for the person at the terminal; a terminal that is gone must not stop the site."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.write(f"  {text}".rstrip() + "\n")
        sys.stdout.flush()


def say_error(text: str) -> None:
    """One line about why it ends."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"\nVideoproc: {text}\n")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
