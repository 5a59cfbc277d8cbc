"""Jobs for administrators: find, read and steer. Nothing is edited by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

import jobs.webhooks_admin  # noqa: F401 - Django looks for registrations in this module alone
from jobs.models import Job, Step
from jobs.services import job_retry_any
from jobs.steering import job_bump_any, job_cancel_any, job_pause_any, job_resume_any
from problems import Problem
from users.ids import public_id_is_valid

_IDS = {"job": "id", "vid": "video", "op": "operation", "usr": "owner"}

if TYPE_CHECKING:
    # Generic for the type checker alone.
    _Inline = admin.TabularInline[Step, Job]
    _Admin = admin.ModelAdmin[Job]
else:
    _Inline = admin.TabularInline
    _Admin = admin.ModelAdmin


class _ReadOnly:
    """The rows are made and changed by the machinery alone."""

    def has_add_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        return False


class StepInline(_ReadOnly, _Inline):
    model = Step
    fields = (
        "position", "kind", "lane", "status", "attempt", "worker", "lease_until", "cpu_seconds", "started_at",
        "finished_at",
    )  # fmt: skip
    extra = 0
    can_delete = False


@admin.register(Job)
class JobAdmin(_ReadOnly, _Admin):
    list_display = (
        "id", "type", "owner", "video", "status", "priority", "progress", "attempt", "error_code",
        "queued_at", "duration_ms",
    )  # fmt: skip
    list_filter = ("status", "type", "priority", "error_code", "queued_at")
    search_fields = ("owner__username", "owner__email", "video__name", "error_message")
    list_select_related = ("owner", "video")
    show_full_result_count = False
    ordering = ("-id",)
    inlines = (StepInline,)
    actions = ("pause_selected", "resume_selected", "bump_selected", "cancel_selected", "retry_selected")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        return super().get_queryset(request).select_related("owner", "video", "operation")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Job], search_term: str
    ) -> tuple[QuerySet[Job], bool]:
        """An id finds its own row at once; anything else is looked for in names and messages."""
        term = search_term.strip()
        for prefix, field in _IDS.items():
            if public_id_is_valid(prefix, term):
                return queryset.filter(**{field: term}), False
        return super().get_search_results(request, queryset, search_term)

    @admin.action(description="Pause selected jobs", permissions=["steer"])
    def pause_selected(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, job_pause_any, "paused")

    @admin.action(description="Resume selected jobs", permissions=["steer"])
    def resume_selected(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, job_resume_any, "resumed")

    @admin.action(description="Put selected jobs before their owner's others", permissions=["steer"])
    def bump_selected(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, job_bump_any, "bumped")

    @admin.action(description="Cancel selected jobs", permissions=["steer"])
    def cancel_selected(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, job_cancel_any, "cancelled")

    @admin.action(description="Retry selected jobs", permissions=["steer"])
    def retry_selected(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, job_retry_any, "queued again")

    def has_steer_permission(self, request: HttpRequest) -> bool:
        """Reading is granted by Django's `view` permission, steering by `change`."""
        return request.user.has_perm("jobs.change_job")

    def _each(self, request: HttpRequest, jobs: QuerySet[Job], act: Callable[..., Job], done: str) -> None:
        skipped: Counter[str] = Counter()
        count = 0
        for job_id in jobs.values_list("pk", flat=True):
            try:
                act(job_id=job_id)
                count += 1
            except Problem as problem:
                skipped[problem.detail] += 1
        if count:
            self.message_user(request, f"{count} {'job was' if count == 1 else 'jobs were'} {done}.")
        for reason, times in skipped.items():
            self.message_user(request, f"{times} skipped: {reason}", messages.WARNING)
