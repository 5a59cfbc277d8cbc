"""Share links: made, changed, ended; and what visitors of one leave behind."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.hashers import check_password, make_password
from django.core.cache import cache
from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from problems import FieldError, Problem
from videos.models import Output, ShareLink, ShareVisit, Video
from videos.names import name_clean

MOST_SHARES = 100  # of one video
MOST_DOWNLOADS = 1_000_000
PASSWORD_MIN, PASSWORD_MAX = 4, 256
VISITS_KEPT = timedelta(days=90)
_VISIT_GRAIN = timedelta(minutes=1)
_AGENT_MAX = 200
# Wrong passwords: of one network for one link, and of everybody together for one link.
TRIES_OF_ONE = 10
TRIES_OF_ALL = 100
TRIES_WINDOW = timedelta(minutes=5)
_V4_PREFIX, _V6_PREFIX = 24, 48


@transaction.atomic
def share_create(
    *,
    video: Video,
    output: Output | None = None,
    title: str = "",
    password: str = "",
    allow_download: bool = True,
    max_downloads: int | None = None,
    expires_at: datetime | None = None,
) -> ShareLink:
    """A new link to the original of `video`, or to `output`, which must be a result of it.

    Raises Problem invalid_request for values out of bounds, video_not_ready and video_failed where there is
    nothing to show yet, or too_many_shares.
    """
    if video.status != Video.Status.READY:
        raise Problem("video_failed" if video.status == Video.Status.FAILED else "video_not_ready")
    # Two at once must see each other's link.
    Video.objects.select_for_update(of=["self"], no_key=True).filter(pk=video.pk).first()
    if ShareLink.objects.filter(video=video, revoked_at=None).count() >= MOST_SHARES:
        raise Problem("too_many_shares", limit=MOST_SHARES)
    _check(password=password, max_downloads=max_downloads, expires_at=expires_at)
    return ShareLink.objects.create(
        owner_id=video.owner_id,
        video=video,
        output=output,
        title=name_clean(title),
        password=make_password(password) if password else "",
        allow_download=allow_download,
        max_downloads=max_downloads,
        expires_at=expires_at,
    )


def share_update(*, share: ShareLink, changes: Mapping[str, Any]) -> ShareLink:
    """Changes what is named: title, password (empty: none), allow_download, max_downloads, expires_at.

    Visitors who have typed the former password must type the new one. Raises Problem invalid_request, or
    share_revoked, for what was ended stays ended.
    """
    _check(
        password=changes.get("password") or "",
        max_downloads=changes.get("max_downloads"),
        expires_at=changes.get("expires_at"),
    )
    values = {
        name: changes[name] for name in ("allow_download", "max_downloads", "expires_at") if name in changes
    }
    if "title" in changes:
        values["title"] = name_clean(changes["title"])
    if "password" in changes:
        values["password"] = make_password(changes["password"]) if changes["password"] else ""
    # Not by `save`: it would write back counts that visitors change meanwhile.
    if not ShareLink.objects.filter(pk=share.pk, revoked_at=None).update(**values, updated_at=timezone.now()):
        raise Problem("share_revoked")
    share.refresh_from_db()
    return share


def share_revoke(*, share: ShareLink) -> ShareLink:
    """Ends the link for good; its log stays. Twice is no fault."""
    ShareLink.objects.filter(pk=share.pk, revoked_at=None).update(
        revoked_at=timezone.now(), updated_at=timezone.now()
    )
    share.refresh_from_db()
    return share


def share_delete(*, share: ShareLink) -> None:
    """Ends the link and forgets it, log and all."""
    ShareLink.objects.filter(pk=share.pk).delete()


def share_unlock(*, share: ShareLink, password: str, address: str, agent: str = "") -> bool:
    """Whether this is the password. Wrong ones are noted and counted.

    Raises Problem throttled after too many: of one network, or of all together.
    """
    keys = {
        f"share-tries:{share.pk}:{network_of(address)}": TRIES_OF_ONE,
        f"share-tries:{share.pk}": TRIES_OF_ALL,
    }
    seconds = int(TRIES_WINDOW.total_seconds())
    if any(cache.get(key, 0) >= most for key, most in keys.items()):
        raise Problem("throttled", wait=seconds)
    if len(password) <= PASSWORD_MAX and check_password(password, share.password):
        return True
    for key in keys:
        cache.add(key, 0, seconds)
        cache.incr(key)
    visit_note(share=share, kind=ShareVisit.Kind.PASSWORD, address=address, agent=agent)
    return False


def download_take(*, share: ShareLink) -> int:
    """Takes one of the downloads that are left and returns its number, from 1.

    Of visitors at once, no more get one than there are. Raises Problem share_no_download.
    """
    left = Q(max_downloads=None) | Q(downloads__lt=F("max_downloads"))
    found = ShareLink.objects.filter(left, pk=share.pk, allow_download=True, revoked_at=None)
    if not found.update(downloads=F("downloads") + 1):
        raise Problem("share_no_download")
    share.refresh_from_db(fields=["downloads"])
    return share.downloads


_NOTE = """
    INSERT INTO videos_sharevisit (share_id, kind, address, agent, at)
    SELECT %(share)s, %(kind)s, %(address)s, %(agent)s, now() WHERE NOT EXISTS (
        SELECT 1 FROM videos_sharevisit WHERE share_id = %(share)s AND at > now() - %(grain)s
        AND kind = %(kind)s AND address = %(address)s AND agent = %(agent)s)
