"""Webhooks for administrators: read, switch off, send again. Secrets are not shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from jobs.webhook_models import Webhook, WebhookDelivery
from jobs.webhooks import services
from problems import Problem
from users.ids import public_id_is_valid

if TYPE_CHECKING:
    # Generic for the type checker alone.
    _Admin = admin.ModelAdmin[Any]
else:
    _Admin = admin.ModelAdmin


class _Machinery(_Admin):
    """Rows that nobody edits by hand; actions need the permission to change them."""

    list_per_page = 50
    show_full_result_count = False
    ordering = ("-id",)
    # Words are not looked for: no index serves that. Ids are.
    search_fields = ("id",)
    search_help_text = "An id"

    def has_add_permission(self, _request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, _request: HttpRequest, _row: Any = None) -> bool:
        return False

    def has_change_permission(self, _request: HttpRequest, _row: Any = None) -> bool:
        return False

    def has_steer_permission(self, request: HttpRequest) -> bool:
        """Reading is granted by Django's `view` permission, steering by `change`."""
        return request.user.has_perm(f"jobs.change_{self.opts.model_name}")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        for prefix, field in self.ids.items():
            if public_id_is_valid(prefix, term):
                return queryset.filter(**{field: term}), False
        return (queryset.none() if term else queryset), False

    def each(
        self, request: HttpRequest, rows: QuerySet[Any], act: Callable[[Any], object], *, done: str
    ) -> None:
        """Does `act` to each of the rows and notes it in the log of the admin."""
        for row in rows[:500]:
            try:
                act(row)
            except Problem as problem:
                self.message_user(request, f"{row}: {problem.detail}", messages.WARNING)
            else:
                self.log_change(request, row, done)
                self.message_user(request, f"{row}: {done}.")

    ids: dict[str, str] = {}


@admin.register(Webhook)
class WebhookAdmin(_Machinery):
    list_display = (
        "id", "owner", "description", "events", "enabled", "off_reason", "failures", "failing_since",
    )  # fmt: skip
    list_filter = ("enabled", "off_reason")
    list_select_related = ("owner",)
    ids = {"whk": "id", "usr": "owner"}
    exclude = ("secret", "former_secret", "lease_token")
    actions = ("switch_off_selected",)

    @admin.action(description="Switch off selected webhooks", permissions=["steer"])
    def switch_off_selected(self, request: HttpRequest, webhooks: QuerySet[Webhook]) -> None:
        self.each(
            request, webhooks, lambda row: services.webhook_switch_off(webhook=row), done="switched off"
        )


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(_Machinery):
    list_display = (
        "id", "webhook", "type", "status", "attempts", "last_status", "last_error", "created_at",
    )  # fmt: skip
    list_filter = ("status", "type")
    list_select_related = ("webhook",)
    ids = {"whd": "id", "whk": "webhook"}
    actions = ("resend_selected",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookDelivery]:
        return super().get_queryset(request).select_related("webhook")

    @admin.action(description="Send selected deliveries again", permissions=["steer"])
    def resend_selected(self, request: HttpRequest, deliveries: QuerySet[WebhookDelivery]) -> None:
        self.each(
            request, deliveries, lambda row: services.delivery_resend(delivery=row), done="is sent again"
        )
