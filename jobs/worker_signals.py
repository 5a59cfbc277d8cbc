"""What a worker's processes do at birth and at death."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import sys

from celery.signals import worker_init, worker_process_init, worker_ready, worker_shutting_down
from celery.worker.control import inspect_command
from channels.layers import get_channel_layer
from django.db import DatabaseError, connection

from engine import catalogue
from engine.binaries import ffmpeg_path, ffprobe_path
from engine.sandbox.choice import SandboxTooWeak, chosen
from jobs import dispatch, shutdown

PR_SET_PDEATHSIG = 1


def _before_the_pool_forks(**_: object) -> None:
    shutdown.prepare()
    try:
        chosen()
    except SandboxTooWeak as error:
        # Celery goes on after any other exception, and would take work that must not be done here.
        raise SystemExit(str(error)) from error
    # What the first step of each child would load otherwise, while somebody waits for it.
    catalogue.operations()
    get_channel_layer()
    ffmpeg_path()
    ffprobe_path()
    # Shared by all children for as long as nobody touches it: the collector would.
    gc.collect()
    gc.freeze()


@inspect_command()  # type: ignore[untyped-decorator]  # Celery has no types
def sandbox(state: object) -> dict[str, str]:
    """What `/healthz` asks each worker: the layer its tools run in, and what is to be said about it."""
    choice = chosen()
    return {"layer": choice.layer, "warning": choice.warning}


def _in_a_pool_child(**_: object) -> None:
    """A child whose main process was killed must not work on: its tools die with it."""
    if sys.platform.startswith("linux"):
        _die_with_the_parent()
    _connect()


def _die_with_the_parent() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if shutdown.orphaned():
        os._exit(1)  # the main process died before the kernel was told to watch it


def _connect() -> None:
    """Opens the connection that the first claim needs; where PostgreSQL is away, that will try again."""
    with contextlib.suppress(DatabaseError):
        connection.ensure_connection()
    connection.close()


def _after_start(**_: object) -> None:
    # Whatever the last worker left behind is looked at now, not at the beat's next tick.
    dispatch.reconcile_soon()


def _asked_to_stop(**_: object) -> None:
    shutdown.request()


worker_init.connect(_before_the_pool_forks)
worker_process_init.connect(_in_a_pool_child)
worker_ready.connect(_after_start)
worker_shutting_down.connect(_asked_to_stop)
