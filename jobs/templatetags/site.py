"""What administrators tell everybody: the banner, and why a job waits."""

from __future__ import annotations

from typing import Any

from django import template

from jobs.models import Job, SiteSettings, Step
from jobs.site import held_by_drain, site_settings

register = template.Library()


@register.inclusion_tag("parts/site_notice.html")
def site_notice() -> dict[str, Any]:
    """The banner, and that the site is paused."""
    found = site_settings()
    return {"site": found, "paused": found.lanes_drained == set(Step.Lane.values)}


@register.simple_tag
def held_back(job: Job) -> SiteSettings | None:
    """The site's settings, where they are why this job waits."""
    return held_by_drain(job)
