from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class UsersConfig(AppConfig):
    name = "users"

    def ready(self) -> None:
        from users import tiers  # noqa: PLC0415 - models may only be imported once all apps are there

        post_migrate.connect(tiers.after_migrate, sender=self)
