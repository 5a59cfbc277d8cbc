"""How much of the own storage is used, and by which small files."""

from __future__ import annotations

from typing import Any

from django import template

from users.models import User
from videos import selectors
from videos.models import Asset

register = template.Library()

_NEARLY_FULL = 90


@register.inclusion_tag("videos/storage_meter.html")
def storage_meter(user: User) -> dict[str, Any]:
    """A bar with its figures in words."""
    used, limit = selectors.storage_usage(user), user.storage_bytes_limit
    per_cent = round(used * 100 / limit) if limit else 100
    return {"used": used, "limit": limit, "per_cent": per_cent, "nearly_full": per_cent >= _NEARLY_FULL}


@register.filter
def pixels(asset: Asset) -> str:
    """Width and height of a picture; empty for other files."""
    pictures = asset.media_info.get("video") or [{}]
    width, height = pictures[0].get("width"), pictures[0].get("height")
    return f"{width} × {height}" if width and height else ""
