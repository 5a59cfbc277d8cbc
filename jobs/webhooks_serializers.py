"""Webhooks and their deliveries as JSON."""

from __future__ import annotations

import json
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from jobs.webhook_models import Webhook, WebhookDelivery
from jobs.webhooks.events import EVENTS


class WebhookSerializer(serializers.ModelSerializer[Webhook]):
    site_wide = serializers.BooleanField(read_only=True, help_text="Told of everybody's events")
    events = serializers.ListField(child=serializers.ChoiceField(choices=EVENTS))
    off_reason = serializers.ChoiceField(
        choices=["", *Webhook.Off.values], help_text="Why it is switched off; empty while it is on"
    )
    failing_since = serializers.DateTimeField(
        allow_null=True, help_text="Of the first try that failed since the last that did not"
    )

    class Meta:
        model = Webhook
        fields: tuple[str, ...] = (
            "id", "url", "description", "events", "site_wide", "enabled", "off_reason", "failing_since",
            "former_secret_until", "created_at",
        )  # fmt: skip
        read_only_fields: tuple[str, ...] = fields


class WebhookWithSecretSerializer(WebhookSerializer):
    secret = serializers.CharField(help_text="Shown this once; whsec_ and Base64")

    class Meta(WebhookSerializer.Meta):
        fields = (*WebhookSerializer.Meta.fields, "secret")
        read_only_fields = fields


class _KnownKeysOnly(serializers.Serializer[Any]):
    """Unknown keys are refused: a misspelt one would be ignored in silence."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if unknown := sorted(set(self.initial_data) - set(self.fields)):
            raise serializers.ValidationError(dict.fromkeys(unknown, "There is no such key."), code="unknown")
        return attrs


class WebhookCreateSerializer(_KnownKeysOnly):
    url = serializers.CharField(max_length=2000, help_text="https://…, on port 443 or 8443")
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=EVENTS), min_length=1, max_length=len(EVENTS)
    )
    description = serializers.CharField(max_length=200, required=False, allow_blank=True)
    site_wide = serializers.BooleanField(required=False, help_text="For staff: everybody's events")


class WebhookUpdateSerializer(_KnownKeysOnly):
    url = serializers.CharField(max_length=2000, required=False)
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=EVENTS), min_length=1, max_length=len(EVENTS), required=False
    )
    description = serializers.CharField(max_length=200, required=False, allow_blank=True)
    enabled = serializers.BooleanField(required=False)


class WebhookDeliverySerializer(serializers.ModelSerializer[WebhookDelivery]):
    payload = serializers.SerializerMethodField(help_text="The body that is sent")

    class Meta:
        model = WebhookDelivery
        fields = (
            "id", "event_id", "type", "payload", "status", "attempts", "next_attempt_at", "last_attempt_at",
            "last_status", "last_error", "last_duration_ms", "delivered_at", "created_at",
        )  # fmt: skip

    @extend_schema_field(serializers.DictField())
    def get_payload(self, delivery: WebhookDelivery) -> dict[str, Any]:
        payload: dict[str, Any] = json.loads(delivery.body)
        return payload
