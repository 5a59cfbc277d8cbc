"""The pages of statistics: one's own, and for staff those of everybody."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from jobs import occupancy, statistics
from jobs.forms import StatisticsFilter
from jobs.models import SLOW_MS
from problems import Problem
from users.viewer import viewer_of

SHOWN = 5


@login_required
@never_cache
@require_safe
def statistics_page(request: HttpRequest) -> HttpResponse:
    """How jobs of the last days went."""
    narrowing = StatisticsFilter(request.GET)
    everybody = _everybody(request)
    period = statistics.period_of_days(narrowing.number_of_days)
    scope = statistics.scope_for(
        viewer_of(request), everybody=everybody, period=period, type=narrowing.chosen("type")
    )
    figures, types = statistics.job_figures_and_types(scope)
    slow = statistics.jobs_slow(scope, threshold_ms=SLOW_MS)[:SHOWN]
    failed = statistics.jobs_failed(scope)[:SHOWN]
    context = {
        "filter": narrowing,
        "everybody": everybody,
        "figures": figures,
        "types": types,
        "days": statistics.job_timeline(scope, days=narrowing.number_of_days),
        "slow": statistics.jobs_in_order([key["id"] for key in slow]),
        "slow_seconds": SLOW_MS / 1000,
        "failed": statistics.jobs_in_order([key["id"] for key in failed]),
        **_live(request, everybody=everybody),
    }
    return render(request, "jobs/statistics.html", context)


@login_required
@never_cache
@require_safe
def statistics_live(request: HttpRequest) -> HttpResponse:
    """The numbers of this moment, for the page that asks again every few seconds."""
    return render(request, "jobs/statistics_live.html", _live(request, everybody=_everybody(request)))


def _everybody(request: HttpRequest) -> bool:
    """Whether all users' jobs are asked for. Raises `permission_denied` for others than staff."""
    everybody = request.GET.get("scope") == "all"
    if everybody and not viewer_of(request).is_staff:
        raise Problem("permission_denied")
    return everybody


def _live(request: HttpRequest, *, everybody: bool) -> dict[str, Any]:
    if everybody:
        return {"everybody": True, "lanes": occupancy.lanes_now()}
    return {"everybody": False, "own": occupancy.own_now(viewer_of(request))}
