"""Accounts with what they use."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.models import TierStorage
from jobs.selectors import jobs_live_for
from jobs.site import storage_count
from users.admin import AccountAdmin
from users.admin_base import ReadOnly
from users.models import User
from videos.selectors import storage_usage

_LISTS = {
    "jobs": "admin:jobs_job_changelist",
    "videos": "admin:videos_video_changelist",
    "uploads": "admin:videos_upload_changelist",
    "small files": "admin:videos_asset_changelist",
}
_OF_USERS = {
    "sessions": "admin:usersessions_usersession_changelist",
    "tokens": "admin:users_apitoken_changelist",
}
_BUSY = 100


@admin.register(User)
class UserAdmin(AccountAdmin):
    """`usage` and `work` are read when the page of one account is opened, never for a list."""

    def get_fieldsets(self, request: HttpRequest, row: User | None = None) -> Any:
        fieldsets = super().get_fieldsets(request, row)
        if row is None:
            return fieldsets
        first, *rest = fieldsets
        return (first, ("Usage", {"fields": ("usage", "work", "links")}), *rest)

    def get_readonly_fields(self, request: HttpRequest, row: User | None = None) -> tuple[str, ...]:
        return (*super().get_readonly_fields(request, row), "usage", "work", "links")

    @admin.display(description="storage")
    def usage(self, user: User) -> str:
        used, limit = storage_usage(user), user.storage_bytes_limit
        share = f" ({used * 100 // limit} %)" if limit else ""
        return f"{filesizeformat(used)} of {filesizeformat(limit)}{share}"

    @admin.display(description="live jobs")
    def work(self, user: User) -> str:
        number = len(jobs_live_for(user).values_list("pk", flat=True)[: _BUSY + 1])
        words = f"more than {_BUSY}" if number > _BUSY else str(number)
        return f"{words}; {user.concurrent_jobs_limit} may run at once"

    @admin.display(description="lists")
    def links(self, user: User) -> SafeString:
        pairs = [(name, f"{reverse(view)}?owner={user.pk}") for name, view in _LISTS.items()]
        pairs += [(name, f"{reverse(view)}?user={user.pk}") for name, view in _OF_USERS.items()]
        return SafeString(" · ".join(format_html('<a href="{}">{}</a>', url, name) for name, url in pairs))


@admin.register(TierStorage)
class TierStorageAdmin(ReadOnly, admin.ModelAdmin[TierStorage]):
    list_display = ("tier", "accounts", "stored", "counted_at")
    actions = ("count_again",)
    ordering = ("tier",)

    @admin.display(description="originals, results, unfinished uploads")
    def stored(self, row: TierStorage) -> str:
        return ", ".join(filesizeformat(size) for size in (row.originals, row.results, row.uploads))

    @admin.action(description="Count all tiers again", permissions=["view"])
    def count_again(self, request: HttpRequest, rows: QuerySet[TierStorage]) -> None:
        storage_count()
        for row in rows:
            self.log_change(request, row, "Counted again.")
        self.message_user(request, "Counted.")
