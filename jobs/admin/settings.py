"""The page of the site's settings: one row, so the list leads straight to it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from jobs.models import SiteSettings
from jobs.site import site_settings, site_settings_save


class SettingsForm(forms.ModelForm[SiteSettings]):
    class Meta:
        model = SiteSettings
        fields = (
            "drained", "drained_short", "drained_encode", "drained_until", "banner", "banner_level",
            "trash_days", "original_days", "result_days", "log_days", "history_days",
        )  # fmt: skip


@admin.register(SiteSettings)
class SiteSettingsAdmin(admin.ModelAdmin[SiteSettings]):
    form = SettingsForm
    fieldsets = (
        (
            "Drain",
            {
                "description": "Holds at once, for every worker. What runs is finished; nothing new starts.",
                "fields": ("drained", "drained_short", "drained_encode", "drained_until"),
            },
        ),
        ("Banner", {"fields": ("banner", "banner_level")}),
        (
            "Retention",
            {
                "description": "Applied by the hourly clean-up, in batches. What went does not come back.",
                "fields": ("trash_days", "original_days", "result_days", "log_days", "history_days"),
            },
        ),
        (None, {"fields": ("updated_at",)}),
    )
    readonly_fields = ("updated_at",)

    def has_add_permission(self, _request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, _request: HttpRequest, _row: SiteSettings | None = None) -> bool:
        return False

    def get_object(
        self, _request: HttpRequest, _object_id: str, _from_field: str | None = None
    ) -> SiteSettings | None:
        return site_settings()

    def changelist_view(
        self, _request: HttpRequest, _extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:jobs_sitesettings_change", args=[SiteSettings.ONLY]))

    def save_model(self, _request: HttpRequest, obj: SiteSettings, _form: Any, _change: bool) -> None:
        site_settings_save(obj)

    def response_post_save_change(self, _request: HttpRequest, _row: SiteSettings) -> HttpResponseRedirect:
        return HttpResponseRedirect(reverse("admin:index"))
