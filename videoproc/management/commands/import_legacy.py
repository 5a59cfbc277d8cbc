"""`manage.py import_legacy DIR`: moves in from the original application. See docs/migration.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from videoproc.legacy.importing import import_all
from videoproc.legacy.tree import ImportRefused, Tree
from videoproc.legacy.undo import run_undo, runs
from videoproc.progress_lines import ProgressLines


class Command(BaseCommand):
    help = "Imports users, videos and results of the original application from its JSON files."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "folder", metavar="DIR", type=Path, nargs="?", help="the folder with data/ and storage/"
        )
        parser.add_argument("--storage", metavar="DIR", type=Path, help="where storage/ is, if not there")
        parser.add_argument("--dry-run", action="store_true", help="look at everything and write nothing")
        parser.add_argument("--report", metavar="FILE", type=Path, help="write the report as JSON as well")
        parser.add_argument("--undo", metavar="RUN", help="take back what that run made")
        parser.add_argument("--runs", action="store_true", help="list the runs that can be taken back")

    def handle(self, *args: Any, **options: Any) -> None:
        if [options["folder"] is not None, options["undo"] is not None, options["runs"]].count(True) != 1:
            raise CommandError("Name a folder to import, or --undo RUN, or --runs.")
        if options["runs"]:
            self._list()
            return
        progress = ProgressLines(self.stderr)
        try:
            if options["undo"] is not None:
                undone = run_undo(options["undo"], dry_run=options["dry_run"], on_progress=progress)
                text, data = undone.as_text(), undone.as_json()
            else:
                tree = Tree(options["folder"], options["storage"])
                report = import_all(tree, dry_run=options["dry_run"], on_progress=progress)
                text, data = report.as_text(), report.as_json()
        except ImportRefused as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(text)
        if options["report"] is not None:
            self._store(data, options["report"])

    def _list(self) -> None:
        found = runs()
        for run in found:
            began = f"{run.began:%Y-%m-%d %H:%M:%S} UTC"
            self.stdout.write(f"{run.run}  began {began}  users: {run.users}  videos: {run.videos}")
        if not found:
            self.stdout.write("Nothing has moved in, or all of it was taken back.")

    def _store(self, data: dict[str, Any], path: Path) -> None:
        try:
            path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise CommandError(f"All is done, but the report could not be written: {error}") from error
