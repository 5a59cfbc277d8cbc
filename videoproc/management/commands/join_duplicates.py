"""`bin/manage join_duplicates`: equal originals of one owner share their bytes on the disk."""

from __future__ import annotations

from django.core.management.base import BaseCommand

from videos.services.duplicates import duplicates_join


class Command(BaseCommand):
    help = "Store equal originals of one owner once. The site does so by itself with each new video."

    def handle(self, *_: object, **__: object) -> None:
        joined = duplicates_join()
        self.stdout.write(f"{joined} video{'' if joined == 1 else 's'} joined.")
