"""The upload page: where files are dropped, what is unfinished, and imports from web addresses."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_POST, require_safe

from problems import Problem
from users.form_problems import problem_show
from users.models import User
from users.viewer import viewer_of
from videos import selectors
from videos.forms import ImportForm
from videos.services.uploads import upload_discard as discard
from videos.services.url_imports import import_create, import_retry

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
# Neither list is long for anybody who uploads by hand; programs have the API's pages.
LISTED = 50


@login_required
@never_cache
@ensure_csrf_cookie
@require_safe
def upload(request: HttpRequest) -> HttpResponse:
    """Where files are dropped, and what earlier visits left unfinished."""
    return _page(request, ImportForm())


@login_required
@never_cache
@require_POST
def import_new(request: HttpRequest) -> HttpResponse:
    """Ask for a file at a web address."""
    form = ImportForm(request.POST)
    if form.is_valid():
        try:
            import_create(owner=viewer_of(request), **form.cleaned_data)
        except Problem as problem:
            problem_show(form, problem)
        else:
            messages.success(request, "The import has begun. You may leave this page.")
            return redirect("upload")
    return _page(request, form)


@login_required
@never_cache
@require_safe
def imports(request: HttpRequest) -> HttpResponse:
    """How the imports stand, for the page that shows them."""
    return render(request, "videos/imports.html", _imports(viewer_of(request)))


@login_required
@require_POST
def import_again(request: HttpRequest, import_id: str) -> HttpResponse:
    """Let a failed import begin anew."""
    try:
        import_retry(row=selectors.import_get_for(viewer_of(request), import_id))
    except Problem as problem:
        if problem.code != "conflict":
            raise
        # It runs again already, or came to its end: the page shows it.
    return redirect("upload")


@login_required
@require_POST
def upload_discard(request: HttpRequest, upload_id: str) -> HttpResponse:
    """Forget an unfinished upload or an import, and free its space."""
    discard(upload=selectors.upload_get_for(viewer_of(request), upload_id))
    messages.success(request, "It is discarded.")
    return redirect("upload")


def _page(request: HttpRequest, form: ImportForm) -> HttpResponse:
    viewer = viewer_of(request)
    left = max(0, viewer.storage_bytes_limit - selectors.storage_usage(viewer))
    context = {
        "extensions": EXTENSIONS,
        "storage_left": left,
        "max_file_size": min(viewer.max_file_bytes_limit, left),
        "unfinished": selectors.uploads_unfinished_for(viewer)[:LISTED],
        "form": form,
        **_imports(viewer),
    }
    return render(request, "videos/upload.html", context)


def _imports(viewer: User) -> dict[str, Any]:
    rows = list(selectors.imports_for(viewer).order_by("-id")[:LISTED])
    return {"imports": rows, "importing": any(row.is_open for row in rows)}
