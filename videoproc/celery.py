"""The Celery app: two lanes of wake-ups, and the beat. Its settings are in `celery_settings.py`."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import (
    beat_init,
    setup_logging,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
)

from telemetry import tracing
from telemetry.recorder import recorder
from videoproc.embedded.ready_file import announce_ready
from videoproc.process_gauges import process_watch, worker_watch

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "videoproc.settings")

app = Celery("videoproc")
app.config_from_object("videoproc.celery_settings")
app.set_default()


def _keep_django_logging(**_: object) -> None:
    """Celery leaves logging alone where this signal has a receiver: Django's settings hold here too."""


def _a_pool_child_begins(**_: object) -> None:
    process_watch()


def _a_pool_child_ends(**_: object) -> None:
    # It ends without Python's own farewell.
    recorder.flush()
    tracing.flush()


def _worker_is_ready(sender: Any, **_: object) -> None:
    worker_watch(lane=str(sender.hostname).partition("@")[0])


setup_logging.connect(_keep_django_logging)
# The supervisor waits for both before it calls the site ready.
worker_ready.connect(announce_ready)
worker_ready.connect(_worker_is_ready)
worker_process_init.connect(_a_pool_child_begins)
worker_process_shutdown.connect(_a_pool_child_ends)
beat_init.connect(announce_ready)
