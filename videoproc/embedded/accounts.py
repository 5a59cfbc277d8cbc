"""Which account each process runs under.

An ordinary user runs everything as itself. Root gives up its rights for each process: the site's processes
read what strangers upload, and PostgreSQL refuses to run as root. No account is ever added to the system.
"""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

SITE_ACCOUNTS = ("videoproc", "www-data", "nobody")
DATABASE_ACCOUNTS = ("postgres", "nobody")


class NoAccount(Exception):
    """No account that a process could run under exists on this machine."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the operating system, with its main group."""

    name: str
    uid: int
    gid: int

    @property
    def group(self) -> str:
        return grp.getgrgid(self.gid).gr_name


def for_site(state: Path) -> Account | None:
    """The account of web, uploads, workers, Caddy and Valkey; None: the one that is running already.

    `state` is a folder that an earlier run made, if there was one: its owner stays the account.
    Raises NoAccount.
    """
    if os.geteuid() != 0:
        return None
    if wanted := os.environ.get("VIDEOPROC_USER", "").strip():
        return _named(wanted)
    return _owner(state) or _first(SITE_ACCOUNTS)


def for_database(data: Path) -> Account | None:
    """The account of PostgreSQL; None: the one that is running already. Raises NoAccount."""
    if os.geteuid() != 0:
        return None
    return _owner(data) or _first(DATABASE_ACCOUNTS)


def _named(name: str) -> Account:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise NoAccount(f"VIDEOPROC_USER={name}: there is no such account on this machine.") from None
    if entry.pw_uid == 0:
        raise NoAccount("VIDEOPROC_USER must not be root: the site handles files from strangers.")
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _first(names: tuple[str, ...]) -> Account:
    for name in names:
        try:
            return _named(name)
        except NoAccount:
            continue
    raise NoAccount(
        f"None of the accounts {', '.join(names)} exists. Set VIDEOPROC_USER to an unprivileged account, "
        "or start Videoproc as an ordinary user."
    )


def _owner(folder: Path) -> Account | None:
    try:
        uid = folder.stat().st_uid
        return _named(pwd.getpwuid(uid).pw_name) if uid else None
    except (FileNotFoundError, KeyError):
        return None
