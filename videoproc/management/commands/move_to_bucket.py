"""`manage.py move_to_bucket [--read-back]`: takes the media of a site into its bucket (docs/storage.md)."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from problems import Problem
from videoproc.moving.manifest import MovingRefused
from videoproc.moving.to_bucket import bucket_fill
from videoproc.progress_lines import ProgressLines


class Command(BaseCommand):
    help = "Puts every file that a row names into the site's bucket; goes on where it was cut short."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--read-back", action="store_true", help="read each file from the bucket and compare its checksum"
        )

    def handle(self, *args: Any, read_back: bool, **options: Any) -> None:
        try:
            moved = bucket_fill(read_back=read_back, on_progress=ProgressLines(self.stderr))
        except (MovingRefused, OSError) as refusal:
            raise CommandError(str(refusal)) from refusal
        except Problem as problem:
            raise CommandError(f"{problem.detail} {problem.hint}") from problem
        self.stdout.write(f"In the bucket: {moved.count} files ({moved.bytes / 1e6:.1f} MB)")
        if moved.damaged:
            names = "\n".join(moved.damaged)
            raise CommandError(f"These are missing on the disk, or not what their rows describe:\n{names}")
