"""`manage.py import_data DIR`: brings an export into this site. See docs/migration.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from videoproc.moving.importing import import_export
from videoproc.moving.manifest import MovingRefused
from videoproc.progress_lines import ProgressLines


class Command(BaseCommand):
    help = "Brings in what export_data wrote; what is here already stays as it is."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", metavar="DIR", type=Path, help="the folder of an export")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            brought = import_export(options["folder"].absolute(), on_progress=ProgressLines(self.stderr))
        except MovingRefused as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(brought.as_text())
