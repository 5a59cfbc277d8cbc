"""Celery's settings.

A message names no job. It only tells a worker of a lane to look into PostgreSQL, so each setting here
prefers "lost" to "twice": the reconciler sends again what got lost.
"""

from __future__ import annotations

from django.conf import settings

broker_url = settings.REDIS.for_celery()
result_backend = "django-db"
imports = ("jobs.tasks", "jobs.worker_signals")
# Only JSON is ever read: a pickle in the broker would be somebody else's code in our worker.
accept_content = ["json"]
worker_consumer = "videoproc.celery_consumer:Consumer"
task_serializer = "json"
result_serializer = "json"
# Wake-ups have no result; the job's row is the result. Maintenance tasks switch this on themselves,
# and the admin then lists their runs.
task_ignore_result = True
result_extended = True
result_expires = 7 * 24 * 3600
task_default_queue = "short"
task_create_missing_queues = True
# Acknowledged on receipt: the lease in PostgreSQL brings work back, not the broker, whose redelivery
# would start long encodes twice.
task_acks_late = False
# A busy worker must not hoard wake-ups that an idle one could answer.
worker_prefetch_multiplier = 1
worker_disable_prefetch = True
# Children that leak are replaced.
worker_max_tasks_per_child = 200
worker_hijack_root_logger = False
worker_send_task_events = True
task_send_sent_event = True
# A lost broker is normal: keep trying for ever, also at start.
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
worker_cancel_long_running_tasks_on_connection_loss = False
# A request that sends a wake-up must not hang with the broker.
broker_pool_acquire_timeout = 2
task_publish_retry_policy = {"max_retries": 1, "interval_start": 0.1, "interval_max": 0.1}
broker_transport_options = {
    # Half-open connections to the broker are noticed instead of waited on for ever.
    "socket_timeout": 30,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "retry_on_timeout": False,
    # Longer than any wake-up is in hand: with early acknowledgement nothing is ever redelivered.
    "visibility_timeout": 24 * 3600,
    "queue_order_strategy": "priority",
}
timezone = "UTC"
beat_schedule = {
    "reconcile": {
        "task": "jobs.reconcile",
        "schedule": 10.0,
        # While no worker listens, old reminders must not pile up.
        "options": {"queue": "short", "expires": 10},
    },
    # Days that ended are summed up, and past days anew in which a job changed.
    "rollups": {"task": "jobs.rollups", "schedule": 300.0, "options": {"queue": "short", "expires": 300}},
    "clean": {"task": "jobs.clean", "schedule": 3600.0, "options": {"queue": "short", "expires": 3600}},
}
