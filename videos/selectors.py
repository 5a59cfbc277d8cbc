"""Everything that reads videos, uploads, operations and outputs.

The `*_get_for` functions are the only doors from an id to a row: what is not there, not the viewer's,
in the trash or no id at all is one and the same `not_found`. Staff see other people's rows in the admin
only.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.db.models import Count, Exists, OuterRef, QuerySet, Sum
from django.db.models.functions import Now
from django.utils import timezone

from engine import catalogue
from engine.types.media import MediaInfo
from problems import FieldError, Problem
from users.ids import public_id_is_valid, raw_id
from users.models import User
from videos.models import (
    Asset,
    HoldingChange,
    Operation,
    Output,
    Reservation,
    StorageChange,
    Upload,
    UrlImport,
    Video,
)

Viewer = User | AnonymousUser
_Row = TypeVar("_Row", Asset, Video, Upload, UrlImport, Operation, Output)
NAMED_MAX = 1000
# As many whose jobs or results are looked for: PostgreSQL would rather read the whole history for more.
NAMED_FEW = 100
_DIGIT = re.compile(r"\d")
# A finished upload without its video means that its process ended in between.
_STUCK_AFTER = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class OwnerStatistics:
    """Counts by status, bytes and seconds of what a user has; `storage_bytes` is what the quota sees."""

    videos: dict[str, int]
    video_bytes: int
    video_seconds: float
    operations: dict[str, int]
    outputs: int
    output_bytes: int
    storage_bytes: int


def videos_for(viewer: Viewer) -> QuerySet[Video]:
    """The viewer's videos, without the trash; unordered."""
    if not isinstance(viewer, User):
        return Video.objects.none()
    return Video.objects.filter(owner=viewer, deleted_at=None)


def videos_trashed_for(viewer: Viewer) -> QuerySet[Video]:
    """The viewer's videos in the trash; unordered."""
    if not isinstance(viewer, User):
        return Video.objects.none()
    return Video.objects.filter(owner=viewer, deleted_at__isnull=False)


def videos_matching(videos: QuerySet[Video], text: str) -> QuerySet[Video]:
    """Those whose name contains every word of `text`, in any case and order."""
    words = text.replace("\x00", " ").split()[:10]
    # The index looks for the first word among the owner's videos, and for the next one only where that was:
    # what is probably rare goes first.
    for word in sorted(words, key=lambda word: (not _DIGIT.search(word), -len(word))):
        videos = videos.filter(name__icontains=word)
    return videos


def videos_with_pending_operations(videos: QuerySet[Video]) -> QuerySet[Video]:
    """Those on which something waits or runs."""
    pending = Operation.objects.filter(
        video=OuterRef("pk"), status__in=[Operation.Status.PENDING, Operation.Status.PROCESSING]
    )
    return videos.filter(Exists(pending))


def videos_counted(videos: QuerySet[Video]) -> dict[str, int]:
    """How many there are of each status, also of those with none."""
    found = videos.order_by().values_list("status").annotate(count=Count("pk"))
    return {**dict.fromkeys(Video.Status.values, 0), **dict(found)}


def videos_named(beginning: str, *, at_most: int = NAMED_MAX) -> QuerySet[Video]:
    """The newest videos, trash included, whose name begins so in any case, for staff; never many.

    From index video_name_beginning, or by id where most names begin so.
    """
    found = Video.objects.filter(name__istartswith=beginning.strip().replace("\x00", ""))
    return found.order_by("-pk")[:at_most]


def video_get_for(viewer: Viewer, video_id: str) -> Video:
    """Raises `not_found`."""
    return _the_one(videos_for(viewer), "vid", video_id)


def video_trashed_get_for(viewer: Viewer, video_id: str) -> Video:
    """One of the viewer's trash. Raises `not_found`."""
    return _the_one(videos_trashed_for(viewer), "vid", video_id)


def videos_held(*, owner: User, ids: Iterable[str]) -> dict[str, MediaInfo]:
    """What further videos of this owner hold, by their ids: those that an operation speaks of.

    Raises Problem invalid_parameters for one that is not there, video_not_ready or video_failed.
    """
    wanted = list(ids)
    found = {video.pk: video for video in videos_for(owner).filter(pk__in=wanted)} if wanted else {}
    missing = [
        FieldError("/parameters", "not_found", f"There is no video {name} of yours.")
        for name in wanted
        if name not in found
    ]
    if missing:
        raise Problem("invalid_parameters", errors=missing)
    for video in found.values():
        if video.status != Video.Status.READY:
            raise Problem("video_failed" if video.status == Video.Status.FAILED else "video_not_ready")
    return {name: MediaInfo.model_validate(video.media_info) for name, video in found.items()}


