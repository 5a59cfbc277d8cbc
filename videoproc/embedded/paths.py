"""Where a site keeps its state, and the modes that keep accounts apart.

    var/postgres/     PostgreSQL's data              database account, 0700
    var/valkey/       append-only file               site account, 0700
    var/caddy/        certificates                   site account, 0700
    var/secrets/      passwords and keys             site account, 0700, files 0600
    var/media/        users' bytes                   site account, 0750
    var/static/       collected static files         site account, 0755
    var/log/          one file for each process      whoever started the site
    var/backups/      copies that the site makes     site account, 0700
    run/site/         sockets of the site            site account, 0700
    run/pg/           socket of PostgreSQL           database account, 0755 (the password guards it)

`run` is var/run, unless the address of a socket in it would not fit into the 107 bytes that Unix allows.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from videoproc.embedded.accounts import Account

# The longest name below the run folder, with room for the lock file PostgreSQL puts beside its socket.
LONGEST_SOCKET = len("/site/uploads.sock")
SOCKET_ADDRESS_BYTES = 100
PLAIN_PATH = re.compile(r"[A-Za-z0-9._/-]+")


class UnsafeFolder(Exception):
    """A folder that this site would have to trust belongs to somebody else."""


# Where root keeps what the site's account could not reach elsewhere.
SHARED = Path("/var/lib/videoproc")


@dataclass(frozen=True, slots=True)
class Paths:
    """All folders of one site."""

    root: Path
    var: Path
    media: Path
    run: Path

    @property
    def site_sockets(self) -> Path:
        return self.run / "site"

    @property
    def postgres_sockets(self) -> Path:
        return self.run / "pg"

    @property
    def postgres(self) -> Path:
        return self.var / "postgres"

    @property
    def valkey(self) -> Path:
        return self.var / "valkey"

    @property
    def caddy(self) -> Path:
        return self.var / "caddy"

    @property
    def secrets(self) -> Path:
        return self.var / "secrets"

    @property
    def static(self) -> Path:
        return self.var / "static"

    @property
    def log(self) -> Path:
        return self.var / "log"

    @property
    def backups(self) -> Path:
        return self.var / "backups"

    @property
    def home(self) -> Path:
        """HOME of the site's processes: the real one may not exist, or be somebody else's."""
        return self.var / "home"

    def socket(self, name: str) -> Path:
        return self.site_sockets / f"{name}.sock"


def paths_from_environment(root: Path) -> Paths:
    """The folders as VIDEOPROC_VAR and VIDEOPROC_MEDIA say, or below `root`."""
    var = Path(os.environ.get("VIDEOPROC_VAR") or root / "var").expanduser().resolve()
    media = Path(os.environ.get("VIDEOPROC_MEDIA") or var / "media").expanduser().resolve()
    return Paths(root=root, var=var, media=media, run=run_folder(var))


def run_folder(var: Path) -> Path:
    """Where the sockets go: var/run if their addresses fit and need no quoting, else a short folder."""
    folder = var / "run"
    if len(os.fsencode(folder)) + LONGEST_SOCKET <= SOCKET_ADDRESS_BYTES and PLAIN_PATH.fullmatch(
        str(folder)
    ):
        return folder
    digest = hashlib.sha256(os.fsencode(var)).hexdigest()[:12]
    return Path(tempfile.gettempdir()).resolve() / f"videoproc-{os.geteuid()}-{digest}"


def make_folders(paths: Paths, *, site: Account | None, database: Account | None) -> None:
    """Make every folder with the right owner and mode. Raises UnsafeFolder."""
    paths.var.mkdir(parents=True, exist_ok=True)
    _owned(paths.var, None, 0o755)
    _owned(paths.run, None, 0o755)
    _owned(paths.log, None, 0o755)
    for folder in (
        paths.secrets, paths.valkey, paths.caddy, paths.home, paths.backups, paths.site_sockets
    ):  # fmt: skip
        _owned(folder, site, 0o700)
    paths.media.parent.mkdir(parents=True, exist_ok=True)
    _owned(paths.media, site, 0o750)
    _owned(paths.static, site, 0o755)
    _owned(paths.postgres_sockets, database, 0o755)


def unreachable_parent(folder: Path, account: Account | None) -> Path | None:
    """The first folder on the way to `folder` that the account may not walk through, if any."""
    if account is None:
        return None
    for parent in reversed([folder, *folder.parents]):
        info = parent.stat()
        if info.st_uid == account.uid:
            allowed = info.st_mode & stat.S_IXUSR
        elif info.st_gid == account.gid:
            allowed = info.st_mode & stat.S_IXGRP
        else:
            allowed = info.st_mode & stat.S_IXOTH
        if not allowed:
            return parent
    return None


def move_closed_state(var: Path, account: Account | None) -> Path | None:
    """Make `var` a link to a new folder below SHARED where the account cannot walk to its own place.

    Returns that folder, or None where `var` can stay, or has content that must not be hidden. Raises
    UnsafeFolder.
    """
    var.parent.mkdir(parents=True, exist_ok=True)
    if unreachable_parent(var.parent, account) is None or (var.exists() and any(var.iterdir())):
        return None
    _owned(SHARED, None, 0o755)
    state = Path(tempfile.mkdtemp(prefix="state-", dir=SHARED))
    if var.exists():
        var.rmdir()
    var.symlink_to(state)
    return state


def _owned(folder: Path, account: Account | None, mode: int) -> None:
    """Make `folder` or take it over. A link, or a folder of a stranger, in a shared place is refused."""
    folder.mkdir(mode=mode, exist_ok=True)
    info = folder.lstat()
    if not stat.S_ISDIR(info.st_mode):
        raise UnsafeFolder(f"{folder} is not a folder. Remove it and start again.")
    if os.geteuid() != 0 and info.st_uid != os.geteuid():
        raise UnsafeFolder(
            f"{folder} belongs to another account (uid {info.st_uid}). Start Videoproc as that account, "
            "or set VIDEOPROC_VAR to a folder of your own."
        )
    if account is not None and info.st_uid != account.uid:
        give_away(folder, account)
    elif account is None and os.geteuid() == 0 and info.st_uid != 0:
        os.chown(folder, 0, 0)
    if stat.S_IMODE(info.st_mode) != mode:
        folder.chmod(mode)


def give_away(folder: Path, account: Account) -> None:
    """Make the account the owner of the folder and of all in it, never following links."""
    os.chown(folder, account.uid, account.gid, follow_symlinks=False)
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(Path(parent, name), account.uid, account.gid, follow_symlinks=False)
