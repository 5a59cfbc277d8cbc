"""The page of one's own queue: what is taken next, and changing that."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import trigger_client_event

from jobs import selectors, steering
from problems import Problem
from users.viewer import viewer_of


@login_required
@never_cache
@require_safe
def queue(request: HttpRequest) -> HttpResponse:
    """The viewer's waiting jobs in their order."""
    template = "jobs/queue_lines.html" if _is_partial(request) else "jobs/queue.html"
    return render(request, template, {"lines": selectors.queue_of(viewer_of(request))})


@login_required
@require_POST
def queue_move(request: HttpRequest, job_id: str) -> HttpResponse:
    """Put a waiting job elsewhere: `to` first, earlier or later, or `before` or `after` another."""
    try:
        _move(request, job_id)
    except Problem as problem:
        if problem.code not in {"job_state_conflict", "job_order_conflict"} or not _is_partial(request):
            raise
        # It began meanwhile, most likely: what the queue looks like now says more than an error page.
        return _lines(request, "warning", f"{problem.detail} Here is the queue as it is now.")
    if not _is_partial(request):
        messages.success(request, "The job is moved.")
        return redirect("queue")
    return _lines(request, "success", "The job is moved.")


def _move(request: HttpRequest, job_id: str) -> None:
    viewer = viewer_of(request)
    selectors.job_get_for(viewer, job_id)
    to, before, after = (request.POST.get(name, "") for name in ("to", "before", "after"))
    if before or after:
        steering.job_reorder(viewer=viewer, job_id=job_id, beside=before or after, before=bool(before))
    elif to == "first":
        steering.job_bump(viewer=viewer, job_id=job_id)
    elif to in {"earlier", "later"}:
        steering.job_shift(viewer=viewer, job_id=job_id, earlier=to == "earlier")
    else:
        raise Problem("invalid_request")


def _is_partial(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true"


def _lines(request: HttpRequest, level: str, text: str) -> HttpResponse:
    lines = render(request, "jobs/queue_lines.html", {"lines": selectors.queue_of(viewer_of(request))})
    return trigger_client_event(lines, "notice", {"level": level, "text": text})
