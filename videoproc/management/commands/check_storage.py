"""`manage.py check_storage [--repair]`: whether the storage that counts against quotas is what is stored, and
whether the numbers of what each user has are right."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from videos.services.holdings import holdings_check
from videos.services.reservations import reservations_check
from videos.services.usage import usage_check


class Command(BaseCommand):
    help = "Compares what is counted of each user with their videos, operations, results and uploads."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--repair", action="store_true", help="count what was not counted")

    def handle(self, *args: Any, repair: bool, **options: Any) -> None:
        sizes, holdings = usage_check(repair=repair), holdings_check(repair=repair)
        for one in sizes:
            self.stdout.write(f"{one.owner_id}: {one.bytes:+} bytes")
        for owner_id in holdings:
            self.stdout.write(f"{owner_id}: the numbers of videos, operations or results")
        stale = reservations_check(repair=repair)
        if stale:
            self.stdout.write(f"{stale} operations hold room although they have ended.")
        wrong = len({one.owner_id for one in sizes}.union(holdings))
        if (wrong or stale) and not repair:
            raise CommandError(f"{wrong} users differ. --repair puts them right.")
        self.stdout.write(f"{wrong} users were put right." if wrong else "All users are right.")
