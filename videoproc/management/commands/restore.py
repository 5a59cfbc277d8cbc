"""`manage.py restore DIR`: puts the site of a backup in place of this one. See docs/backup.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from videoproc.moving.backup import backup_restore
from videoproc.moving.manifest import MovingRefused
from videoproc.progress_lines import ProgressLines


class Command(BaseCommand):
    help = "Restores a backup into this site."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", metavar="DIR", type=Path, help="the folder of a backup")
        parser.add_argument("--replace", action="store_true", help="also where this site has data")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            notes = backup_restore(
                options["folder"].absolute(),
                replace=options["replace"],
                on_progress=ProgressLines(self.stderr),
            )
        except MovingRefused as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write("\n".join(["Restored.", *notes]))
