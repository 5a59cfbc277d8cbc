"""`manage.py clean_history --older-than-days 365`: removes the rows of old jobs; their figures stay."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs.housekeeping import history_clean
from problems import Problem


class Command(BaseCommand):
    help = "Removes the rows and logs of jobs that ended and are old. Statistics keep their figures for ever."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--older-than-days", type=int, required=True, metavar="DAYS")

    def handle(self, *args: Any, older_than_days: int, **options: Any) -> None:
        try:
            removed = history_clean(older_than_days=older_than_days)
        except Problem as problem:
            raise CommandError(problem.errors[0].detail) from problem
        self.stdout.write(f"{removed} {'job' if removed == 1 else 'jobs'} removed.")
