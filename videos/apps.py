from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class VideosConfig(AppConfig):
    name = "videos"

    def ready(self) -> None:
        from videos import site_presets  # noqa: PLC0415 - models may only be imported once all apps are there

        post_migrate.connect(site_presets.after_migrate, sender=self)
