"""The settings that keep Celery, kombu, redis-py and Channels from what they are known to do: as in
effect."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from channels.layers import get_channel_layer
from django.conf import settings

from videoproc import celery_settings
from videoproc.celery import app

# Name -> value in effect. What each prevents is said where it is set.
EXPECTED: dict[str, Any] = {
    "accept_content": ["json"],
    "result_accept_content": ["json"],
    "task_serializer": "json",
    "result_serializer": "json",
    "event_serializer": "json",
    "task_ignore_result": True,
    "task_acks_late": False,
    "task_acks_on_failure": True,
    "task_acks_on_timeout": True,
    "task_reject_on_worker_lost": False,
    "task_retry_on_worker_lost": False,
    "task_time_limit": None,
    "task_soft_time_limit": None,
    "worker_prefetch_multiplier": 1,
    "worker_disable_prefetch": True,
    "worker_eta_task_limit": 1000,
    "worker_soft_shutdown_timeout": 10.0,
    "worker_max_tasks_per_child": 200,
    "worker_max_memory_per_child": 768 * 1024,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_pool_acquire_timeout": 2,
    "visibility_timeout": 24 * 3600,
    "result_backend_transport_options": {"visibility_timeout": 24 * 3600},
    "redis_socket_timeout": 30,
    "redis_socket_connect_timeout": 5,
    "redis_socket_keepalive": True,
    "redis_retry_on_timeout": False,
    "redis_backend_health_check_interval": 25,
}
TRANSPORT: dict[str, Any] = {
    "socket_timeout": 30,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "retry_on_timeout": False,
    "health_check_interval": 25,
    "visibility_timeout": 24 * 3600,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    "queue_order_strategy": "priority",
}


@pytest.mark.parametrize("name", EXPECTED)
def test_celery_has_it(name: str) -> None:
    assert app.conf[name] == EXPECTED[name]


def test_a_publish_gives_up_soon() -> None:
    assert app.conf.task_publish_retry_policy["max_retries"] == 1


@pytest.mark.parametrize("name", TRANSPORT)
def test_the_channel_to_the_broker_has_it(name: str) -> None:
    """Not only in the settings: kombu took it."""
    with app.connection_for_write() as connection:
        if name == "queue_order_strategy":
            assert connection.transport_options[name] == TRANSPORT[name]
        else:
            assert getattr(connection.default_channel, name) == TRANSPORT[name]


def test_its_connection_has_the_time_limit() -> None:
    with app.connection_for_write() as connection:
        used = connection.default_channel.client.connection_pool.connection_kwargs
        assert (used["socket_timeout"], used["health_check_interval"]) == (30, 25)


def test_live_events_have_theirs() -> None:
    layer: Any = get_channel_layer()
    assert type(layer).__name__ == "RedisPubSubChannelLayer"
    configured: Any = settings.CHANNEL_LAYERS["default"]
    (host,) = configured["CONFIG"]["hosts"]
    assert (host["socket_timeout"], host["socket_connect_timeout"], host["health_check_interval"]) == (
        30,
        5,
        25,
    )
    assert host["address"] != settings.REDIS.for_redis(settings.REDIS.BROKER), "databases of their own"


def test_every_setting_says_what_it_is_for() -> None:
    """Each block of settings follows a comment."""
    source = inspect.getsource(celery_settings)
    assert source.count("\n# ") + source.count("\n    # ") > 20


def test_no_reminder_expires_by_the_clock_of_a_worker() -> None:
    for name, entry in app.conf.beat_schedule.items():
        assert "expires" not in entry["options"], name
