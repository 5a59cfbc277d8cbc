"""What administrators tell everybody: the banner, and why a job waits."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import template
from django.template import Context

from jobs import selectors
from jobs.holds import Hold
from jobs.models import Job, SiteSettings, Step
from jobs.retention import Rules, rules_of
from jobs.site import site_settings
from users.models import User
from videos.models import Video

register = template.Library()
_KNOWN = "_site_settings"


@register.inclusion_tag("parts/site_notice.html", takes_context=True)
def site_notice(context: Context) -> dict[str, Any]:
    """The banner, and that the site is paused."""
    found = _settings_of(context)
    return {"site": found, "paused": found.lanes_drained == set(Step.Lane.values)}


@register.simple_tag
def held_back(job: Job) -> Hold | None:
    """Why this job waits although a worker may be free."""
    return selectors.job_hold(job)


@register.simple_tag(takes_context=True)
def trash_days(context: Context) -> int:
    """For how many days what was deleted can be taken out of the trash."""
    return _settings_of(context).trash_days


@register.simple_tag(takes_context=True)
def retention_rules(context: Context, user: User) -> Rules:
    """How long things of this user stay."""
    return rules_of(user.tier, _settings_of(context))


@register.simple_tag(takes_context=True)
def goes_on(context: Context, video: Video) -> datetime | None:
    """When the video moves to the trash by itself; None where it does not."""
    days = rules_of(video.owner.tier, _settings_of(context)).original_days
    return None if days is None else video.created_at + timedelta(days=days)


def _settings_of(context: Context) -> SiteSettings:
    """Read once for each page, however many jobs are on it."""
    request = getattr(context, "request", None)
    if request is None:
        return site_settings()
    known: SiteSettings = vars(request).get(_KNOWN) or site_settings()
    vars(request)[_KNOWN] = known
    return known