"""


def visit_note(*, share: ShareLink, kind: ShareVisit.Kind, address: str, agent: str = "") -> None:
    """A line in the link's log, and a view more where the page was opened; the same again within a minute
    is neither, except for downloads, which are all noted."""
    grain = timedelta(0) if kind == ShareVisit.Kind.DOWNLOAD else _VISIT_GRAIN
    values = {
        "share": ShareLink._meta.pk.get_db_prep_value(share.pk, connection),  # noqa: SLF001 - Django documents it
        "kind": str(kind),
        "address": network_of(address),
        "agent": "".join(mark for mark in agent if mark.isprintable())[:_AGENT_MAX],
        "grain": grain,
    }
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, values)
        noted = cursor.rowcount
    if noted and kind == ShareVisit.Kind.PAGE:
        ShareLink.objects.filter(pk=share.pk).update(views=F("views") + 1)


def visits_purge(*, older_than: timedelta = VISITS_KEPT, batch: int = 5000) -> int:
    """Removes old lines of all logs, and says how many."""
    gone = 0
    while True:
        old = ShareVisit.objects.filter(at__lt=timezone.now() - older_than).order_by("at")
        removed = ShareVisit.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:batch])).delete()[0]
        gone += removed
        if removed < batch:
            return gone


def network_of(address: str) -> str:
    """The network an address is in: the first three numbers of IPv4, the first three groups of IPv6."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    prefix = _V4_PREFIX if found.version == 4 else _V6_PREFIX  # noqa: PLR2004 - the protocol's number
    return str(ipaddress.ip_network((found, prefix), strict=False))


def _check(*, password: str, max_downloads: int | None, expires_at: datetime | None) -> None:
    errors = []
    if password and not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        words = f"A password has {PASSWORD_MIN} to {PASSWORD_MAX} characters."
        errors.append(FieldError("/password", "invalid", words))
    if max_downloads is not None and not 1 <= max_downloads <= MOST_DOWNLOADS:
        words = f"At least 1 and at most {MOST_DOWNLOADS}."
        errors.append(FieldError("/max_downloads", "invalid", words))
    if expires_at is not None and expires_at <= timezone.now():
        errors.append(FieldError("/expires_at", "invalid", "The end is in the past."))
    if errors:
        raise Problem("invalid_request", errors=errors)
