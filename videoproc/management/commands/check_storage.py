"""`manage.py check_storage [--repair]`: whether the storage that counts against quotas is what is stored."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from videos.services.reservations import reservations_check
from videos.services.usage import usage_check


class Command(BaseCommand):
    help = "Compares each user's counted storage with the sizes of their videos, results and uploads."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--repair", action="store_true", help="count what was not counted")

    def handle(self, *args: Any, repair: bool, **options: Any) -> None:
        differences = usage_check(repair=repair)
        for one in differences:
            self.stdout.write(f"{one.owner_id}: {one.bytes:+} bytes")
        stale = reservations_check(repair=repair)
        if stale:
            self.stdout.write(f"{stale} operations hold room although they have ended.")
        if (differences or stale) and not repair:
            raise CommandError(f"{len(differences)} users differ. --repair puts them right.")
        self.stdout.write(
            f"{len(differences)} users were put right." if differences else "All users are right."
        )
