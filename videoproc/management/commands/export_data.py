"""`manage.py export_data DIR`: everything as JSON Lines and files. See docs/migration.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from videoproc.moving.exporting import export_all
from videoproc.moving.manifest import MovingRefused
from videoproc.progress_lines import ProgressLines


class Command(BaseCommand):
    help = "Writes accounts, videos, operations, results and job history to a folder, with all files."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "folder", metavar="DIR", type=Path, help="a new or empty folder, or an unfinished one"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            content = export_all(options["folder"].absolute(), on_progress=ProgressLines(self.stderr))
        except (MovingRefused, OSError) as refusal:
            raise CommandError(str(refusal)) from refusal
        for part in content["rows"].values():
            self.stdout.write(f"{part['file']}: {part['rows']}")
        found = content["files"]
        self.stdout.write(f"files: {found['count']}, {found['bytes'] / 1e6:.1f} MB")
        for path in found["gone"]:
            self.stdout.write(f"removed by its owner meanwhile: {path}")
        if found["damaged"]:
            damaged = "\n".join(found["damaged"])
            raise CommandError(
                f"The export is finished without these, which are missing or not whole:\n{damaged}"
            )
