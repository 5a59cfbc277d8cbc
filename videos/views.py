"""Pages of the library and of one video."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from problems import Problem
from users.form_problems import problem_show
from users.viewer import viewer_of
from videos import selectors
from videos.archive import MOST_CHOSEN
from videos.forms import LibraryFilter, RenameForm
from videos.models import DURATION_OR_NONE
from videos.paging import page_of
from videos.services.videos import video_rename as rename
from videos.services.videos import video_trash as trash
from videos.storage_map import storage_map
from videos.undo import undo_tag

PAGE_SIZE = 24
UNFINISHED_SHOWN = 50


@login_required
@never_cache
@require_safe
def library(request: HttpRequest) -> HttpResponse:
    """All own videos: search, filter, sort and page, kept in the address."""
    narrowing = LibraryFilter(request.GET)
    videos = selectors.videos_matching(selectors.videos_for(viewer_of(request)), narrowing.chosen("q"))
    if status := narrowing.chosen("status"):
        videos = videos.filter(status=status)
    videos = videos.annotate(length=DURATION_OR_NONE).defer("media_info")
    page = page_of(videos, request.GET, size=PAGE_SIZE, by=narrowing.order)
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
        request,
        "videos/tile.html",
        {
            "video": selectors.video_get_for(viewer_of(request), video_id),
            "selectable": "selectable" in request.GET,
        },
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
    messages.success(
        request, f"“{gone.name}” is in the trash with its results.", extra_tags=undo_tag([gone.pk])
    )
    return redirect("library")


@login_required
@require_POST
def selection(request: HttpRequest) -> HttpResponse:
    """What is to happen to several videos at once: into the trash, or out as one zip."""
    viewer = viewer_of(request)
    ids = list(dict.fromkeys(request.POST.getlist("video")))[:MOST_CHOSEN]
    if not ids:
        messages.info(request, "Choose videos first.")
        return redirect("library")
    chosen = [selectors.video_get_for(viewer, video_id) for video_id in ids]
    if request.POST.get("action") == "trash":
        for one in chosen:
            trash(video=one)
        words = f"{len(ids)} {'video is' if len(ids) == 1 else 'videos are'} in the trash."
        messages.success(request, words, extra_tags=undo_tag(ids))
        return redirect("library")
    what = "results" if request.POST.get("action") == "results" else "originals"
    if what == "results" and not selectors.results_exist(ids):
        messages.info(request, "None of these videos has a result.")
        return redirect("library")
    query = urlencode([("video", video_id) for video_id in ids] + [("what", what)])
    return redirect(f"{reverse('api-archive')}?{query}")


@login_required
@never_cache
@require_safe
def storage(request: HttpRequest) -> HttpResponse:
    """What takes the space, and where to make room."""
    viewer = viewer_of(request)
    found = storage_map(viewer)
    context = {"map": found, "unfinished": selectors.uploads_unfinished_for(viewer)[:UNFINISHED_SHOWN]}
    return render(request, "videos/storage.html", context)
