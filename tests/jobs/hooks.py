"""A webhook of an owner's that leads to the receiver on this machine."""

from __future__ import annotations

from jobs.webhook_models import Webhook
from jobs.webhooks import services
from jobs.webhooks.events import EVENTS
from tests.receiver import Receiver
from users.models import User


def webhook_make(owner: User, receiver: Receiver, *events: str, site_wide: bool = False) -> Webhook:
    """Without `events` it is told of everything."""
    return services.webhook_create(
        viewer=owner,
        url=f"http://127.0.0.1:{receiver.port}/hook",
        events=events or EVENTS,
        site_wide=site_wide,
    )
