"""The pages of the trash: what is in it, out of it, and away for good."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from problems import Problem
from users.viewer import viewer_of
from videos import selectors
from videos.archive import MOST_CHOSEN
from videos.models import Video
from videos.paging import page_of
from videos.services import videos as services

PAGE_SIZE = 25


@login_required
@never_cache
@require_safe
def trash(request: HttpRequest) -> HttpResponse:
    """What was deleted and is still there, the latest first."""
    rows = selectors.videos_trashed_for(viewer_of(request)).defer("media_info")
    page = page_of(rows, request.GET, size=PAGE_SIZE, by=("-deleted_at", "-id"))
    return render(request, "videos/trash.html", {"page": page})


@login_required
@require_POST
def trash_restore(request: HttpRequest) -> HttpResponse:
    """Take videos out of the trash."""
    chosen = _chosen(request)
    done = 0
    for video in chosen:
        try:
            services.video_restore(video=video)
            done += 1
        except Problem as problem:
            messages.error(request, f"“{video.name}” stays in the trash. {problem.detail} {problem.hint}")
    if done == 1 and len(chosen) == 1:
        messages.success(request, f"“{chosen[0].name}” is back, with its results.")
        return redirect("video", chosen[0].pk)
    if done:
        messages.success(request, f"{done} videos are back, with their results.")
    return redirect("library" if done else "trash")


@login_required
@require_POST
def trash_delete(request: HttpRequest) -> HttpResponse:
    """Remove videos of the trash for good."""
    chosen = _chosen(request)
    services.trash_empty(owner=viewer_of(request), video_ids=[video.pk for video in chosen])
    names = f"“{chosen[0].name}” is" if len(chosen) == 1 else f"{len(chosen)} videos are"
    messages.success(request, f"{names} gone for good.")
    return redirect("trash")


@login_required
@require_POST
def trash_empty(request: HttpRequest) -> HttpResponse:
    """Remove everything in the trash for good."""
    gone = services.trash_empty(owner=viewer_of(request))
    messages.success(request, f"The trash is empty: {gone} {'video is' if gone == 1 else 'videos are'} gone.")
    return redirect("trash")


def _chosen(request: HttpRequest) -> list[Video]:
    """Raises `not_found` where one is not in the viewer's trash, or none is named."""
    ids = list(dict.fromkeys(request.POST.getlist("video")))[:MOST_CHOSEN]
    if not ids:
        raise Problem("not_found")
    return [selectors.video_trashed_get_for(viewer_of(request), video_id) for video_id in ids]
