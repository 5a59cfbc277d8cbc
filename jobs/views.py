"""The start page, jobs, and what people ask of a video."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect, reswap, retarget, trigger_client_event

from engine.types.media import MediaInfo
from jobs import selectors, services, steering
from jobs.forms import JobsFilter, OperationForm
from jobs.models import Job
from jobs.pickers import Offers
from problems import FieldError, Problem
from users.form_problems import problem_show
from users.models import User
from users.viewer import viewer_of
from videos.paging import page_of
from videos.preset_selectors import preset_usable_for
from videos.selectors import operation_get_for, video_get_for, videos_for
from videos.services.assets import asset_take
from videos.services.presets import preset_parameters

PAGE_SIZE = 25
RECENT_VIDEOS = 8
RUNNING_SHOWN = 5


def _is_partial(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true"


def _notice(response: HttpResponse, level: str, text: str) -> HttpResponse:
    return trigger_client_event(response, "notice", {"level": level, "text": text})


# ------------------------------------------------------------------------------------------- start page


@never_cache
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """What runs and what came last; for strangers what this is."""
    if not request.user.is_authenticated:
        return render(request, "landing.html")
    viewer = viewer_of(request)
    recent = videos_for(viewer).order_by("-id").defer("media_info")[:RECENT_VIDEOS]
    return render(request, "jobs/home.html", {"videos": recent, **_running(request)})


@login_required
@never_cache
@require_safe
def running(request: HttpRequest) -> HttpResponse:
    """The live part of the start page."""
    return render(request, "jobs/running.html", _running(request))


def _running(request: HttpRequest) -> dict[str, Any]:
    live = list(selectors.jobs_live_for(viewer_of(request))[: RUNNING_SHOWN + 1])
    selectors.queue_positions_note(live)
    return {"running": live[:RUNNING_SHOWN], "more_running": len(live) > RUNNING_SHOWN}


@login_required
@require_POST
def sample(request: HttpRequest) -> HttpResponse:
    """Put the sample clip into the library of someone who wants to try."""
    video = services.sample_submit(viewer=viewer_of(request), clip=settings.SAMPLE_CLIP)
    messages.success(request, "The sample clip is in your library. Try an operation on it.")
    return redirect("video", video.id)


# ------------------------------------------------------------------------------------------- jobs


@login_required
@never_cache
@require_safe
def jobs(request: HttpRequest) -> HttpResponse:
    """The history with filters, newest first; what runs is live."""
    narrowing = JobsFilter(request.GET)
    found = selectors.jobs_for(viewer_of(request), intake=narrowing.chosen("type") == Job.INTAKE)
    if type_ := narrowing.chosen("type"):
        found = found.filter(type=type_)
    if status := narrowing.chosen("status"):
        found = found.filter(finished_at=None) if status == JobsFilter.LIVE else found.filter(status=status)
    page = page_of(found, request.GET, size=PAGE_SIZE)
    selectors.queue_positions_note(page.rows)
    live = selectors.jobs_for(viewer_of(request)).filter(finished_at=None).exists()
    return render(request, "jobs/jobs.html", {"page": page, "filter": narrowing, "live": live})


@login_required
@never_cache
@require_safe
def job(request: HttpRequest, job_id: str) -> HttpResponse:
    """One run: how it goes, what it does, why it failed."""
    return render(request, "jobs/job.html", {"job": selectors.job_get_for(viewer_of(request), job_id)})


@login_required
@never_cache
@require_safe
def job_row(request: HttpRequest, job_id: str) -> HttpResponse:
    """The job's row in a list, for pages that saw its state change."""
    return render(request, "jobs/row.html", {"job": selectors.job_get_for(viewer_of(request), job_id)})


@login_required
@never_cache
@require_safe
def job_log(request: HttpRequest, job_id: str) -> HttpResponse:
    """The log as a text file."""
    found = selectors.job_get_for(viewer_of(request), job_id)
    headers = {
        "Content-Disposition": f'attachment; filename="{found.id}.log"',
        "X-Content-Type-Options": "nosniff",
    }
    return HttpResponse(found.log, content_type="text/plain; charset=utf-8", headers=headers)


