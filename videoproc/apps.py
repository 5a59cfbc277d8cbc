from __future__ import annotations

from django.apps import AppConfig
from django.db.backends.signals import connection_created

import videoproc.celery  # noqa: F401 - makes it the app that tasks are sent with
from videoproc.slow_queries import watch_connection


class VideoprocConfig(AppConfig):
    name = "videoproc"

    def ready(self) -> None:
        connection_created.connect(watch_connection, dispatch_uid="slow queries")
