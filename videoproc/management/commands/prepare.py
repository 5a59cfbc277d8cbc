"""`manage.py prepare`: everything between "the database answers" and "the processes may start"."""

from __future__ import annotations

import json
import secrets
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import transaction

from engine.samples import sample_clip
from users.models import User
from videoproc.static_collection import static_files_collect


class Command(BaseCommand):
    help = "Migrates, collects static files, makes the sample clip and, on an empty site, the first admin."

    def handle(self, *args: Any, **options: Any) -> None:
        # All or nothing: Django commits a migration and the note that it ran apart from each other, and a
        # kill in between would leave tables that the next start trips over.
        with transaction.atomic():
            call_command("migrate", interactive=False, verbosity=0)
        static_files_collect()
        if not settings.SAMPLE_CLIP.exists():
            settings.SAMPLE_CLIP.parent.mkdir(parents=True, exist_ok=True)
            sample_clip(settings.SAMPLE_CLIP, width=1280, height=720)
        if not User.objects.filter(is_superuser=True).exists():
            password = secrets.token_urlsafe(12)
            admin = User.objects.create_superuser("admin", "admin@localhost.localdomain", password)
            # The supervisor reads the last line and shows it once; it is stored nowhere.
            self.stdout.write(json.dumps({"username": admin.username, "password": password}))
