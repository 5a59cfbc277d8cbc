"""Pages of the library, of one video, and of uploading."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_POST, require_safe

from problems import Problem
from users.form_problems import problem_show
from users.viewer import viewer_of
from videos import selectors
from videos.forms import LibraryFilter, RenameForm
from videos.models import DURATION_OR_NONE
from videos.paging import page_of
from videos.services.uploads import upload_discard as discard
from videos.services.videos import video_rename as rename
from videos.services.videos import video_trash as trash

PAGE_SIZE = 24
# What the file chooser offers. The server goes by the content, never by the name.
EXTENSIONS = (
    ".mp4",
    ".mov",
    ".avi",
    ".webm",
    ".mkv",
    ".flv",
    ".ts",
    ".mpg",
    ".mpeg",
    ".wmv",
    ".3gp",
    ".ogv",
    ".m4v",
)


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


@login_required
@never_cache
@ensure_csrf_cookie
@require_safe
def upload(request: HttpRequest) -> HttpResponse:
    """Where files are dropped, and what earlier visits left unfinished."""
    viewer = viewer_of(request)
    left = max(0, viewer.storage_bytes_limit - selectors.storage_usage(viewer))
    context = {
        "extensions": EXTENSIONS,
        "storage_left": left,
        "max_file_size": min(viewer.max_file_bytes_limit, left),
        "unfinished": selectors.uploads_unfinished_for(viewer),
    }
    return render(request, "videos/upload.html", context)


@login_required
@require_POST
def upload_discard(request: HttpRequest, upload_id: str) -> HttpResponse:
    """Forget an unfinished upload and free its space."""
    discard(upload=selectors.upload_get_for(viewer_of(request), upload_id))
    messages.success(request, "The unfinished upload is discarded.")
    return redirect("upload")
