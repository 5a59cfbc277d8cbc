"""The whole import, from the folders to the report."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime

from jobs.workspace import import_folder
from users.models import User
from videoproc.legacy.accounts import Accounts, AccountsReader, sessions_read, users_write
from videoproc.legacy.backup import backup_make
from videoproc.legacy.library import LibraryReader, LibraryWriter
from videoproc.legacy.report import Report
from videoproc.legacy.tree import ImportRefused, Tree
from videos.selectors import storage_usage

OnProgress = Callable[[str, int, int], None]


def import_all(tree: Tree, *, dry_run: bool, on_progress: OnProgress) -> Report:
    """Bring everything across that is not here yet. `on_progress` is told the stage, how many, of how many.

    Raises ImportRefused where the folders are not an original's, cannot be read or backed up, and while
    another import runs. What is wrong with single records is in the report.
    """
    began = time.monotonic()
    unusable = tree.missing()
    if unusable is not None:
        raise ImportRefused(unusable)
    report = Report(
        run=datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f"), dry_run=dry_run, source=str(tree.data.parent)
    )
    try:
        _import(tree, report, on_progress)
    except OSError as error:
        raise ImportRefused(str(error)) from error
    report.seconds = time.monotonic() - began
    return report


def _import(tree: Tree, report: Report, on_progress: OnProgress) -> None:
    workers = os.cpu_count() or 1
    with ExitStack() as stack:
        scratch = None
        if not report.dry_run:
            try:
                scratch = stack.enter_context(import_folder())
            except BlockingIOError:
                raise ImportRefused("Another import is running.") from None
            backup, report.backup_is_new = backup_make(
                tree, report.run, lambda done, total: on_progress("backup", done, total)
            )
            report.backup = str(backup)
        accounts = AccountsReader(report).read(tree.content("users") or b"")
        if report.dry_run:
            report.count("users", "imported", len(accounts.new))
        else:
            users_write(
                accounts,
                report,
                workers=workers,
                on_done=lambda done, total: on_progress("users", done, total),
            )
        sessions = _content(tree, "sessions", report)
        sessions_read(sessions, accounts, report)
        videos = _content(tree, "videos", report)
        new = LibraryReader(tree, accounts, report).read(videos) if videos is not None else []
        writer = LibraryWriter(tree, report, scratch=scratch, workers=workers)
        writer.write(new, lambda done, total: on_progress("videos", done, total))
        _quotas(accounts, report)


def _content(tree: Tree, name: str, report: Report) -> bytes | None:
    content = tree.content(name)
    if content is None:
        report.tell("broken", name, None, "", "the file is missing")
    return content


def _quotas(accounts: Accounts, report: Report) -> None:
    """An import asks no quota, but the next upload does: say so before its owner finds out."""
    ids = [owner.id for owner in accounts.owners.values() if owner.id is not None]
    for start in range(0, len(ids), 500):
        for user in User.objects.select_related("tier").filter(id__in=ids[start : start + 500]):
            used, quota = storage_usage(user), user.storage_bytes_limit
            if used > quota:
                reason = f"uses {used} bytes of {quota}, so cannot upload until the quota is raised"
                report.tell("note", "users", None, user.username, reason)
