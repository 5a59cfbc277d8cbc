"""Webhooks and what was sent to them. Imported by `jobs.models`, where Django looks for models."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from users.ids import PublicIdField


class Webhook(models.Model):
    """An address that is told of events: those of its owner, or without an owner those of everybody.

    One worker at a time sends to it, holding the lease. `failures` counts what failed since the last
    success, and until `retry_at` nothing is tried, so that a dead address costs next to nothing.
    """

    class Off(models.TextChoices):
        OWNER = "owner", "Switched off by hand"
        STAFF = "staff", "Switched off by an administrator"
        FAILING = "failing", "It did not answer for days"
        GONE = "gone", "It answered 410 Gone"

    id = PublicIdField(prefix="whk", primary_key=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="webhooks",
        db_index=False,
        help_text="Empty: told of everybody's events",
    )
    url = models.CharField(max_length=2000)
    description = models.CharField(max_length=200, blank=True)
    events = ArrayField(models.CharField(max_length=32))
    secret = models.CharField(max_length=80, editable=False)
    former_secret = models.CharField(max_length=80, blank=True, editable=False)
    former_secret_until = models.DateTimeField(null=True, blank=True)
    enabled = models.BooleanField(default=True)
    off_reason = models.CharField(max_length=8, choices=Off, blank=True)
    failures = models.PositiveIntegerField(default=0, help_text="Tries that failed since the last success")
    failing_since = models.DateTimeField(null=True, blank=True)
    retry_at = models.DateTimeField(null=True, blank=True, help_text="Nothing is sent before this time")
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    lease_token = models.UUIDField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes: ClassVar = [
            # Its owner's list.
            models.Index(fields=["owner", "-id"], name="webhook_owner_newest"),
            # Each end of a job: who wants to know?
            models.Index(fields=["owner"], name="webhook_listening", condition=Q(enabled=True)),
            # How many workers are sending now.
            models.Index(
                fields=["lease_until"], name="webhook_leased", condition=Q(lease_until__isnull=False)
            ),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(condition=~Q(events=[]), name="webhook_wants_something"),
            models.CheckConstraint(
                condition=Q(enabled=True, off_reason="") | (Q(enabled=False) & ~Q(off_reason="")),
                name="webhook_off_says_why",
            ),
        ]

    def __str__(self) -> str:
        return self.description or self.id

    @property
    def site_wide(self) -> bool:
        return self.owner_id is None


class WebhookDelivery(models.Model):
    """One event for one webhook. Written in the transaction of the change it tells of.

    States: pending -> delivered, or failed when the tries or the time are used up; sending it again makes it
    pending. `event_id` is the same in each try and for each webhook: receivers tell doubles by it.
    """

    class Status(models.TextChoices):
        PENDING = "pending", "Waiting"
        DELIVERED = "delivered", "Delivered"
        FAILED = "failed", "Failed"

    id = PublicIdField(prefix="whd", primary_key=True)
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    event_id = PublicIdField(prefix="evt")
    type = models.CharField(max_length=32)
    # Text, not JSON: what is signed is a row of bytes, the same in each try.
    body = models.TextField()
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True, db_default=Now())
    give_up_at = models.DateTimeField()
    last_attempt_at = models.DateTimeField(null=True, blank=True)
    last_status = models.PositiveSmallIntegerField(null=True, blank=True, help_text="HTTP status")
    last_error = models.CharField(max_length=200, blank=True)
    last_duration_ms = models.PositiveIntegerField(null=True, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name_plural = "webhook deliveries"
        indexes: ClassVar = [
            # The log of a webhook.
            models.Index(fields=["webhook", "-id"], name="delivery_log"),
            # The claim: which webhooks have something to send, and what is next.
            models.Index(
                fields=["webhook", "next_attempt_at", "id"],
                name="delivery_due",
                condition=Q(status="pending"),
            ),
            # Administrators who look for the webhook-id that a receiver names.
            models.Index(fields=["event_id"], name="delivery_event"),
            # The reconciler: what has waited for too long.
            models.Index(fields=["give_up_at"], name="delivery_late", condition=Q(status="pending")),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(status="pending", next_attempt_at__isnull=False)
                | (Q(status__in=["delivered", "failed"]) & Q(next_attempt_at=None)),
                name="delivery_pending_is_due",
            ),
            models.CheckConstraint(
                condition=~Q(status="delivered") | Q(delivered_at__isnull=False),
                name="delivery_delivered_has_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"
