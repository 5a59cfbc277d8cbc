"""Celery's settings, and kombu's and redis-py's through it.

A message names no job. It only tells a worker of a lane to look into PostgreSQL, so each setting here
prefers "lost" to "twice": the reconciler sends again what got lost. Many settings below are what the library
does anyway: they are written down because something here relies on them, and a test holds them to it.
"""

from __future__ import annotations

from django.conf import settings

# Longer than any message is in a worker's hands. Redelivery is no part of how work is brought back (the lease
# is), and its clock is the shortest one of all that use the broker: so it is set wherever one can be set.
_NEVER_AGAIN = 24 * 3600
# A Redis that is gone without closing the connection: how long until that is noticed.
_REDIS = {
    # Otherwise a publish waits for ever on a connection whose other end has vanished.
    "socket_timeout": 30,
    # Otherwise a start, or a request, hangs in a connect that nobody answers.
    "socket_connect_timeout": 5,
    # The kernel finds out about peers that vanished while nothing was sent.
    "socket_keepalive": True,
    # A command that timed out may have been carried out: it is not sent a second time.
    "retry_on_timeout": False,
}

broker_url = settings.REDIS.for_celery()
broker_transport_options = {
    **_REDIS,
    # Connections that wait for messages are looked at: a worker whose connection hangs half open would
    # otherwise be silent for ever.
    "health_check_interval": 25,
    # With early acknowledgement nothing is ever redelivered; with a short time a long encode would be.
    "visibility_timeout": _NEVER_AGAIN,
    # What a worker took and did not acknowledge, because it died in between, is found within seconds of its
    # time instead of within a hundred.
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    # Otherwise priorities of messages mean nothing. There are none: the order is that of the claim, and the
    # lanes have queues and workers of their own.
    "queue_order_strategy": "priority",
}
result_backend = "django-db"
result_backend_transport_options = {"visibility_timeout": _NEVER_AGAIN}
visibility_timeout = _NEVER_AGAIN
# The same for every client of Redis that Celery makes besides the broker's.
redis_socket_timeout = _REDIS["socket_timeout"]
redis_socket_connect_timeout = _REDIS["socket_connect_timeout"]
redis_socket_keepalive = _REDIS["socket_keepalive"]
redis_retry_on_timeout = _REDIS["retry_on_timeout"]
redis_backend_health_check_interval = 25
imports = ("jobs.tasks", "jobs.worker_signals")
# Only JSON is ever read: a pickle in the broker would be somebody else's code in our worker.
accept_content = ["json"]
worker_consumer = "videoproc.celery_consumer:Consumer"
result_accept_content = ["json"]
event_serializer = "json"
task_serializer = "json"
result_serializer = "json"
# Wake-ups have no result; the job's row is the result. The table of results has races between two workers, so
# nothing depends on it: maintenance tasks switch this on themselves, and the admin then lists their runs.
task_ignore_result = True
result_extended = True
result_expires = 7 * 24 * 3600
task_default_queue = "short"
task_create_missing_queues = True
# Acknowledged on receipt: the lease in PostgreSQL brings work back, not the broker, whose redelivery
# would start long encodes twice.
task_acks_late = False
# With late acknowledgement this would start a job that kills its worker again and again without end; tries
# are counted in the step's row instead.
task_reject_on_worker_lost = False
task_retry_on_worker_lost = False
# A task that fails is over, whatever the reason: never put back.
task_acks_on_failure = True
task_acks_on_timeout = True
# Celery's own limits kill a child and leave its ffmpeg running; the engine's watchdog ends tools instead.
task_time_limit = None
task_soft_time_limit = None
# A busy worker must not hoard wake-ups that an idle one could answer.
worker_prefetch_multiplier = 1
worker_disable_prefetch = True
# Messages with a delay are kept in a worker's memory whatever the two above say. They are for seconds only
# (waits are in the row, `run_after`), and no more than so many.
worker_eta_task_limit = 1000
# A worker that is told to stop hands back what it runs within 10 s (jobs/shutdown.py). Where the main process
# is told to stop at once (SIGQUIT), its children still get that time instead of being killed in a finish.
worker_soft_shutdown_timeout = 10.0
worker_enable_soft_shutdown_on_idle = False
# Children that leak are replaced: after so many tasks, or when they have become so large (in KiB).
worker_max_tasks_per_child = 200
worker_max_memory_per_child = 768 * 1024
worker_hijack_root_logger = False
worker_send_task_events = True
task_send_sent_event = False
# A lost broker is normal: keep trying for ever, also at start.
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
# A broker that was away is no reason to end encodes: their leases are in PostgreSQL.
worker_cancel_long_running_tasks_on_connection_loss = False
# A request that sends a wake-up must not hang with the broker.
broker_pool_acquire_timeout = 2
task_publish_retry_policy = {"max_retries": 1, "interval_start": 0.1, "interval_max": 0.1}
timezone = "UTC"
beat_schedule = {
    # Two beats would do no harm: each round is alone, under a lock in PostgreSQL. Each worker asks for
    # one when it starts. None of them expires: a worker whose clock is ahead would throw every reminder away.
    # What piles up while no worker listens costs little, see `reconcile_if_due`.
    "reconcile": {"task": "jobs.reconcile", "schedule": 10.0, "options": {"queue": "short"}},
    # Days that ended are summed up, and past days anew in which a job changed.
    "rollups": {"task": "jobs.rollups", "schedule": 300.0, "options": {"queue": "short"}},
    "clean": {"task": "jobs.clean", "schedule": 3600.0, "options": {"queue": "short"}},
}
