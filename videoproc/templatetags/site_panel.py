"""The panel on the first page of the admin."""

from __future__ import annotations

from typing import Any

from django import template
from django.core.cache import cache

from jobs.overview import overview
from jobs.site import site_settings, storage_by_tier
from problems import kind_for
from users.models import User
from videoproc.health import Health, site_health
from videos.storage import room

register = template.Library()

_KNOWN = "site-health"
# Workers are asked through the broker, for half a second.
_ASK_AGAIN_SECONDS = 10


@register.inclusion_tag("admin/site_panel.html")
def site_panel(viewer: User) -> dict[str, Any]:
    """Queues, failures, workers, disk and storage; empty for staff who may not look at jobs."""
    if not viewer.has_perm("jobs.view_job"):
        return {"allowed": False}
    health = _health()
    found, site = overview(), site_settings()
    free, reserve = room()
    return {
        "allowed": True,
        "site": site,
        "drained": sorted(site.lanes_drained),
        "may_drain": viewer.has_perm("jobs.change_sitesettings"),
        "overview": found,
        "failures": [(code, kind_for(code).title, number) for code, number in found.failures],
        "workers": health.workers,
        "sandbox": health.sandbox,
        "warnings": health.warnings,
        "faults": [f"{part}: {state}" for part, state in health.checks.items() if state != "ok"],
        "free": free,
        "reserve": reserve,
        "short_of_room": free < reserve,
        "tiers": storage_by_tier(),
    }


def _health() -> Health:
    known: Health | None = cache.get(_KNOWN)
    if known is None:
        known = site_health()
        cache.set(_KNOWN, known, _ASK_AGAIN_SECONDS)
    return known