def assets_for(viewer: Viewer) -> QuerySet[Asset]:
    """The viewer's small files; unordered."""
    if not isinstance(viewer, User):
        return Asset.objects.none()
    return Asset.objects.filter(owner=viewer)


def asset_get_for(viewer: Viewer, asset_id: str) -> Asset:
    """Raises `not_found`."""
    return _the_one(assets_for(viewer), "ast", asset_id)


def assets_held(*, owner: User, ids: Iterable[str]) -> dict[str, MediaInfo]:
    """What small files of this owner hold, by their ids: those that an operation speaks of.

    Raises Problem invalid_parameters for one that is not there.
    """
    wanted = list(ids)
    found = {asset.pk: asset for asset in assets_for(owner).filter(pk__in=wanted)} if wanted else {}
    missing = [
        FieldError("/parameters", "not_found", f"There is no file {name} of yours.")
        for name in wanted
        if name not in found
    ]
    if missing:
        raise Problem("invalid_parameters", errors=missing)
    return {name: MediaInfo.model_validate(asset.media_info) for name, asset in found.items()}


def others_held(*, owner: User, ids: Iterable[str]) -> dict[str, MediaInfo]:
    """What further videos and small files of this owner hold, by their ids. Raises as each does."""
    names = list(ids)
    assets = [name for name in names if name.startswith("ast_")]
    videos = [name for name in names if not name.startswith("ast_")]
    return videos_held(owner=owner, ids=videos) | assets_held(owner=owner, ids=assets)


def upload_get_for(viewer: Viewer, upload_id: str) -> Upload:
    """Raises `not_found`."""
    if not isinstance(viewer, User):
        raise Problem("not_found")
    return _the_one(Upload.objects.filter(owner=viewer), "upl", upload_id)


def uploads_unfinished_for(viewer: User) -> QuerySet[Upload]:
    """The viewer's uploads that still miss bytes and have not expired, newest first; without imports."""
    return Upload.objects.filter(
        owner=viewer, video=None, reserved_video_id=None, url_import=None, expires_at__gt=timezone.now()
    ).order_by("-id")


def imports_for(viewer: Viewer) -> QuerySet[UrlImport]:
    """The viewer's imports from web addresses, until their uploads expire; unordered."""
    if not isinstance(viewer, User):
        return UrlImport.objects.none()
    return UrlImport.objects.filter(owner=viewer).select_related("upload")


def import_get_for(viewer: Viewer, import_id: str) -> UrlImport:
    """Raises `not_found`."""
    return _the_one(imports_for(viewer), "imp", import_id)


def uploads_awaiting_video() -> list[str]:
    """Ids of uploads that are complete but never became a video, for the recovery to finish."""
    before = Now() - _STUCK_AFTER
    stuck = Upload.objects.filter(video=None, reserved_video_id__isnull=False, updated_at__lt=before)
    return [upload.pk for upload in stuck.order_by("updated_at").only("pk")[:100]]


def operations_for(viewer: Viewer) -> QuerySet[Operation]:
    """Operations on the viewer's videos, without the trash; unordered."""
    if not isinstance(viewer, User):
        return Operation.objects.none()
    return Operation.objects.filter(video__owner=viewer, video__deleted_at=None)


def operations_of(video: Video) -> QuerySet[Operation]:
    """A video's operations with their outputs, newest first. The caller came by the video lawfully."""
    return video.operations.order_by("-id").prefetch_related("outputs")


def operation_get_for(viewer: Viewer, operation_id: str) -> Operation:
    """Raises `not_found`."""
    return _the_one(operations_for(viewer).select_related("video"), "op", operation_id)


def results_exist(video_ids: Iterable[str]) -> bool:
    """Whether any of these videos has a result. The caller came by the videos lawfully."""
    return Output.objects.filter(operation__video__in=list(video_ids)).exists()


def operation_find(video: Video, type: str, parameters: Mapping[str, Any]) -> Operation | None:  # noqa: A002 - the API's word
    """The operation of a video that is equal to this request, however it is written; None without one.

    Raises `unknown_operation` and `invalid_parameters`.
    """
    fingerprint = catalogue.fingerprint(type, catalogue.parameters_for(type, dict(parameters)))
    return operations_of(video).filter(type=type, fingerprint=fingerprint).first()


