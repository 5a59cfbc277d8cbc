"""`manage.py backup DIR`: rows and files of one moment. See docs/backup.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from videoproc.moving.backup import backup_make
from videoproc.moving.manifest import MovingRefused
from videoproc.progress_lines import ProgressLines


class Command(BaseCommand):
    help = "Backs the whole site up while it runs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "folder", metavar="DIR", type=Path, help="a new or empty folder, or an unfinished one"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            content = backup_make(options["folder"].absolute(), on_progress=ProgressLines(self.stderr))
        except (MovingRefused, OSError) as refusal:
            raise CommandError(str(refusal)) from refusal
        found = content["files"]
        counts = ", ".join(f"{name} {count}" for name, count in content["counts"].items())
        self.stdout.write(
            f"{options['folder']}: {counts}, files {found['count']} ({found['bytes'] / 1e6:.1f} MB)"
        )
        if found["damaged"]:
            damaged = "\n".join(found["damaged"])
            raise CommandError(
                f"The backup is finished without these, which are missing or not whole:\n{damaged}"
            )
