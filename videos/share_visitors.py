"""What people with the address of a share link see: its page, and the bytes behind it.

Nobody is signed in here, and nothing of the owner shows but the title they chose. Every answer forbids
search engines. The bytes come from the edge, as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from engine.types.media import MediaInfo
from problems import Problem
from telemetry.metrics import SERVED
from users.headers import client_address
from videos.delivery import (
    STREAM_TYPE,
    Delivery,
    output_member_delivery,
    share_delivery,
    thumbnail_delivery,
)
from videos.models import Output, ShareLink, ShareVisit, Video
from videos.playback import browser_plays
from videos.services.shares import download_take, share_unlock, visit_note
from videos.share_selectors import share_open

UNLOCKED = "videoproc_share"
UNLOCKED_FOR = timedelta(hours=12)
# A download that was begun may be resumed for so long.
DOWNLOAD_FOR = timedelta(hours=24)
_UNLOCK_SALT, _DOWNLOAD_SALT = "videos.share.unlock", "videos.share.download"
_ROBOTS = "noindex, nofollow, noarchive"


def _public(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Failures as pages that say nothing of the site's other rooms; search engines are kept out."""

    @wraps(view)
    def answer(request: HttpRequest, **kwargs: str) -> HttpResponse:
        try:
            response = view(request, **kwargs)
        except Problem as problem:
            response = render(
                request, "videos/share_problem.html", {"problem": problem}, status=problem.status
            )
            response["Cache-Control"] = "no-store"
            if problem.code == "throttled":
                response["Retry-After"] = str(problem.data["wait"])
        response["X-Robots-Tag"] = _ROBOTS
        return response

    return answer


@sensitive_post_parameters("password")
@_public
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def share_page(request: HttpRequest, token: str) -> HttpResponse:
    """The player; before it the password, where there is one."""
    share = share_open(token)
    if request.method == "POST":
        return _unlock(request, share)
    if not _is_unlocked(request, share):
        return _asked(request, share)
    if request.method == "GET" and request.user.pk != share.owner_id:
        _note(request, share, ShareVisit.Kind.PAGE)
    return render(request, "videos/share_page.html", {"share": share, "shown": _shown(share)})


@_public
@require_safe
def share_media(request: HttpRequest, token: str) -> HttpResponse:
    """The file as a player takes it; of a stream its master playlist."""
    return _handed_out(request, share_delivery(_opened(request, token), inline=True))


@_public
@require_safe
def share_member(request: HttpRequest, token: str, name: str) -> HttpResponse:
    """One of the other files of a shared stream."""
    share = _opened(request, token)
    if share.output is None:
        raise Problem("not_found")
    return _handed_out(request, output_member_delivery(share.output, name))


@_public
@require_safe
def share_poster(request: HttpRequest, token: str) -> HttpResponse:
    """A picture of the original; of a result there is none, for it may show what was cut away."""
    share = _opened(request, token)
    if share.output is not None:
        raise Problem("not_found")
    return _handed_out(request, thumbnail_delivery(share.video))


@_public
@never_cache
@require_safe
def share_download(request: HttpRequest, token: str) -> HttpResponse:
    """Takes one of the downloads and leads to the file; resuming it does not take another."""
    share = _opened(request, token)
    if not _downloads(share):
        raise Problem("share_no_download")
    if request.method == "HEAD":  # looks only
        return HttpResponse()
    number = download_take(share=share)
    _note(request, share, ShareVisit.Kind.DOWNLOAD)
    pass_ = signing.dumps([share.pk, number], salt=_DOWNLOAD_SALT, compress=False)
    return HttpResponseRedirect(f"{reverse('share-file', args=[token])}?pass={pass_}", status=303)


@_public
@require_safe
def share_file(request: HttpRequest, token: str) -> HttpResponse:
    """The file to save, for those who have taken a download."""
    share = _opened(request, token)
    try:
        taken = signing.loads(request.GET.get("pass", ""), salt=_DOWNLOAD_SALT, max_age=DOWNLOAD_FOR)
    except signing.BadSignature as error:
        raise Problem("share_no_download") from error
    if taken[0] != share.pk or not share.allow_download:
        raise Problem("share_no_download")
    return _handed_out(request, share_delivery(share, inline=False))


@dataclass(frozen=True, slots=True)
class _Shown:
    """What is behind the link, as far as its page tells."""

    kind: str
    media: MediaInfo | None
    size: int
    has_poster: bool
    downloads: bool

    @property
    def name(self) -> str:
        return f"Shared {self.kind if self.kind in {'sound', 'picture'} else 'video'}"


def _shown(share: ShareLink) -> _Shown:
    source: Video | Output = share.video if share.output is None else share.output
    stored = source.media_info
    media = None if stored is None else MediaInfo.model_validate(stored)
    return _Shown(
        kind=_kind(share, media),
        media=media,
        size=source.size,
        has_poster=share.output is None and share.video.has_thumbnail,
        downloads=_downloads(share),
    )


def _kind(share: ShareLink, media: MediaInfo | None) -> str:
    output = share.output
    if output is not None:
        if output.members and output.content_type == STREAM_TYPE:
            return "stream"
        if output.content_type.startswith("image/"):
            return "picture"
    if media is None or not browser_plays(media):
        return "file"
    return "video" if media.main_video is not None else "sound"


def _downloads(share: ShareLink) -> bool:
    """A stream is not one file, so it is only watched."""
    return share.offers_download and not (share.output is not None and share.output.members)


def _opened(request: HttpRequest, token: str) -> ShareLink:
    """Raises `not_found`, `share_expired` and `share_locked`."""
    share = share_open(token)
    if not _is_unlocked(request, share):
        raise Problem("share_locked")
    return share


def _is_unlocked(request: HttpRequest, share: ShareLink) -> bool:
    if not share.has_password:
        return True
    try:
        known = signing.loads(request.COOKIES.get(UNLOCKED, ""), salt=_salt(share), max_age=UNLOCKED_FOR)
    except signing.BadSignature:
        return False
    return bool(known == share.pk)


def _salt(share: ShareLink) -> str:
    """Of the password too: with another one, what was unlocked is locked again."""
    return f"{_UNLOCK_SALT}:{share.password}"


def _unlock(request: HttpRequest, share: ShareLink) -> HttpResponse:
    here = reverse("share-page", args=[share.token])
    if not share.has_password:
        return HttpResponseRedirect(here, status=303)
    address, agent = client_address(request), request.headers.get("User-Agent", "")
    password = request.POST.get("password", "")
    if not share_unlock(share=share, password=password, address=address, agent=agent):
        return _asked(request, share, wrong=True)
    response = HttpResponseRedirect(here, status=303)
    response.set_cookie(
        UNLOCKED,
        signing.dumps(share.pk, salt=_salt(share)),
        max_age=UNLOCKED_FOR,
        path=here,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response


def _asked(request: HttpRequest, share: ShareLink, *, wrong: bool = False) -> HttpResponse:
    """The form of the password, which shows nothing of what is behind it."""
    return render(request, "videos/share_password.html", {"share": share, "wrong": wrong})


def _note(request: HttpRequest, share: ShareLink, kind: ShareVisit.Kind) -> None:
    agent = request.headers.get("User-Agent", "")
    visit_note(share=share, kind=kind, address=client_address(request), agent=agent)


def _handed_out(request: HttpRequest, delivery: Delivery) -> HttpResponse:
    if request.method == "GET" and "If-None-Match" not in request.headers:
        SERVED.add(delivery.promised_bytes(request.headers.get("Range", "")))
    return delivery.answer(str(request.method), request.headers)
