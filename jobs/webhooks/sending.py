"""Sends what waits: claims a webhook, and tells it its events one by one until one fails.

A claim is a lease on the webhook with a fresh token, so one worker at a time sends to it and a dead address
never takes more than one place. Not all workers of the short lane send at once, see `places`. While a
request is on its way no connection to PostgreSQL is held.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from jobs import dispatch, shutdown
from jobs.webhook_models import Webhook, WebhookDelivery
from jobs.webhooks.signing import signature_headers
from users.ids import public_id_at
from videos import outbound
from videos.crash_points import crash_point

log = logging.getLogger(__name__)

SECONDS = 10
REPLY_BYTES = 64 * 1024
# A turn ends after so long, so that others come to their turn; the lease outlasts its last request.
TURN_SECONDS = 15
LEASE = timedelta(seconds=60)
# Pauses after the first, second, … try; after the last of them one more try. About a day in all.
PAUSES = tuple(
    timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 28800)
)
JITTER = 0.2
# A webhook that fails is left alone for 5, 10, 20 … seconds, whatever waits for it.
HOLD, HOLD_MAX = timedelta(seconds=5), timedelta(minutes=5)
SWITCHED_OFF_AFTER = timedelta(days=3)
LOG_KEPT = timedelta(days=30)
BATCH = 500
GONE = 410
_LOCK = 0x77_65_62_68_6F_6F_6B  # any number of our own


@dataclass(frozen=True, slots=True)
class _Claim:
    webhook_id: str
    token: UUID


@dataclass(frozen=True, slots=True)
class _Outcome:
    """`status` is None where no answer came; `error` is empty where the event was accepted."""

    status: int | None
    error: str
    milliseconds: int


def places() -> int:
    """How many workers may send at once. One of the short lane is always left to inspect uploads."""
    return max(1, settings.SHORT_WORKER_CONCURRENCY - 1)


# The recursion hops through the index from webhook to webhook instead of reading all that waits.
_CLAIMABLE = """
    WITH RECURSIVE waiting(webhook_id) AS (
        (SELECT webhook_id FROM jobs_webhookdelivery WHERE status = 'pending' ORDER BY webhook_id LIMIT 1)
        UNION ALL
        SELECT (SELECT d.webhook_id FROM jobs_webhookdelivery d
                WHERE d.status = 'pending' AND d.webhook_id > w.webhook_id ORDER BY d.webhook_id LIMIT 1)
        FROM waiting w WHERE w.webhook_id IS NOT NULL
    )
    SELECT k.id
    FROM waiting w
    JOIN jobs_webhook k ON k.id = w.webhook_id
    CROSS JOIN LATERAL (
        SELECT d.next_attempt_at FROM jobs_webhookdelivery d
        WHERE d.webhook_id = k.id AND d.status = 'pending' AND d.next_attempt_at <= statement_timestamp()
        ORDER BY d.next_attempt_at LIMIT 1
    ) due
    WHERE k.enabled AND (k.retry_at IS NULL OR k.retry_at <= statement_timestamp())
        AND (k.lease_until IS NULL OR k.lease_until < statement_timestamp())
    ORDER BY due.next_attempt_at
    LIMIT %(limit)s
"""

_TAKE = f"""
    WITH best AS MATERIALIZED ({_CLAIMABLE} FOR NO KEY UPDATE OF k SKIP LOCKED)
    UPDATE jobs_webhook k SET lease_token = gen_random_uuid(),
        lease_until = statement_timestamp() + %(lease)s * interval '1 second'
    FROM best WHERE k.id = best.id
    RETURNING k.id, k.lease_token
