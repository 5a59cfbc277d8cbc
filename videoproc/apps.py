from __future__ import annotations

from django.apps import AppConfig, apps
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate

import videoproc.celery  # noqa: F401 - makes it the app that tasks are sent with
from videoproc.slow_queries import watch_connection


class VideoprocConfig(AppConfig):
    name = "videoproc"

    def ready(self) -> None:
        from videoproc import roles  # noqa: PLC0415 - models may only be imported once all apps are there

        connection_created.connect(watch_connection, dispatch_uid="slow queries")
        # `videoproc` has no tables and gets no such signal; `jobs` is the last whose rights are given.
        post_migrate.connect(roles.after_migrate, sender=apps.get_app_config("jobs"))