@login_required
@require_POST
def job_cancel(request: HttpRequest, job_id: str) -> HttpResponse:
    """End a job that waits, runs or is paused."""
    cancelled = steering.job_cancel(viewer=viewer_of(request), job_id=job_id)
    return _after_change(request, cancelled, "The job is cancelled.")


@login_required
@require_POST
def job_pause(request: HttpRequest, job_id: str) -> HttpResponse:
    """Hold a job still that waits or runs."""
    paused = steering.job_pause(viewer=viewer_of(request), job_id=job_id)
    return _after_change(request, paused, "The job is paused.")


@login_required
@require_POST
def job_resume(request: HttpRequest, job_id: str) -> HttpResponse:
    """Let a paused job go on."""
    resumed = steering.job_resume(viewer=viewer_of(request), job_id=job_id)
    return _after_change(request, resumed, "The job goes on.")


@login_required
@require_POST
def job_bump(request: HttpRequest, job_id: str) -> HttpResponse:
    """Put a waiting job before the viewer's others."""
    bumped = steering.job_bump(viewer=viewer_of(request), job_id=job_id)
    return _after_change(request, bumped, "It is the next of your jobs.")


@login_required
@require_POST
def jobs_cancel(request: HttpRequest) -> HttpResponse:
    """End every job of the viewer that waits, runs or is paused."""
    count = steering.jobs_cancel_all(viewer=viewer_of(request))
    messages.success(request, f"{count} {'job is' if count == 1 else 'jobs are'} cancelled.")
    return redirect("jobs")


@login_required
@require_POST
def job_retry(request: HttpRequest, job_id: str) -> HttpResponse:
    """Run a failed or cancelled job again."""
    again = services.job_retry(viewer=viewer_of(request), job_id=job_id)
    return _after_change(request, again, "It runs again.")


@login_required
@require_POST
def job_fix(request: HttpRequest, job_id: str) -> HttpResponse:
    """Start what a failed job proposes instead."""
    started = services.job_fix(viewer=viewer_of(request), job_id=job_id)
    text = "It is started." if started.created else "You asked for exactly this before: here it is."
    messages.success(request, text)
    if started.job is None:
        return redirect("video", started.operation.video_id)
    return redirect("job", started.job.id)


def _after_change(request: HttpRequest, changed: Job, text: str) -> HttpResponse:
    """Buttons that asked for it get their operation's card or row back, the rest go to the job's page."""
    shape = request.POST.get("shape")
    if _is_partial(request) and shape == "card" and changed.operation is not None:
        return _notice(_card(request, changed.operation.id), "success", text)
    if _is_partial(request) and shape == "row":
        fresh = selectors.job_get_for(viewer_of(request), changed.id)
        return _notice(render(request, "jobs/row.html", {"job": fresh}), "success", text)
    messages.success(request, text)
    return redirect("job", changed.id)


# ------------------------------------------------------------------------------------------- operations


@login_required
@never_cache
@require_safe
def operation_card(request: HttpRequest, operation_id: str) -> HttpResponse:
    """The operation's card on its video's page, for pages that saw its state change."""
    return _card(request, operation_id)


def _card(request: HttpRequest, operation_id: str) -> HttpResponse:
    operation = operation_get_for(viewer_of(request), operation_id)
    entry = selectors.operation_with_latest_job(operation)
    return render(request, "jobs/operation_card.html", {"entry": entry, "video": operation.video})


@login_required
@require_POST
def operation_plan(request: HttpRequest, video_id: str, type_: str) -> HttpResponse:
    """What would be done with what is filled in; nothing is started."""
    form = OperationForm(type_, None, request.POST)
    context: dict[str, Any] = {"video_id": video_id, "awaits_upload": form.awaits_upload}
    if form.awaits_upload:
        return render(request, "jobs/plan.html", context)
    try:
        context["plan"] = services.operation_plan(
            viewer=viewer_of(request), video_id=video_id, type=type_, parameters=form.parameters()
        )
    except Problem as problem:
        context["problem"] = problem
    return render(request, "jobs/plan.html", context)


