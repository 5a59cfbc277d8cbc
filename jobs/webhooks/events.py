"""What webhooks are told, and the one place that writes it down."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

from django.db.models import Q
from django.db.models.functions import Now

from jobs.dispatch import deliver_on_commit
from jobs.events import job_state, rfc3339
from jobs.models import Job
from jobs.webhook_models import Webhook, WebhookDelivery
from users.ids import public_id_new

EventType = Literal["job.completed", "job.failed", "job.cancelled", "video.ready"]
EVENTS: tuple[str, ...] = get_args(EventType)
PING = "webhook.ping"
# A little more than all tries take together.
KEEPS_TRYING = timedelta(hours=30)


def event_record(type_: EventType, job: Job) -> None:
    """Notes the event for each webhook that wants it, in the caller's transaction: it is told if and only if
    the change of the job is committed. One look-up in an index where nobody wants it."""
    listening = Webhook.objects.filter(
        Q(owner=job.owner_id) | Q(owner=None), enabled=True, events__contains=[type_]
    )
    if webhooks := [webhook.id for webhook in listening.only("id")]:
        deliveries_create(webhooks, type_, {"job": job_state(job)})


def deliveries_create(webhooks: Iterable[str], type_: str, data: Mapping[str, Any]) -> list[WebhookDelivery]:
    """One delivery for each of the webhooks, all of the same event."""
    body = json.dumps(
        {"type": type_, "timestamp": rfc3339(datetime.now(UTC)), "data": data},
        ensure_ascii=False,
        separators=(",", ":"),
    )
    event = public_id_new("evt")
    rows = [
        WebhookDelivery(
            webhook_id=webhook, event_id=event, type=type_, body=body, give_up_at=Now() + KEEPS_TRYING
        )
        for webhook in webhooks
    ]
    made = WebhookDelivery.objects.bulk_create(rows)
    deliver_on_commit()
    return made
