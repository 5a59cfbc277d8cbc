"""The Celery app: two lanes of wake-ups, and the beat. Its settings are in `celery_settings.py`."""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import beat_init, setup_logging, worker_ready

from videoproc.embedded.ready_file import announce_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "videoproc.settings")

app = Celery("videoproc")
app.config_from_object("videoproc.celery_settings")
app.set_default()


def _keep_django_logging(**_: object) -> None:
    """Celery leaves logging alone where this signal has a receiver: Django's settings hold here too."""


setup_logging.connect(_keep_django_logging)
# The supervisor waits for both before it calls the site ready.
worker_ready.connect(announce_ready)
beat_init.connect(announce_ready)