@login_required
@require_POST
def operation_create(request: HttpRequest, video_id: str, type_: str) -> HttpResponse:
    """Start an operation, or find the equal one."""
    viewer = viewer_of(request)
    data = request.POST.copy()
    form = OperationForm(type_, None, data, files=request.FILES)
    try:
        _uploads_take(viewer, video_id, form, data)
        submission = services.operation_submit(
            viewer=viewer, video_id=video_id, type=type_, parameters=form.parameters()
        )
    except Problem as problem:
        if problem.code in {"not_found", "unknown_operation"}:
            raise
        return _refused(request, video_id, type_, problem, data)
    text = "It is started." if submission.created else "You asked for exactly this before: here it is."
    if not _is_partial(request):
        messages.success(request, text)
        return redirect("video", video_id)
    video = video_get_for(viewer, video_id)
    return _notice(render(request, "jobs/started.html", {"video": video, "type": type_}), "success", text)


def _uploads_take(viewer: User, video_id: str, form: OperationForm, data: QueryDict) -> None:
    """Keep the small files that came with the form, and fill in their ids."""
    uploads = form.uploads
    if uploads:
        video_get_for(viewer, video_id)
    for name, upload in uploads.items():
        try:
            asset = asset_take(owner=viewer, pieces=upload.chunks(), filename=upload.name or "")
        except Problem as problem:
            text = f"{problem.detail} {problem.hint}"
            error = FieldError(f"/parameters/{name}", problem.code, text)
            raise Problem("invalid_parameters", errors=[error]) from problem
        data[form.add_prefix(name)] = asset.pk


def _refused(
    request: HttpRequest, video_id: str, type_: str, problem: Problem, data: QueryDict
) -> HttpResponse:
    video = video_get_for(viewer_of(request), video_id)
    media = None if video.media_info is None else MediaInfo.model_validate(video.media_info)
    form = OperationForm(type_, media, data, offers=Offers(viewer_of(request)))
    problem_show(form, problem)
    if not _is_partial(request):
        return render(request, "videos/video.html", {"video": video, "operation_form": form})
    response = render(request, "jobs/operation_form.html", {"video": video, "form": form})
    return reswap(retarget(response, f"#form-{type_}"), "outerHTML")


# ------------------------------------------------------------------------------------------- presets


@login_required
@require_POST
def preset_plan(request: HttpRequest, video_id: str) -> HttpResponse:
    """What would be done with the chosen preset; nothing is started."""
    viewer = viewer_of(request)
    context: dict[str, Any] = {"by_preset": True}
    try:
        preset = preset_usable_for(viewer, request.POST.get("preset", ""))
        context["plan"] = services.operation_plan(
            viewer=viewer, video_id=video_id, type=preset.type, parameters=preset.parameters
        )
    except Problem as problem:
        context["problem"] = problem
    return render(request, "jobs/plan.html", context)


@login_required
@require_POST
def preset_start(request: HttpRequest, video_id: str) -> HttpResponse:
    """Start the chosen preset, or find the equal operation."""
    viewer = viewer_of(request)
    video = video_get_for(viewer, video_id)
    chosen = request.POST.get("preset", "")
    try:
        preset = preset_usable_for(viewer, chosen)
        submission = services.operation_submit(
            viewer=viewer, video_id=video_id, type=preset.type, parameters=preset.parameters
        )
    except Problem as problem:
        template = "jobs/preset_refused.html" if _is_partial(request) else "videos/video.html"
        context = {"video": video, "preset_problem": problem, "preset_chosen": chosen}
        return render(request, template, context)
    text = "It is started." if submission.created else "You asked for exactly this before: here it is."
    if not _is_partial(request):
        messages.success(request, text)
        return redirect("video", video_id)
    return _notice(render(request, "jobs/preset_started.html", {"video": video}), "success", text)


@login_required
@require_POST
def preset_draft(request: HttpRequest, video_id: str, type_: str) -> HttpResponse:
    """Take what is filled in to the page that saves it under a name."""
    viewer = viewer_of(request)
    video = video_get_for(viewer, video_id)
    data = request.POST.copy()
    form = OperationForm(type_, None, data, files=request.FILES)
    try:
        _uploads_take(viewer, video_id, form, data)
        parameters = preset_parameters(owner=viewer, type=type_, parameters=form.parameters())
    except Problem as problem:
        return _refused(request, video_id, type_, problem, data)
    query = urlencode({"type": type_, "parameters": json.dumps(parameters), "video": video.id})
    address = f"{reverse('preset-new')}?{query}"
    return HttpResponseClientRedirect(address) if _is_partial(request) else redirect(address)
