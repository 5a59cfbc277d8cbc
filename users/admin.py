"""Accounts, tiers, tokens, sessions and the admin's own log. The list of accounts itself is registered by
`jobs.admin`, which also knows what they use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from allauth.usersessions.models import UserSession
from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ActionForm
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.db.models import QuerySet
from django.http import HttpRequest

from problems import Problem
from users.admin_base import ListAdmin, ReadOnly
from users.models import ApiToken, Tier, User
from users.selectors import users_named
from users.services import (
    browser_sessions_end_all,
    token_revoke,
    tokens_revoke_all,
    user_delete,
    user_suspend,
    user_unsuspend,
)
from users.viewer import viewer_of

# allauth's own page would offer to edit a session's key.
admin.site.unregister(UserSession)

_RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")
_OVERRIDES = ("storage_bytes_override", "max_file_bytes_override", "concurrent_jobs_override")


class UserCreationForm(AdminUserCreationForm):  # type: ignore[type-arg]  # no generic at run time
    class Meta(AdminUserCreationForm.Meta):
        model = User
        fields = ("username", "email")


class AccountForm(UserChangeForm):  # type: ignore[type-arg]  # no generic at run time
    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        own = [cleaned.get(name) for name in _OVERRIDES]
        if any(value is not None for value in own) and not cleaned.get("limits_reason"):
            self.add_error("limits_reason", "Say why this account has limits of its own.")
        return cleaned


class SuspensionForm(ActionForm):
    reason = forms.CharField(
        max_length=300, required=False, widget=forms.TextInput(attrs={"placeholder": "Why (for suspending)"})
    )


def _may_change(request: HttpRequest, user: User) -> bool:
    """Accounts of staff are a matter of superusers: whoever resets their password has their rights."""
    return bool(getattr(request.user, "is_superuser", False)) or not (user.is_staff or user.is_superuser)


class AccountAdmin(ListAdmin, DjangoUserAdmin):  # type: ignore[type-arg]  # not generic at run time
    """What accounts alone know; see `jobs.admin.accounts`."""

    form = AccountForm
    add_form = UserCreationForm
    action_form = SuspensionForm
    change_user_password_template = None
    list_display = ("username", "email", "tier", "is_active", "is_staff", "date_joined", "last_login")
    list_filter = ("tier", "is_active", "is_staff")
    list_select_related = ("tier",)
    search_fields = ("username",)
    search_help_text = "An id, a whole e-mail address, or how a user name begins (as it is written)."
    ordering = ("-id",)
    readonly_fields = (
        "id", "is_active", "suspension_reason", "last_login", "date_joined", "updated_at",
    )  # fmt: skip
    actions = ("suspend", "unsuspend", "end_sessions", "revoke_tokens")
    fieldsets = (
        (None, {"fields": ("id", "username", "email", "password", "is_active", "suspension_reason")}),
        (
            "What it may use",
            {
                "description": "The tier grants; a value here replaces the tier's and needs a reason.",
                "fields": ("tier", *_OVERRIDES, "limits_reason"),
            },
        ),
        ("Rights", {"fields": _RIGHTS}),
        ("Times", {"fields": ("last_login", "date_joined", "updated_at")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("username", "email", "usable_password", "password1", "password2"),
            },
        ),
    )

    def search(self, rows: QuerySet[User], term: str) -> QuerySet[User]:
        return rows.filter(pk__in=users_named(term).values("pk"))

    def get_readonly_fields(self, request: HttpRequest, row: User | None = None) -> tuple[str, ...]:
        fixed = tuple(super().get_readonly_fields(request, row))
        return fixed if viewer_of(request).is_superuser else (*fixed, *_RIGHTS)

    def has_change_permission(self, request: HttpRequest, row: User | None = None) -> bool:
        return super().has_change_permission(request, row) and (row is None or _may_change(request, row))

    def has_delete_permission(self, request: HttpRequest, row: User | None = None) -> bool:
        # One at a time, with everything it owns.
        return row is not None and super().has_delete_permission(request, row) and _may_change(request, row)

    def get_deleted_objects(
        self, rows: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """Not the thousands of rows that go along, one by one."""
        words = [f"{user} with every video, upload, result, job, session and token" for user in rows]
        return words, {"accounts": len(words)}, set(), []

    def delete_model(self, _request: HttpRequest, user: User) -> None:
        user_delete(user=user)

    def row_actions(self, request: HttpRequest, user: User) -> Sequence[str]:
        if not self.has_change_permission(request, user):
            return ()
        return ("suspend" if user.is_active else "unsuspend", "end_sessions", "revoke_tokens")

    @admin.action(description="Suspend selected accounts", permissions=["change"])
    def suspend(self, request: HttpRequest, users: QuerySet[User]) -> None:
        reason = request.POST.get("reason", "")

        def act(user: User) -> None:
            self._check(request, user)
            if user == request.user:
                raise Problem("permission_denied")
            user_suspend(user=user, reason=reason)

        self.each(request, users, act, done="suspended", note=f"Suspended. {reason}".strip())

    @admin.action(description="Unsuspend selected accounts", permissions=["change"])
    def unsuspend(self, request: HttpRequest, users: QuerySet[User]) -> None:
        def act(user: User) -> None:
            self._check(request, user)
            user_unsuspend(user=user)

        self.each(request, users, act, done="opened again", note="Unsuspended.")

    @admin.action(description="Sign selected accounts out of all browsers", permissions=["change"])
    def end_sessions(self, request: HttpRequest, users: QuerySet[User]) -> None:
        def act(user: User) -> None:
            self._check(request, user)
            browser_sessions_end_all(user=user)

        self.each(request, users, act, done="signed out", note="Ended all sessions.")

    @admin.action(description="Revoke all tokens of selected accounts", permissions=["change"])
    def revoke_tokens(self, request: HttpRequest, users: QuerySet[User]) -> None:
        def act(user: User) -> None:
            self._check(request, user)
            tokens_revoke_all(user=user)

        self.each(request, users, act, done="left without tokens", note="Revoked all tokens.")

    def _check(self, request: HttpRequest, user: User) -> None:
        if not self.has_change_permission(request, user):
            raise Problem("permission_denied")


@admin.register(Tier)
class TierAdmin(admin.ModelAdmin[Tier]):
    list_display = (
        "name", "storage_bytes", "max_file_bytes", "concurrent_jobs", "priority", "original_days",
        "result_days",
    )  # fmt: skip
    ordering = ("storage_bytes",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Tier | None = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Tier | None = None) -> tuple[str, ...]:
        return ("name",)


class _OfUsers(ListAdmin):
    """Rows of accounts that administrators see and end, but never write."""

    list_select_related = ("user",)
    search_fields = ("user__username",)
    search_help_text = "An id, a whole e-mail address, or how a user name begins (as it is written)."
    address_filters = ("user",)

    def search(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        return rows.filter(user__in=users_named(term).values("pk"))

    def has_add_permission(self, _request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, _request: HttpRequest, _row: object = None) -> bool:
        return False


@admin.register(ApiToken)
class ApiTokenAdmin(_OfUsers):
    keyset_field = "public_id"
    list_display = ("public_id", "user", "name", "scope", "created", "expiry", "last_used_at")
    fields = list_display
    actions = ("revoke",)

    @admin.action(description="Revoke selected tokens", permissions=["delete"])
    def revoke(self, request: HttpRequest, tokens: QuerySet[ApiToken]) -> None:
        self.each(request, tokens, lambda token: token_revoke(token=token), done="revoked", note="Revoked.")


@admin.register(UserSession)
class UserSessionAdmin(_OfUsers):
    list_display = ("user", "ip", "user_agent", "created_at", "last_seen_at")
    fields = list_display

    def delete_model(self, request: HttpRequest, session: UserSession) -> None:
        session.end()

    def delete_queryset(self, request: HttpRequest, sessions: QuerySet[UserSession]) -> None:
        for session in sessions:
            session.end()


@admin.register(LogEntry)
class LogEntryAdmin(ReadOnly, ListAdmin):
    """Who did what here."""

    list_display = ("action_time", "user", "action_flag", "content_type", "object_repr", "words")
    list_select_related = ("user", "content_type")
    search_fields = ("user__username",)
    search_help_text = "The id of what was changed, or how the user name of an administrator begins."
    fields = (*list_display, "object_id")

    @admin.display(description="what was done")
    def words(self, entry: LogEntry) -> str:
        return str(entry.get_change_message())

    def get_search_results(
        self, _request: HttpRequest, queryset: QuerySet[LogEntry], search_term: str
    ) -> tuple[QuerySet[LogEntry], bool]:
        term = search_term.strip().replace("\x00", "")
        if not term:
            return queryset, False
        by_user = queryset.filter(user__in=users_named(term).values("pk"))
        return by_user | queryset.filter(object_id=term), False
