"""Webhooks for administrators: read, switch off, send again. Secrets are not shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.text import Truncator

from jobs.webhook_models import Webhook, WebhookDelivery
from jobs.webhooks import services
from users.admin_base import ListAdmin, ReadOnly


class _Steered(ReadOnly, ListAdmin):
    # Words are not looked for: no index serves that. Ids are found.
    search_fields = ("id",)

    def search(self, rows: QuerySet[Any], _term: str) -> QuerySet[Any]:
        return rows.none()

    def has_steer_permission(self, request: HttpRequest) -> bool:
        """Reading is granted by Django's `view` permission, steering by `change`."""
        return request.user.has_perm("jobs.change_webhook")


@admin.register(Webhook)
class WebhookAdmin(_Steered):
    list_display = ("name", "owner", "enabled", "off_reason", "failures", "failing_since")
    search_help_text = "An id of a webhook or of a user"
    list_select_related = ("owner",)
    exclude = ("secret", "former_secret", "lease_token")
    actions = ("switch_off_selected",)

    @admin.display(description="webhook")
    def name(self, webhook: Webhook) -> str:
        """Of an address only the host: the rest of it is often a secret."""
        return Truncator(webhook.description or urlsplit(webhook.url).hostname or webhook.pk).chars(60)

    def row_actions(self, _request: HttpRequest, webhook: Webhook) -> Sequence[str]:
        return ("switch_off_selected",) if webhook.off_reason != Webhook.Off.STAFF else ()

    @admin.action(description="Switch off selected webhooks", permissions=["steer"])
    def switch_off_selected(self, request: HttpRequest, webhooks: QuerySet[Webhook]) -> None:
        self.each(
            request,
            webhooks,
            lambda row: services.webhook_switch_off(webhook=row),
            done="switched off",
            note="Switched off.",
        )


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(_Steered):
    list_display = ("created_at", "webhook", "type", "status", "attempts", "last_status", "last_error")
    search_help_text = "An id of a delivery or of a webhook, or a webhook-id (evt_…)"
    list_select_related = ("webhook",)
    list_defer = ("body",)
    actions = ("resend_selected",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookDelivery]:
        return super().get_queryset(request).select_related("webhook")

    def row_actions(self, _request: HttpRequest, _delivery: WebhookDelivery) -> Sequence[str]:
        return ("resend_selected",)

    @admin.action(description="Send selected deliveries again", permissions=["steer"])
    def resend_selected(self, request: HttpRequest, deliveries: QuerySet[WebhookDelivery]) -> None:
        self.each(
            request,
            deliveries,
            lambda row: services.delivery_resend(delivery=row),
            done="sent again",
            note="Sent again.",
        )
