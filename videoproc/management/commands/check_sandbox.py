"""`manage.py check_sandbox`: which sandbox ffmpeg would run in here, and what could be reached inside it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from engine.sandbox.choice import SandboxTooWeak, chosen


class Command(BaseCommand):
    help = "Tries the sandboxes from the strongest on, and shows the proof of the one this machine allows."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            choice = chosen()
        except SandboxTooWeak as error:
            raise CommandError(str(error)) from error
        for layer, reason in choice.refused.items():
            self.stdout.write(f"{layer}: not taken: {reason}")
        self.stdout.write(f"{choice.layer}: taken")
        for name, result in choice.found.items():
            self.stdout.write(f"  {name}: {result}")
        if choice.warning:
            self.stdout.write(f"Warning: {choice.warning}. See docs/sandbox.md.")
