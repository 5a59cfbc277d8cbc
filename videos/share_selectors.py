"""Reads of share links: by their owners, and by visitors who hold the address."""

from __future__ import annotations

import re

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

from problems import Problem
from users.ids import public_id_is_valid
from users.models import User
from videos.models import Output, ShareLink, ShareVisit, Video
from videos.selectors import output_get_for

Viewer = User | AnonymousUser
VISITS_SHOWN = 100
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,43}")


def shares_for(viewer: Viewer) -> QuerySet[ShareLink]:
    """The viewer's links, ended ones included, without those of videos in the trash; unordered."""
    if not isinstance(viewer, User):
        return ShareLink.objects.none()
    return ShareLink.objects.filter(owner=viewer, video__deleted_at=None).select_related("video", "output")


def shares_of(video: Video) -> QuerySet[ShareLink]:
    """A video's links, newest first. The caller came by the video lawfully."""
    return ShareLink.objects.filter(video=video).select_related("video", "output").order_by("-id")


def share_get_for(viewer: Viewer, share_id: str) -> ShareLink:
    """Raises `not_found`."""
    share = shares_for(viewer).filter(pk=share_id).first() if public_id_is_valid("shr", share_id) else None
    if share is None:
        raise Problem("not_found")
    return share


def share_url(share: ShareLink) -> str:
    """The address to hand on."""
    return f"{settings.PUBLIC_URL}/s/{share.token}/"


def share_visits(share: ShareLink) -> QuerySet[ShareVisit]:
    """The link's log, newest first; never many."""
    return share.visits.order_by("-at", "-id")[:VISITS_SHOWN]


def output_of_video(viewer: Viewer, video: Video, output_id: str) -> Output | None:
    """The result of this video that is to be shared; None for an empty id. Raises `not_found`."""
    if not output_id:
        return None
    output = output_get_for(viewer, output_id)
    if output.operation.video_id != video.pk:
        raise Problem("not_found")
    return output


def share_open(token: str) -> ShareLink:
    """What a visitor with this address sees.

    Raises `not_found` where there is none, it was revoked, or its video is in the trash: one and the same
    answer. Raises `share_expired` where its time is over.
    """
    share = None
    if _TOKEN.fullmatch(token):
        found = ShareLink.objects.filter(token=token, revoked_at=None, video__deleted_at=None)
        share = found.select_related("video", "output").first()
    if share is None or not share.video.has_bytes:
        raise Problem("not_found")
    if share.state == ShareLink.State.EXPIRED:
        raise Problem("share_expired", expired_at=f"{share.expires_at:%d %B %Y, %H:%M} UTC")
    return share
