"""Throw-away PostgreSQL and Valkey for tests.

In code: `with test_servers() as urls:`. Around a command, with DATABASE_URL and REDIS_URL set for it:
`python -m videoproc.embedded.servers -- pytest tests`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from videoproc.embedded import accounts, credentials, postgres, process, valkey

START_SECONDS = 60.0
KEEP_SECONDS = 600.0  # all that is not on the disk yet is written there


class ServerNotReady(Exception):
    """A server ended or stayed silent; the text has the end of its log."""


@dataclass(frozen=True, slots=True)
class Urls:
    """What the site needs to use the servers."""

    database: str
    redis: str


@contextlib.contextmanager
def test_servers(*, settings: Mapping[str, str] | None = None, keep: Path | None = None) -> Iterator[Urls]:  # noqa: PT028 - no test
    """Start both servers in a temporary folder and remove all of it at the end. Nothing is durable.

    `settings` are further ones of PostgreSQL. `keep` is a folder to use instead and to leave behind: another
    call with the same one finds the databases again. A power cut may spoil them.

    Raises ServerNotReady. The servers also end when this process is killed.
    """
    # Unix addresses are short, and the folders of pytest are closed to other accounts: so directly in /tmp.
    folder = keep or Path(tempfile.mkdtemp(prefix="vp-", dir=_short_temporary_folder()))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    site, database = accounts.for_site(folder), accounts.for_database(folder)
    children: list[subprocess.Popen[bytes]] = []
    try:
        pg = postgres.Server(
            data=folder / "postgres",
            sockets=_folder(folder / "pg", database),
            account=database,
            superuser_password=credentials.secret(folder, "superuser-password", account=None),
            password=credentials.secret(folder, "password", account=None),
            durable=False,
            settings=settings or {},
        )
        environment = {**os.environ, "HOME": str(folder)}
        postgres.prepare_data(pg, environment=environment)
        broker_folder = _folder(folder / "valkey", site)
        broker = valkey.Server(
            data=broker_folder,
            address=broker_folder / "valkey.sock",
            configuration=broker_folder / "valkey.conf",
            account=site,
            password=secrets.token_urlsafe(16),
            durable=False,
        )
        broker.write_configuration()
        for argv, account, ready, death in (
            (pg.argv(), database, pg.is_ready, signal.SIGQUIT),
            (broker.argv(), site, broker.is_ready, signal.SIGKILL),
        ):
            log = folder / f"{Path(argv[0]).name}.log"
            with log.open("wb") as output:
                child = process.start(
                    argv,
                    environment=environment,
                    account=account,
                    folder=folder,
                    output=output,
                    death_signal=death,
                    umask=0o077,
                )
            children.append(child)
            _wait(child, ready, log)
        postgres.prepare_role(pg)
        yield Urls(database=pg.url, redis=broker.url)
    finally:
        for child in reversed(children):
            # What is not kept is not put in order: PostgreSQL's "immediate", else its "fast", then the end.
            death = signal.SIGQUIT if keep is None else signal.SIGINT
            process.signal_group(child, death if child is children[0] else signal.SIGKILL)
            child.wait(timeout=30 if keep is None else KEEP_SECONDS)
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def _short_temporary_folder() -> Path:
    folder = Path(tempfile.gettempdir())
    return folder if len(str(folder)) < 40 else Path("/tmp")  # noqa: PLR2004, S108 - mkdtemp makes it private


def _folder(folder: Path, account: accounts.Account | None) -> Path:
    folder.mkdir(mode=0o755, exist_ok=True)
    if account is not None:
        os.chown(folder, account.uid, account.gid)
    return folder


def _wait(child: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if child.poll() is not None or time.monotonic() > deadline:
            raise ServerNotReady(f"{log.stem} did not start:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.02)


def main(arguments: list[str]) -> int:
    """Run a command with the servers; its exit code is ours."""
    command = arguments[1:] if arguments[:1] == ["--"] else arguments
    with test_servers() as urls:
        environment = {**os.environ, "DATABASE_URL": urls.database, "REDIS_URL": urls.redis}
        child = process.start(
            command, environment=environment, death_signal=signal.SIGTERM, umask=0o022, own_group=False
        )
        # A Ctrl-C reaches the command too; it decides, and we clean up after it.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda received, _frame: child.send_signal(received))
        return child.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
