"""The only sender of live events: the only `group_send` of the house.

Who may hear of a job is decided by the groups: its owner's, and its video's for viewers who asked for
that video and may see it. The consumer joins them, see `jobs/consumers.py`.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from channels.layers import get_channel_layer
from django.db import transaction

from jobs.events import JobEventType, JobMessage, job_message, job_state
from jobs.models import Job
from jobs.outbox import Outbox

SEND_TIMEOUT = 2.0


class _Post(NamedTuple):
    groups: tuple[str, ...]
    envelope: dict[str, Any]


def user_group(user_id: str) -> str:
    return f"jobs.{user_id}"


def video_group(video_id: str) -> str:
    return f"jobs.{video_id}"


def publish_on_commit(type_: JobEventType, job: Job, *, queue_position: int | None = None) -> None:
    """Sends the state that `job` has now, once the current transaction has committed."""
    message = job_message(type_, job_state(job, queue_position=queue_position))
    owner_id, video_id = job.owner_id, job.video_id
    transaction.on_commit(lambda: publish_now(message, owner_id=owner_id, video_id=video_id), robust=True)


def publish_now(message: JobMessage, *, owner_id: str, video_id: str | None) -> None:
    """Sends without a look at transactions: for progress, which no row has to back. Never raises."""
    envelope = {"type": "job.event", "owner": owner_id, "message": message}
    groups = (user_group(owner_id),) if video_id is None else (user_group(owner_id), video_group(video_id))
    _outbox.put(_Post(groups, envelope))


def flush(timeout: float = 2.0) -> bool:
    """Waits until everything published by this process was handed to Redis."""
    return _outbox.flush(timeout)


def _send(post: _Post) -> None:
    layer = get_channel_layer()
    if layer is None:
        return

    async def to_all() -> None:
        async with asyncio.timeout(SEND_TIMEOUT):
            for group in post.groups:
                await layer.group_send(group, post.envelope)

    # One loop for the life of the thread: the channel layer keeps a connection for each loop.
    _loop_of_this_thread().run_until_complete(to_all())


def _loop_of_this_thread() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_event_loop_policy().get_event_loop()
    except RuntimeError:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        return loop


_outbox: Outbox[_Post] = Outbox("publish", _send)