"""  # noqa: S608 - composed of constants


def deliver() -> bool:
    """What a wake-up asks for: one turn of one webhook. Says whether there was one."""
    if shutdown.requested() or (claim := _claim()) is None:
        return False
    try:
        _turn(claim)
    finally:
        rows = Webhook.objects.filter(id=claim.webhook_id, lease_token=claim.token)
        rows.update(lease_token=None, lease_until=None)
    wake_up()
    return True


def wake_up() -> int:
    """Sends as many wake-ups as there are webhooks that can be sent to and places for them."""
    free = places() - _leased()
    if free <= 0:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(_CLAIMABLE, {"limit": free})
        found = len(cursor.fetchall())
    dispatch.deliver(count=found)
    return found


@transaction.atomic
def _claim() -> _Claim | None:
    with connection.cursor() as cursor:
        # In a statement of its own: the next ones must see what those before have committed.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        if _leased() >= places():
            return None
        cursor.execute(_TAKE, {"limit": 1, "lease": LEASE.total_seconds()})
        row = cursor.fetchone()
    return None if row is None else _Claim(f"whk_{row[0].hex}", row[1])


def _leased() -> int:
    return Webhook.objects.filter(lease_until__gt=Now()).count()


def _turn(claim: _Claim) -> None:
    end = time.monotonic() + TURN_SECONDS
    while time.monotonic() < end and not shutdown.requested():
        # Looked at anew each time: it may have been changed, switched off or deleted meanwhile.
        webhook = Webhook.objects.filter(id=claim.webhook_id, lease_token=claim.token, enabled=True).first()
        if webhook is None or (delivery := _next(webhook)) is None:
            return
        secrets_valid = secrets_of(webhook)
        connection.close()
        outcome = _send(webhook.url, delivery, secrets_valid)
        crash_point("webhook_sent")
        if not _record(claim, delivery, outcome) or outcome.error:
            return


def _next(webhook: Webhook) -> WebhookDelivery | None:
    due = webhook.deliveries.filter(status=WebhookDelivery.Status.PENDING, next_attempt_at__lte=Now())
    return due.order_by("next_attempt_at", "id").first()


def secrets_of(webhook: Webhook) -> list[str]:
    """The secrets that sign now: the present one, and for a while after a rotation the former one."""
    former = Webhook.objects.filter(id=webhook.id, former_secret_until__gt=Now())
    return [webhook.secret, *former.values_list("former_secret", flat=True)]


def _send(url: str, delivery: WebhookDelivery, secrets_valid: list[str]) -> _Outcome:
    body = delivery.body.encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Videoproc-Webhooks/1",
        **signature_headers(
            message_id=delivery.event_id, timestamp=int(time.time()), body=body, secrets_valid=secrets_valid
        ),
    }
    status, error = None, ""
    begun = time.monotonic()
    try:
        with outbound.ask("POST", url, seconds=SECONDS, headers=headers, body=body) as answer:
            status = answer.status
            # Not kept: what an address of the user's choice says is nobody's business here.
            answer.read(REPLY_BYTES)
    except (outbound.Refused, outbound.Failed) as failure:
        error = str(failure)
    if not error and status is not None and not 200 <= status < 300:  # noqa: PLR2004 - success
        error = "Redirects are not followed." if 300 <= status < 400 else f"It answered {status}."  # noqa: PLR2004
    return _Outcome(status, error, round((time.monotonic() - begun) * 1000))


@transaction.atomic
def _record(claim: _Claim, delivery: WebhookDelivery, outcome: _Outcome) -> bool:
    """Writes down how it went; False where the lease is not ours any more. It may be sent twice then."""
    rows = Webhook.objects.select_for_update(no_key=True).annotate(now=Now())
    webhook = rows.filter(id=claim.webhook_id, lease_token=claim.token).first()
    if webhook is None:
        return False
    now: datetime = webhook.now
    delivery.attempts += 1
    delivery.last_attempt_at = now
    delivery.last_status, delivery.last_error = outcome.status, outcome.error[:200]
    delivery.last_duration_ms = outcome.milliseconds
    if outcome.error:
        _note_failure(webhook, delivery, outcome, now)
    else:
        delivery.status, delivery.next_attempt_at = WebhookDelivery.Status.DELIVERED, None
        delivery.delivered_at = now
        webhook.failures, webhook.failing_since, webhook.retry_at = 0, None, None
    delivery.save(
        update_fields=[
            "status", "attempts", "next_attempt_at", "last_attempt_at", "last_status", "last_error",
            "last_duration_ms", "delivered_at",
        ]
    )  # fmt: skip
    webhook.save(update_fields=["failures", "failing_since", "retry_at", "enabled", "off_reason"])
    log.info("webhook %s: %s %s", webhook.id, delivery.event_id, outcome.error or "accepted")
    return True


def _note_failure(webhook: Webhook, delivery: WebhookDelivery, outcome: _Outcome, now: datetime) -> None:
    webhook.failures += 1
    webhook.failing_since = webhook.failing_since or now
    webhook.retry_at = now + min(HOLD_MAX, HOLD * 2 ** min(webhook.failures - 1, 10))
    pause = _pause(delivery.attempts)
    if pause is None or now + pause > delivery.give_up_at:
        delivery.status, delivery.next_attempt_at = WebhookDelivery.Status.FAILED, None
        if webhook.failing_since <= now - SWITCHED_OFF_AFTER:
            _switch_off(webhook, Webhook.Off.FAILING)
    else:
        delivery.next_attempt_at = now + pause
    if outcome.status == GONE:
        _switch_off(webhook, Webhook.Off.GONE)


def _switch_off(webhook: Webhook, reason: Webhook.Off) -> None:
    webhook.enabled, webhook.off_reason = False, reason
    log.warning("webhook %s is switched off: %s", webhook.id, reason.label)


def _pause(attempts: int) -> timedelta | None:
    """How long to wait after so many tries; None after the last."""
    if attempts > len(PAUSES):
        return None
    return PAUSES[attempts - 1] * random.uniform(1, 1 + JITTER)  # noqa: S311 - spreads load, keeps no secret


def deliveries_give_up() -> int:
    """Ends those that waited too long: behind others of a dead address, or for a webhook that is off."""
    late = WebhookDelivery.objects.filter(status=WebhookDelivery.Status.PENDING, give_up_at__lt=Now())
    # Those in hand are decided by who holds them.
    free = late.filter(Q(webhook__lease_until=None) | Q(webhook__lease_until__lt=Now()))
    ids = list(free.order_by("give_up_at").values_list("id", flat=True)[:BATCH])
    if not ids:
        return 0
    stale = SWITCHED_OFF_AFTER
    failing = Webhook.objects.filter(
        enabled=True, failing_since__lt=Now() - stale, deliveries__in=ids
    ).distinct()
    for webhook in failing:
        log.warning("webhook %s is switched off: %s", webhook.id, Webhook.Off.FAILING.label)
    Webhook.objects.filter(id__in=[webhook.id for webhook in failing]).update(
        enabled=False, off_reason=Webhook.Off.FAILING
    )
    return WebhookDelivery.objects.filter(id__in=ids, status=WebhookDelivery.Status.PENDING).update(
        status=WebhookDelivery.Status.FAILED, next_attempt_at=None
    )


def deliveries_purge() -> int:
    """Removes the log of more than 30 days ago, a portion each time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        now: datetime = cursor.fetchone()[0]
    # Ids sort by time, so their index tells what is old.
    limit = public_id_at("whd", now - LOG_KEPT)
    old = WebhookDelivery.objects.filter(id__lt=limit).exclude(status=WebhookDelivery.Status.PENDING)
    ids = list(old.order_by("id").values_list("id", flat=True)[: 20 * BATCH])
    return int(WebhookDelivery.objects.filter(id__in=ids).delete()[0])
