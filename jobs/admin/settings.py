"""The page of the site's settings: one row, so the list leads straight to it; and the limits of jobs at
once."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from engine import catalogue
from jobs.holds import title_of
from jobs.models import Limit, SiteSettings
from jobs.site import limit_delete, limit_save, site_settings, site_settings_save, time_zone_check
from problems import Problem


class SettingsForm(forms.ModelForm[SiteSettings]):
    class Meta:
        model = SiteSettings
        fields = (
            "drained", "drained_short", "drained_encode", "drained_until", "low_from", "low_until",
            "time_zone", "banner", "banner_level", "trash_days", "original_days", "result_days", "log_days",
            "history_days",
        )  # fmt: skip

    def clean_time_zone(self) -> str:
        name: str = self.cleaned_data["time_zone"].strip()
        try:
            time_zone_check(name)
        except Problem as problem:
            raise forms.ValidationError([error.detail for error in problem.errors]) from problem
        return name


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
        (
            "Hours of low priority",
            {
                "description": "What runs is finished; inspections and quick work start at any hour.",
                "fields": ("low_from", "low_until", "time_zone"),
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


class LimitForm(forms.ModelForm[Limit]):
    type = forms.ChoiceField(label="Operation", required=False)

    class Meta:
        model = Limit
        fields = ("tier", "type", "at_once", "per_user")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        known = [(name, operation.title) for name, operation in catalogue.operations().items()]
        field = self.fields["type"]
        field.help_text = "Only jobs of this operation."
        field.choices = [("", "Any operation"), *sorted(known, key=lambda one: one[1])]  # type: ignore[attr-defined]  # a ChoiceField, as above


@admin.register(Limit)
class LimitAdmin(admin.ModelAdmin[Limit]):
    """How much may run at once, of what and for whom."""

    form = LimitForm
    list_display = ("operation", "tier", "at_once", "per_user")
    list_select_related = ("tier",)
    ordering = ("tier", "type")

    @admin.display(description="operation", ordering="type")
    def operation(self, limit: Limit) -> str:
        return title_of(limit.type) if limit.type else "Any operation"

    def save_model(self, _request: HttpRequest, obj: Limit, _form: Any, _change: bool) -> None:
        limit_save(obj)

    def delete_model(self, _request: HttpRequest, obj: Limit) -> None:
        limit_delete(obj)

    def delete_queryset(self, _request: HttpRequest, queryset: QuerySet[Limit]) -> None:
        for limit in queryset:
            limit_delete(limit)
