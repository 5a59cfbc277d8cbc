"""Pages of share links for their owners."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from problems import Problem
from users.form_problems import problem_show
from users.viewer import viewer_of
from videos import share_selectors as selectors
from videos.models import Output, ShareLink, Video
from videos.paging import page_of
from videos.selectors import video_get_for
from videos.services import shares as services
from videos.share_forms import ShareChangeForm, ShareForm

PAGE_SIZE = 25
RESULTS_OFFERED = 100


@login_required
@never_cache
@require_safe
def shares(request: HttpRequest) -> HttpResponse:
    """All own links, newest first."""
    page = page_of(selectors.shares_for(viewer_of(request)), request.GET, size=PAGE_SIZE)
    return render(request, "videos/shares.html", {"page": page})


@sensitive_post_parameters("password")
@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def video_shares(request: HttpRequest, video_id: str) -> HttpResponse:
    """The links of one video, and the form of a new one; `?output=` chooses a result of it."""
    viewer = viewer_of(request)
    video = video_get_for(viewer, video_id)
    outputs = _offered(video)
    if request.method != "POST":
        initial = {"title": video.name, "output": request.GET.get("output", "")}
        return _of_video(request, video, ShareForm(initial=initial, outputs=outputs))
    form = ShareForm(request.POST, outputs=outputs)
    if form.is_valid():
        try:
            output = selectors.output_of_video(viewer, video, form.cleaned_data["output"])
            made = services.share_create(video=video, output=output, **form.wishes())
        except Problem as problem:
            problem_show(form, problem)
        else:
            messages.success(request, "The link is ready to be handed on.")
            return redirect("share", made.pk)
    return _of_video(request, video, form)


@sensitive_post_parameters("password")
@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def share(request: HttpRequest, share_id: str) -> HttpResponse:
    """One link with its log; a POST changes it."""
    found = selectors.share_get_for(viewer_of(request), share_id)
    if request.method != "POST":
        return _one(request, found, ShareChangeForm(share=found))
    form = ShareChangeForm(request.POST, share=found)
    if form.is_valid():
        try:
            services.share_update(share=found, changes=form.changes())
        except Problem as problem:
            problem_show(form, problem)
        else:
            messages.success(request, "The link is saved.")
            return redirect("share", found.pk)
    return _one(request, found, form)


@login_required
@require_POST
def share_revoke(request: HttpRequest, share_id: str) -> HttpResponse:
    """End a link for good."""
    services.share_revoke(share=selectors.share_get_for(viewer_of(request), share_id))
    messages.success(request, "The link is ended. Nobody can open it any more.")
    return redirect("share", share_id)


@login_required
@require_POST
def share_delete(request: HttpRequest, share_id: str) -> HttpResponse:
    """End a link and forget it with its log."""
    found = selectors.share_get_for(viewer_of(request), share_id)
    services.share_delete(share=found)
    messages.success(request, "The link is deleted.")
    return redirect("video-shares", found.video_id)


def _offered(video: Video) -> list[Output]:
    found = Output.objects.filter(operation__video=video).order_by("-id")
    return list(found.defer("media_info", "verification", "members")[:RESULTS_OFFERED])


def _of_video(request: HttpRequest, video: Video, form: ShareForm) -> HttpResponse:
    page = page_of(selectors.shares_of(video), request.GET, size=PAGE_SIZE)
    return render(request, "videos/video_shares.html", {"video": video, "page": page, "form": form})


def _one(request: HttpRequest, found: ShareLink, form: ShareChangeForm) -> HttpResponse:
    context = {
        "share": found,
        "form": form,
        "url": selectors.share_url(found),
        "visits": selectors.share_visits(found),
    }
    return render(request, "videos/share.html", context)
