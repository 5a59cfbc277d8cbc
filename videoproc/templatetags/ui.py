"""The small pieces every page is made of: icons, states, form fields, figures in words."""

from __future__ import annotations

import math
from datetime import datetime
from functools import lru_cache
from typing import Any

from django import template
from django.conf import settings
from django.forms import BoundField, CheckboxInput, Select
from django.utils.html import format_html
from django.utils.safestring import SafeString
from lucide.templatetags.lucide import lucide

from problems import KINDS, Kind

register = template.Library()

# What people see of a state: its word, an icon and a tone; never the colour alone.
STATES: dict[str, tuple[str, str, str]] = {
    "queued": ("Waiting", "clock", "waiting"),
    "pending": ("Waiting", "clock", "waiting"),
    "active": ("Running", "loader-circle", "running"),
    "processing": ("Processing", "loader-circle", "running"),
    "paused": ("Paused", "pause", "warn"),
    "ready": ("Ready", "circle-check", "good"),
    "completed": ("Done", "circle-check", "good"),
    "delivered": ("Delivered", "circle-check", "good"),
    "failed": ("Failed", "octagon-alert", "bad"),
    "cancelled": ("Cancelled", "ban", "waiting"),
}


@register.simple_tag
@lru_cache(maxsize=256)
def icon(name: str, size: int = 18) -> str:
    """A decorative Lucide icon; the words beside it carry the meaning."""
    return str(lucide(name, size=size, aria_hidden="true", focusable="false"))


@register.inclusion_tag("parts/state.html")
def state(status: str) -> dict[str, str]:
    """The badge of a video's, job's or operation's state."""
    word, symbol, tone = STATES[status]
    return {"word": word, "symbol": symbol, "tone": tone}


@register.inclusion_tag("parts/field.html")
def field(bound: BoundField, *, autofocus: bool = False) -> dict[str, Any]:
    """A form field with label, help and errors in the site's design."""
    widget = bound.field.widget
    check = isinstance(widget, CheckboxInput)
    css = "form-check-input" if check else "form-select" if isinstance(widget, Select) else "form-control"
    attrs: dict[str, Any] = {"class": f"{css} is-invalid" if bound.errors else css}
    described = [f"{bound.id_for_label}_{part}" for part, there in _notes(bound) if there]
    if described:
        attrs["aria-describedby"] = " ".join(described)
    if autofocus:
        attrs["autofocus"] = True
    optional = not bound.field.required and not isinstance(widget, Select)
    return {"bound": bound, "check": check, "optional": optional, "widget": bound.as_widget(attrs=attrs)}


def _notes(bound: BoundField) -> tuple[tuple[str, bool], tuple[str, bool]]:
    return ("help", bool(bound.help_text)), ("error", bool(bound.errors))


@register.filter
def clock(seconds: float | None) -> str:
    """Seconds as people read them off a player: `0:07`, `12:30`, `1:02:03`."""
    if seconds is None:
        return ""
    hours, rest = divmod(round(seconds), 3600)
    minutes, secs = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{secs:02}" if hours else f"{minutes}:{secs:02}"


@register.filter
def whole(value: float) -> int:
    """Rounded down, so that 100 % is only shown when all is done."""
    return math.floor(value)


@register.filter
def took(milliseconds: int | None) -> str:
    """A length of time in words: `850 ms`, `12.3 s`, `4 min 10 s`, `2 h 5 min`."""
    if milliseconds is None:
        return ""
    if milliseconds < 1000:  # noqa: PLR2004 - a second
        return f"{milliseconds} ms"
    seconds = milliseconds / 1000
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    minutes, secs = divmod(round(seconds), 60)
    if minutes < 60:  # noqa: PLR2004 - an hour
        return f"{minutes} min {secs} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


@register.filter
def roughly(seconds: float) -> str:
    """An estimate in words, never less than a second and never finer than it deserves."""
    whole_seconds = max(1, round(seconds))
    if whole_seconds < 60:  # noqa: PLR2004 - a minute
        return f"{whole_seconds} s"
    minutes = round(whole_seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes / 60:.1f} h"  # noqa: PLR2004 - an hour


@register.simple_tag
def ago(moment: datetime | None) -> SafeString | str:
    """`3 minutes ago`, kept right by the browser; the full time in UTC without scripts and on hover."""
    if moment is None:
        return ""
    full = f"{moment:%d %b %Y, %H:%M} UTC"
    return format_html(
        '<relative-time datetime="{}" title="{}" tense="auto">{}</relative-time>',
        moment.isoformat(),
        full,
        full,
    )


@register.simple_tag
def problem_kinds() -> list[Kind]:
    """The whole table of problems, which their `type` addresses point into."""
    return sorted(KINDS.values(), key=lambda kind: (kind.status, kind.code))


@register.simple_tag
def public_url() -> str:
    """The site's address as the outside knows it, for examples people paste."""
    return str(settings.PUBLIC_URL)
