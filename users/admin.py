"""Accounts, tiers, tokens and sessions for administrators."""

from __future__ import annotations

from allauth.usersessions.models import UserSession
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.db.models import QuerySet
from django.http import HttpRequest

from users.admin_search import PublicIdSearch
from users.models import ApiToken, Tier, User
from users.services import sessions_end_all, token_revoke

# allauth's own page would offer to edit a session's key.
admin.site.unregister(UserSession)


class UserCreationForm(AdminUserCreationForm):  # type: ignore[type-arg]  # no generic at run time
    class Meta(AdminUserCreationForm.Meta):
        model = User
        fields = ("username", "email")


@admin.register(User)
class UserAdmin(PublicIdSearch, DjangoUserAdmin):  # type: ignore[type-arg]  # not generic at run time
    form = UserChangeForm
    add_form = UserCreationForm
    list_display = ("username", "email", "tier", "is_active", "is_staff", "date_joined", "last_login")
    list_filter = ("tier", "is_active", "is_staff", "is_superuser")
    list_select_related = ("tier",)
    search_fields = ("username", "email")
    ordering = ("-date_joined",)
    show_full_result_count = False
    readonly_fields = ("id", "last_login", "date_joined", "updated_at")
    actions = ("end_sessions",)
    fieldsets = (
        (None, {"fields": ("id", "username", "email", "password")}),
        (
            "What it may use",
            {
                "description": "The tier grants; a value here replaces the tier's.",
                "fields": (
                    "tier",
                    "storage_bytes_override",
                    "max_file_bytes_override",
                    "concurrent_jobs_override",
                ),
            },
        ),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
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

    @admin.action(description="Sign out everywhere and revoke all tokens", permissions=["change"])
    def end_sessions(self, request: HttpRequest, users: QuerySet[User]) -> None:
        for user in users:
            sessions_end_all(user=user)
        messages.success(request, f"Signed {len(users)} account(s) out everywhere.")


@admin.register(Tier)
class TierAdmin(PublicIdSearch):
    list_display = ("name", "storage_bytes", "max_file_bytes", "concurrent_jobs", "priority")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Tier | None = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Tier | None = None) -> tuple[str, ...]:
        return ("name",)


class _Ended:
    """Rows that administrators see and end, but never write."""

    def has_add_permission(self, _request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, _request: HttpRequest, _row: object = None) -> bool:
        return False


@admin.register(ApiToken)
class ApiTokenAdmin(_Ended, PublicIdSearch):
    list_display = ("public_id", "user", "name", "scope", "created", "expiry", "last_used_at")
    list_filter = ("scope", "created", "expiry")
    list_select_related = ("user",)
    search_fields = ("name", "user__username", "user__email")
    show_full_result_count = False
    fields = list_display
    actions = ("revoke",)

    @admin.action(description="Revoke", permissions=["delete"])
    def revoke(self, request: HttpRequest, tokens: QuerySet[ApiToken]) -> None:
        revoked = list(tokens)
        for token in revoked:
            token_revoke(token=token)
        messages.success(request, f"Revoked {len(revoked)} token(s).")


@admin.register(UserSession)
class UserSessionAdmin(_Ended, PublicIdSearch):
    list_display = ("user", "ip", "user_agent", "created_at", "last_seen_at")
    list_filter = ("last_seen_at",)
    list_select_related = ("user",)
    search_fields = ("user__username", "ip")
    show_full_result_count = False
    fields = list_display

    def delete_model(self, request: HttpRequest, session: UserSession) -> None:
        session.end()

    def delete_queryset(self, request: HttpRequest, sessions: QuerySet[UserSession]) -> None:
        for session in sessions:
            session.end()
