"""Reads of webhooks. `webhook_get_for` is the only door to one on behalf of somebody."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from jobs.webhook_models import Webhook, WebhookDelivery
from problems import Problem
from users.ids import public_id_is_valid
from users.models import User


def may_have_site_wide(viewer: User) -> bool:
    """Whether the viewer may be told of everybody's events."""
    return viewer.is_staff and viewer.has_perm("jobs.change_webhook")


def webhooks_for(viewer: User) -> QuerySet[Webhook]:
    """The viewer's webhooks, for staff with those of the whole site; unordered."""
    mine = Q(owner=viewer)
    return Webhook.objects.filter(mine | Q(owner=None) if may_have_site_wide(viewer) else mine)


def webhook_get_for(viewer: User, webhook_id: str) -> Webhook:
    """The webhook where the viewer may have it; else Problem `not_found`."""
    found = (
        webhooks_for(viewer).filter(id=webhook_id).first() if public_id_is_valid("whk", webhook_id) else None
    )
    if found is None:
        raise Problem("not_found")
    return found


def deliveries_of(webhook: Webhook) -> QuerySet[WebhookDelivery]:
    """What was and will be sent to it, unordered."""
    return webhook.deliveries.all()


def delivery_get_of(webhook: Webhook, delivery_id: str) -> WebhookDelivery:
    """Raises Problem `not_found`."""
    found = (
        webhook.deliveries.filter(id=delivery_id).first() if public_id_is_valid("whd", delivery_id) else None
    )
    if found is None:
        raise Problem("not_found")
    return found


def webhooks_trouble(viewer: User) -> tuple[int, int]:
    """How many webhooks the viewer owns, and how many of them the site switched off."""
    mine = list(Webhook.objects.filter(owner=viewer).values_list("off_reason", flat=True))
    return len(mine), sum(reason in {Webhook.Off.FAILING, Webhook.Off.GONE} for reason in mine)
