"""The page of one's small files: pictures and subtitles that operations use."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from users.viewer import viewer_of
from videos import selectors
from videos.paging import page_of
from videos.services.assets import asset_delete as delete

PAGE_SIZE = 25


@login_required
@never_cache
@require_safe
def assets(request: HttpRequest) -> HttpResponse:
    """The viewer's own, newest first, to download and delete."""
    page = page_of(selectors.assets_for(viewer_of(request)), request.GET, size=PAGE_SIZE)
    return render(request, "videos/assets.html", {"page": page})


@login_required
@require_POST
def asset_delete(request: HttpRequest, asset_id: str) -> HttpResponse:
    """Remove one of them for good."""
    asset = selectors.asset_get_for(viewer_of(request), asset_id)
    delete(asset=asset)
    messages.success(request, f"“{asset.filename}” is deleted.")
    return redirect("assets")
