"""Making, changing and trying out webhooks. What is sent, and when, is in `sending`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Now

from jobs.dispatch import deliver_on_commit
from jobs.webhook_models import Webhook, WebhookDelivery
from jobs.webhooks.events import EVENTS, KEEPS_TRYING, PING, deliveries_create
from jobs.webhooks.selectors import may_have_site_wide
from jobs.webhooks.signing import secret_new
from problems import FieldError, Problem
from users.models import User
from videos import outbound

PER_OWNER = 20
FORMER_SECRET_SIGNS = timedelta(hours=24)


@transaction.atomic
def webhook_create(
    *, viewer: User, url: str, events: Sequence[str], description: str = "", site_wide: bool = False
) -> Webhook:
    """A webhook that is told from now on; its secret is in `secret`.

    Raises Problem `permission_denied` where somebody who may not asks for everybody's events,
    `webhook_limit_reached`, or `invalid_request` for an address or events that make no sense.
    """
    if site_wide and not may_have_site_wide(viewer):
        raise Problem("permission_denied")
    _check(url=url, events=events)
    # The lock makes those who ask at the same time count one after the other.
    User.objects.select_for_update(no_key=True).get(pk=viewer.pk)
    owner = None if site_wide else viewer
    if Webhook.objects.filter(owner=owner).count() >= PER_OWNER:
        raise Problem("webhook_limit_reached", limit=PER_OWNER)
    return Webhook.objects.create(
        owner=owner, url=url, events=_in_order(events), description=description, secret=secret_new()
    )


@transaction.atomic
def webhook_update(
    *,
    viewer: User,
    webhook: Webhook,
    url: str | None = None,
    events: Sequence[str] | None = None,
    description: str | None = None,
    enabled: bool | None = None,
) -> Webhook:
    """Changes what is given. Switched on again, it is tried at once, with what still waits for it.

    Raises as `webhook_create`; also `permission_denied` where an administrator has switched it off.
    """
    _check(url=url, events=events)
    row = _locked(webhook)
    fields = {
        "url": url,
        "events": None if events is None else _in_order(events),
        "description": description,
    }
    for name, value in fields.items():
        if value is not None:
            setattr(row, name, value)
    if enabled is True and not row.enabled:
        if row.off_reason == Webhook.Off.STAFF and not may_have_site_wide(viewer):
            raise Problem("permission_denied")
        row.enabled, row.off_reason = True, ""
        _forgive(row)
    elif enabled is False and row.enabled:
        row.enabled, row.off_reason = False, Webhook.Off.OWNER
    row.save()
    return row


@transaction.atomic
def webhook_switch_off(*, webhook: Webhook) -> Webhook:
    """By an administrator: only one of them can switch it on again."""
    row = _locked(webhook)
    row.enabled, row.off_reason = False, Webhook.Off.STAFF
    row.save(update_fields=["enabled", "off_reason"])
    return row


def webhook_delete(*, webhook: Webhook) -> None:
    """With its log; what waits is not sent any more."""
    webhook.delete()


@transaction.atomic
def webhook_rotate(*, webhook: Webhook) -> Webhook:
    """A new secret. The one until now goes on signing beside it for a day."""
    row = _locked(webhook)
    row.former_secret, row.secret = row.secret, secret_new()
    row.former_secret_until = Now() + FORMER_SECRET_SIGNS
    row.save(update_fields=["secret", "former_secret", "former_secret_until"])
    row.refresh_from_db()
    return row


@transaction.atomic
def webhook_ping(*, webhook: Webhook) -> WebhookDelivery:
    """Sends `webhook.ping` now. One that waits already is not joined by another.

    Raises Problem `webhook_is_off`.
    """
    row = _ready_to_send(webhook)
    waiting = row.deliveries.filter(type=PING, status=WebhookDelivery.Status.PENDING).first()
    if waiting is not None:
        return _due_now(waiting)
    made = deliveries_create([row.id], PING, {"webhook": row.id})[0]
    made.refresh_from_db()
    return made


@transaction.atomic
def delivery_resend(*, delivery: WebhookDelivery) -> WebhookDelivery:
    """Sends an event again, or now if it waits for its next try: the same id and body, all tries anew.

    Raises Problem `webhook_is_off`.
    """
    _ready_to_send(delivery.webhook)
    row = WebhookDelivery.objects.select_for_update(no_key=True, of=("self",)).get(id=delivery.id)
    return _due_now(row)


def _due_now(delivery: WebhookDelivery) -> WebhookDelivery:
    delivery.status = WebhookDelivery.Status.PENDING
    delivery.attempts = 0
    delivery.next_attempt_at = Now()
    delivery.give_up_at = Now() + KEEPS_TRYING
    delivery.save(update_fields=["status", "attempts", "next_attempt_at", "give_up_at"])
    delivery.refresh_from_db()
    deliver_on_commit()
    return delivery


def _ready_to_send(webhook: Webhook) -> Webhook:
    row = _locked(webhook)
    if not row.enabled:
        raise Problem("webhook_is_off")
    if row.retry_at is not None:
        # Somebody looks on: the pause after failures is not for them.
        row.retry_at = None
        row.save(update_fields=["retry_at"])
    return row


def _forgive(row: Webhook) -> None:
    row.failures, row.failing_since, row.retry_at = 0, None, None
    WebhookDelivery.objects.filter(webhook=row, status=WebhookDelivery.Status.PENDING).update(
        next_attempt_at=Now()
    )
    deliver_on_commit()


def _locked(webhook: Webhook) -> Webhook:
    try:
        return Webhook.objects.select_for_update(no_key=True).get(id=webhook.id)
    except Webhook.DoesNotExist:
        raise Problem("not_found") from None


def _check(*, url: str | None, events: Sequence[str] | None) -> None:
    wrong = []
    if url is not None:
        try:
            outbound.url_check(url)
        except outbound.Refused as refused:
            wrong.append(FieldError("/url", "address_refused", str(refused)))
    if events is not None and (not events or not set(events) <= set(EVENTS)):
        wrong.append(FieldError("/events", "invalid_choice", f"Choose from: {', '.join(EVENTS)}."))
    if wrong:
        raise Problem("invalid_request", errors=wrong)


def _in_order(events: Sequence[str]) -> list[str]:
    return [event for event in EVENTS if event in events]
