"""`manage.py import_legacy DIR`: moves in from the original application. See docs/migration.md."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from videoproc.legacy.importing import import_all
from videoproc.legacy.report import Report
from videoproc.legacy.tree import ImportRefused, Tree

_SECONDS_BETWEEN_LINES = 1.0


class Command(BaseCommand):
    help = "Imports users, videos and results of the original application from its JSON files."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", metavar="DIR", type=Path, help="the folder with data/ and storage/")
        parser.add_argument("--storage", metavar="DIR", type=Path, help="where storage/ is, if not there")
        parser.add_argument("--dry-run", action="store_true", help="look at everything and write nothing")
        parser.add_argument("--report", metavar="FILE", type=Path, help="write the report as JSON as well")

    def handle(self, *args: Any, **options: Any) -> None:
        tree = Tree(options["folder"], options["storage"])
        try:
            report = import_all(tree, dry_run=options["dry_run"], on_progress=self._progress())
        except ImportRefused as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(report.as_text())
        if options["report"] is not None:
            self._store(report, options["report"])

    def _store(self, report: Report, path: Path) -> None:
        try:
            path.write_text(json.dumps(report.as_json(), indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise CommandError(f"The import is done, but its report could not be written: {error}") from error

    def _progress(self) -> Any:
        """A line on stderr each second, and one at the end of each stage."""
        last = 0.0

        def told(stage: str, done: int, total: int) -> None:
            nonlocal last
            now = time.monotonic()
            if done == total or now - last >= _SECONDS_BETWEEN_LINES:
                last = now
                self.stderr.write(f"{stage}: {done} of {total}")

        return told
