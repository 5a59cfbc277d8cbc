"""Passwords and keys of a site: made once, kept in var/secrets, readable by the site's account alone."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from videoproc.embedded.accounts import Account


class UnsafeSecret(Exception):
    """A file of secrets is not the site account's own."""


def secret(folder: Path, name: str, *, account: Account | None) -> str:
    """The secret of that name; made of 256 random bits if there is none yet."""
    file = folder / name
    if value := _read_private(file, account=account):
        return value
    value = secrets.token_urlsafe(32)
    write_private(file, value + "\n", account=account)
    return value


def _read_private(file: Path, *, account: Account | None) -> str:
    # The folder is the site account's, and root may be reading: a link planted there must not make it
    # read a file of root's.
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return ""
    with os.fdopen(descriptor, encoding="ascii") as stream:
        if os.fstat(descriptor).st_uid != (account.uid if account else os.geteuid()):
            raise UnsafeSecret(f"{file} belongs to another account. Remove it, or give it back.")
        return stream.read().strip()


def write_private(file: Path, content: str, *, account: Account | None) -> None:
    """Put `content` into a file of mode 0600 in one move: a reader never sees a part of it."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    if account is not None:
        os.chown(draft, account.uid, account.gid)
    draft.replace(file)