def output_get_for(viewer: Viewer, output_id: str) -> Output:
    """Raises `not_found`."""
    if not isinstance(viewer, User):
        raise Problem("not_found")
    outputs = Output.objects.filter(operation__video__owner=viewer, operation__video__deleted_at=None)
    return _the_one(outputs.select_related("operation"), "out", output_id)


# In one statement, so that nothing is counted while it moves into the trash or out of it.
_HELD = """
    SELECT kind, status, sum(count)::bigint, sum(bytes)::bigint, sum(microseconds)::bigint FROM (
        SELECT kind, status, count, bytes, microseconds FROM videos_holdingchange WHERE owner_id = %(owner)s
        UNION ALL
        SELECT 'video', status, -1, -size, -round(coalesce(duration, 0) * 1000000)::bigint FROM videos_video
            WHERE owner_id = %(owner)s AND deleted_at IS NOT NULL
        UNION ALL
        SELECT 'operation', operation.status, -1, 0, 0 FROM videos_video video
            JOIN videos_operation operation ON operation.video_id = video.id
            WHERE owner_id = %(owner)s AND deleted_at IS NOT NULL
        UNION ALL
        SELECT 'output', '', -1, -result.size, 0 FROM videos_video video
            JOIN videos_operation operation ON operation.video_id = video.id
            JOIN videos_output result ON result.operation_id = operation.id
            WHERE owner_id = %(owner)s AND deleted_at IS NOT NULL
    ) AS entry GROUP BY kind, status
"""
_VIDEOS_HELD = """
    SELECT status, sum(count)::bigint FROM (
        SELECT status, count FROM videos_holdingchange WHERE owner_id = %(owner)s AND kind = 'video'
        UNION ALL
        SELECT status, -1 FROM videos_video WHERE owner_id = %(owner)s AND deleted_at IS NOT NULL
    ) AS entry GROUP BY status
"""


def videos_held_counted(owner: User) -> dict[str, int]:
    """`videos_counted` of all that a user has, as fast for a million videos as for one."""
    with connection.cursor() as cursor:
        cursor.execute(_VIDEOS_HELD, {"owner": raw_id(owner.pk)})
        return {**dict.fromkeys(Video.Status.values, 0), **dict(cursor.fetchall())}


def owner_statistics(user: User) -> OwnerStatistics:
    """What this user has, without the trash. Adds up changes, which are folded every hour, and reads the rows
    of what is in the trash alone."""
    counts: dict[str, dict[str, int]] = {
        HoldingChange.Kind.VIDEO: dict.fromkeys(Video.Status.values, 0),
        HoldingChange.Kind.OPERATION: dict.fromkeys(Operation.Status.values, 0),
        HoldingChange.Kind.OUTPUT: {"": 0},
    }
    sizes: Counter[str] = Counter()
    length = 0
    with connection.cursor() as cursor:
        cursor.execute(_HELD, {"owner": raw_id(user.pk)})
        for kind, status, count, size, microseconds in cursor.fetchall():
            counts[kind][status] = count
            sizes[kind] += size
            length += microseconds
    return OwnerStatistics(
        videos=counts[HoldingChange.Kind.VIDEO],
        video_bytes=sizes[HoldingChange.Kind.VIDEO],
        video_seconds=length / 1_000_000,
        operations=counts[HoldingChange.Kind.OPERATION],
        outputs=counts[HoldingChange.Kind.OUTPUT][""],
        output_bytes=sizes[HoldingChange.Kind.OUTPUT],
        storage_bytes=storage_usage(user),
    )


def storage_usage(user: User) -> int:
    """Bytes that count against the quota: originals, results, small files, and what uploads announced.

    Exact, and as fast for a million videos as for one: it adds up changes, which are folded every hour. Of
    small files nobody has many.
    """
    changes = StorageChange.objects.filter(owner=user).aggregate(total=Sum("bytes"))["total"]
    assets = Asset.objects.filter(owner=user).aggregate(total=Sum("size"))["total"]
    return int(changes or 0) + int(assets or 0)


def storage_reserved(user: User) -> int:
    """Bytes held for results of the user's operations that wait or run, as their plans expect them."""
    held = Reservation.objects.filter(owner=user).aggregate(total=Sum("bytes"))["total"]
    return int(held or 0)


def _the_one(rows: QuerySet[_Row], prefix: str, public_id: str) -> _Row:
    row = rows.filter(pk=public_id).first() if public_id_is_valid(prefix, public_id) else None
    if row is None:
        raise Problem("not_found")
    return row
