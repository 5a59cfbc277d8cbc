"""Jobs for administrators: find, read and steer. Nothing is edited by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from engine import catalogue
from jobs.models import Job, Step
from jobs.placement import job_move_any, job_prioritise_any
from jobs.selectors import failure_codes, job_hold
from jobs.services import job_retry_any
from jobs.steering import job_bump_any, job_cancel_any, job_pause_any, job_resume_any
from problems import kind_for
from users.admin_base import ListAdmin, ReadOnly
from users.models import Priority
from users.selectors import users_named
from videos.selectors import NAMED_FEW, videos_named

if TYPE_CHECKING:
    # Generic for the type checker alone.
    _Inline = admin.TabularInline[Step, Job]
else:
    _Inline = admin.TabularInline

_FOUND_MAX = 2000
_MOVES = ("move_short", "move_encode")
_RETRIES = ("retry_selected", "retry_short", "retry_encode")
_PRIORITIES = ("priority_high", "priority_normal", "priority_low")
_OFFERED: dict[str, tuple[str, ...]] = {
    Job.Status.QUEUED: ("pause_selected", "bump_selected", "cancel_selected", *_MOVES, *_PRIORITIES),
    Job.Status.ACTIVE: ("pause_selected", "cancel_selected", *_PRIORITIES),
    Job.Status.PAUSED: ("resume_selected", "cancel_selected", *_MOVES, *_PRIORITIES),
    Job.Status.FAILED: _RETRIES,
    Job.Status.CANCELLED: _RETRIES,
}


class StepInline(ReadOnly, _Inline):
    model = Step
    fields = (
        "position", "kind", "lane", "status", "attempt", "worker", "lease_until", "cpu_seconds", "started_at",
        "finished_at",
    )  # fmt: skip
    extra = 0
    can_delete = False
    show_change_link = False
    verbose_name_plural = "steps and their tries"
    ordering = ("position",)


class TypeFilter(admin.SimpleListFilter):
    """By operation; index job_type_newest."""

    title = "type"
    parameter_name = "type"

    def lookups(self, _request: HttpRequest, _admin: Any) -> list[tuple[str, str]]:
        known = [(name, operation.title) for name, operation in catalogue.operations().items()]
        return [(Job.INTAKE, "Inspection"), *known]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        return queryset.filter(type=self.value()) if self.value() else queryset


class ErrorFilter(admin.SimpleListFilter):
    """Failed jobs by code; index job_error_newest."""

    title = "why it failed"
    parameter_name = "error"

    def lookups(self, _request: HttpRequest, _admin: Any) -> list[tuple[str, str]]:
        return [(code, kind_for(code).title) for code in failure_codes()]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        return (
            queryset.filter(status=Job.Status.FAILED, error_code=self.value()) if self.value() else queryset
        )


@admin.register(Job)
class JobAdmin(ReadOnly, ListAdmin):
    list_display = (
        "id", "status", "error_code", "type", "owner", "video", "queued_at", "priority", "progress",
        "attempt", "duration_ms",
    )  # fmt: skip
    list_filter = ("status", TypeFilter, ErrorFilter, "queued_at")
    list_defer = ("log", "plan", "video__media_info")
    address_filters = ("owner", "video", "operation")
    search_fields = ("owner__username",)
    search_help_text = (
        "An id of a job, user, video or operation; how the name of one of the newest videos begins; a user's "
        "e-mail address, or how their user name begins."
    )
    list_select_related = ("owner", "video")
    ordering = ("-id",)
    inlines = (StepInline,)
    actions = (
        "retry_selected", "retry_short", "retry_encode", "cancel_selected", "pause_selected",
        "resume_selected", "bump_selected", "move_short", "move_encode", "priority_high",
        "priority_normal", "priority_low",
    )  # fmt: skip
    fieldsets = (
        (None, {"fields": ("id", "type", "status", "held", "owner", "video", "operation", "other_runs")}),
        ("Why", {"fields": ("error_code", "error_message", "hint", "helps_to_retry")}),
        (
            "How it goes",
            {
                "fields": (
                    "priority", "progress", "speed", "eta_seconds", "attempt", "max_attempts", "queued_at",
                    "started_at", "finished_at", "duration_ms", "cpu_seconds", "run_after", "paused_at",
                    "cancel_requested_at",
                )
            },
        ),
        ("Log of the tools", {"fields": ("log_lines",)}),
        ("What was planned", {"classes": ("collapse",), "fields": ("plan_text",)}),
    )  # fmt: skip

    def search(self, rows: QuerySet[Job], term: str) -> QuerySet[Job]:
        owners, few = list(users_named(term)), videos_named(term, at_most=NAMED_FEW)
        named = Job.objects.filter(video__in=list(few.values_list("pk", flat=True)))
        # By the index of the video: PostgreSQL would walk the history from its end until it meets them.
        found = named.order_by("video_id").values("pk")[:_FOUND_MAX]
        if not owners:
            return rows.filter(pk__in=found)
        # As lists: PostgreSQL reads no index for "this subquery or that one".
        return rows.filter(Q(owner__in=owners) | Q(pk__in=list(found.values_list("pk", flat=True))))

    def get_fieldsets(self, request: HttpRequest, job: Job | None = None) -> Any:
        """Nothing about a failure where there is none."""
        sets = super().get_fieldsets(request, job)
        return sets if job is None or job.error_code else [entry for entry in sets if entry[0] != "Why"]

    def row_actions(self, _request: HttpRequest, job: Job) -> Sequence[str]:
        if job.type == Job.INTAKE and not job.is_finished:
            return ()
        return _OFFERED.get(job.status, ())

    # ------------------------------------------------------------------------------------- what is shown

    @admin.display(description="held back")
    def held(self, job: Job) -> str:
        hold = job_hold(job)
        return "no" if hold is None else hold.words

    @admin.display(description="other runs")
    def other_runs(self, job: Job) -> str | SafeString:
        if job.operation_id is None:
            return "-"
        address = f"{reverse('admin:jobs_job_changelist')}?operation={job.operation_id}"
        return format_html('<a href="{}">all runs of this operation</a>', address)

    @admin.display(description="what helps")
    def hint(self, job: Job) -> str:
        return kind_for(job.error_code).hint

    @admin.display(description="a retry may help", boolean=True)
    def helps_to_retry(self, job: Job) -> bool:
        return kind_for(job.error_code).retryable

    @admin.display(description="log")
    def log_lines(self, job: Job) -> str | SafeString:
        return format_html('<pre class="lines">{}</pre>', job.log) if job.log else "Nothing was logged."

    @admin.display(description="plan")
    def plan_text(self, job: Job) -> str | SafeString:
        text = json.dumps(job.plan, indent=2, ensure_ascii=False)
        return "-" if job.plan is None else format_html('<pre class="lines">{}</pre>', text)

    # ------------------------------------------------------------------------------------- actions

    @admin.action(description="Pause selected jobs", permissions=["steer"])
    def pause_selected(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, job_pause_any, "paused")

    @admin.action(description="Resume selected jobs", permissions=["steer"])
    def resume_selected(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, job_resume_any, "resumed")

    @admin.action(description="Put selected jobs before their owner's others", permissions=["steer"])
    def bump_selected(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, job_bump_any, "bumped")

    @admin.action(description="Cancel selected jobs", permissions=["cancel"])
    def cancel_selected(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, job_cancel_any, "cancelled")

    @admin.action(description="Retry selected jobs", permissions=["retry"])
    def retry_selected(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, job_retry_any, "queued again")

    @admin.action(description="Retry selected jobs in the short lane", permissions=["retry"])
    def retry_short(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, job_retry_any, "queued again in the short lane", lane=Step.Lane.SHORT)

    @admin.action(description="Retry selected jobs in the encode lane", permissions=["retry"])
    def retry_encode(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, job_retry_any, "queued again in the encode lane", lane=Step.Lane.ENCODE)

    @admin.action(description="Move selected jobs to the short lane", permissions=["steer"])
    def move_short(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, job_move_any, "moved to the short lane", lane=Step.Lane.SHORT)

    @admin.action(description="Move selected jobs to the encode lane", permissions=["steer"])
    def move_encode(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, job_move_any, "moved to the encode lane", lane=Step.Lane.ENCODE)

    @admin.action(description="Give selected jobs high priority", permissions=["steer"])
    def priority_high(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, job_prioritise_any, "given high priority", priority=Priority.HIGH)

    @admin.action(description="Give selected jobs normal priority", permissions=["steer"])
    def priority_normal(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, job_prioritise_any, "given normal priority", priority=Priority.NORMAL)

    @admin.action(description="Give selected jobs low priority", permissions=["steer"])
    def priority_low(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, job_prioritise_any, "given low priority", priority=Priority.LOW)

    def has_steer_permission(self, request: HttpRequest) -> bool:
        """Reading is granted by Django's `view` permission, steering by `change`."""
        return request.user.has_perm("jobs.change_job")

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.cancel_job") or self.has_steer_permission(request)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.retry_job") or self.has_steer_permission(request)

    def _each(
        self, request: HttpRequest, jobs: QuerySet[Job], act: Callable[..., Job], done: str, **options: Any
    ) -> None:
        self.each(
            request,
            jobs,
            lambda job: act(job_id=job.pk, **options),
            done=done,
            note=f"{done[0].upper()}{done[1:]}.",
        )
