"""Pages of the library and of one video."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from problems import Problem
from users.form_problems import problem_show
from users.viewer import viewer_of
from videos import selectors
from videos.forms import LibraryFilter, RenameForm
from videos.paging import page_of
from videos.services.videos import video_rename as rename
from videos.services.videos import video_trash as trash

PAGE_SIZE = 24


@login_required
@never_cache
@require_safe
def library(request: HttpRequest) -> HttpResponse:
    """All own videos: search, filter, sort and page, kept in the address."""
    narrowing = LibraryFilter(request.GET)
    videos = selectors.videos_matching(selectors.videos_for(viewer_of(request)), narrowing.chosen("q"))
    if status := narrowing.chosen("status"):
        videos = videos.filter(status=status)
    videos = videos.order_by(*narrowing.order).defer("media_info")
    page = page_of(videos, request.GET.get("page", ""), size=PAGE_SIZE)
    return render(request, "videos/library.html", {"page": page, "filter": narrowing})


@login_required
@never_cache
@require_safe
def video(request: HttpRequest, video_id: str) -> HttpResponse:
    """One video: player, what is in it, and what can be made from it."""
    return render(
        request, "videos/video.html", {"video": selectors.video_get_for(viewer_of(request), video_id)}
    )


@login_required
@never_cache
@require_safe
def video_tile(request: HttpRequest, video_id: str) -> HttpResponse:
    """The video's place in a grid, for pages that saw it change."""
    return render(
        request, "videos/tile.html", {"video": selectors.video_get_for(viewer_of(request), video_id)}
    )


@login_required
@require_POST
def video_rename(request: HttpRequest, video_id: str) -> HttpResponse:
    """Give the video another name."""
    named = selectors.video_get_for(viewer_of(request), video_id)
    form = RenameForm(request.POST)
    if form.is_valid():
        try:
            rename(video=named, name=form.cleaned_data["name"])
        except Problem as problem:
            problem_show(form, problem)
        else:
            messages.success(request, "The video has its new name.")
            return redirect("video", video_id)
    return render(request, "videos/video.html", {"video": named, "rename_form": form})


@login_required
@require_POST
def video_delete(request: HttpRequest, video_id: str) -> HttpResponse:
    """Move the video with its results to the trash."""
    gone = selectors.video_get_for(viewer_of(request), video_id)
    trash(video=gone)
    messages.success(request, f"“{gone.name}” and its results are deleted.")
    return redirect("library")
