"""How much of the own storage is used and by what, what is in the trash, and what is shared."""

from __future__ import annotations

from datetime import timedelta
from math import ceil
from typing import Any, NamedTuple

from django import template
from django.contrib.messages.storage.base import Message
from django.template import Context
from django.utils import timezone

from users.models import User
from videos import selectors
from videos.models import Asset, ShareLink, Video
from videos.share_selectors import share_url
from videos.storage_map import StorageMap
from videos.undo import undone_by

register = template.Library()

_NEARLY_FULL = 90


@register.inclusion_tag("videos/storage_meter.html")
def storage_meter(user: User) -> dict[str, Any]:
    """A bar with its figures in words."""
    used, limit = selectors.storage_usage(user), user.storage_bytes_limit
    held = selectors.storage_reserved(user)
    per_cent = round((used + held) * 100 / limit) if limit else 100
    return {
        "used": used,
        "held": held,
        "limit": limit,
        "per_cent": per_cent,
        "nearly_full": per_cent >= _NEARLY_FULL,
    }


@register.inclusion_tag("videos/undo.html", takes_context=True)
def undo_form(context: Context, message: Message) -> dict[str, Any]:
    """The button that takes back what a message tells of, where it can be."""
    return {"videos": undone_by(message), "csrf_token": context.get("csrf_token")}


@register.simple_tag
def days_left(video: Video, kept_days: int) -> int:
    """Whole days until the video leaves the trash for good."""
    if video.deleted_at is None:
        return kept_days
    return max(0, ceil((video.deleted_at + timedelta(days=kept_days) - timezone.now()) / timedelta(days=1)))


@register.simple_tag
def shares_open(video: Video) -> int:
    """How many addresses lead to the video or its results now."""
    return sum(share.state == ShareLink.State.OPEN for share in video.share_links.all())


@register.simple_tag
def share_address(share: ShareLink) -> str:
    """The address to hand on."""
    return share_url(share)


def per_cent_of(part: int, whole: int) -> float:
    """For the width of a bar: at most 100, and what is there is seen."""
    if not part or not whole:
        return 0
    return round(min(100.0, max(0.6, part * 100 / whole)), 2)


class MapPart(NamedTuple):
    """A stretch of the bar, in per cent of the limit."""

    kind: str
    words: str
    bytes: int
    start: float
    width: float


@register.simple_tag
def map_bar(found: StorageMap) -> list[MapPart]:
    """The bar of the storage page, from left to right; more than the limit is cut off."""
    shown = [
        ("originals", "Originals", found.originals.bytes),
        ("results", "Results", found.all_results.bytes),
        ("assets", "Pictures and subtitles", found.assets.bytes),
        ("uploads", "Unfinished uploads", found.uploads.bytes),
        ("reserved", "Held for jobs", found.reserved),
    ]
    parts: list[MapPart] = []
    start = 0.0
    for kind, words, size in shown:
        if size:
            width = min(per_cent_of(size, found.limit), 100 - start)
            parts.append(MapPart(kind, words, size, round(start, 2), width))
            start += width
    return parts


@register.filter
def pixels(asset: Asset) -> str:
    """Width and height of a picture; empty for other files."""
    pictures = asset.media_info.get("video") or [{}]
    width, height = pictures[0].get("width"), pictures[0].get("height")
    return f"{width} × {height}" if width and height else ""
