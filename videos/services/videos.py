"""Videos: from an upload to a ready video, the trash, and the sweep of bytes that nobody owns.

A file moves before the row that names it is committed, and is removed after the row that named it is
gone. So a crash leaves a file too many, never a row without its file; `media_sweep` takes the former.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path

from django.db import transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone

from engine.types.media import MediaInfo
from problems import FieldError, Problem
from users.models import User
from videos import storage
from videos.crash_points import crash_point
from videos.models import Asset, Output, Upload, Video
from videos.names import name_clean, video_name
from videos.services.duplicates import content_share
from videos.services.reservations import owner_locked, quota_check

TRASH_KEPT = timedelta(days=7)
ORPHANS_KEPT = timedelta(hours=1)
_BATCH = 500


def upload_bytes_keep(upload_id: str) -> None:
    """Take the bytes of a complete upload to the bucket, if the site has one, before any row is locked."""
    upload = Upload.objects.filter(pk=upload_id, video=None).exclude(reserved_video_id=None).first()
    path = storage.upload_path(upload_id)
    if upload is not None and path.exists():
        storage.keep(path, name_of=storage.source_path(str(upload.reserved_video_id)))


@transaction.atomic
def video_create_from_upload(*, upload: Upload) -> Video:
    """The video of a complete upload, in `processing`; a second call returns the same one.

    1. The upload's row is locked, so of two callers one waits and then finds the video.
    2. The bytes, fsynced when their offset was stored, are renamed to the place of the video's id. That
       id was committed with the upload's last byte, so after a crash here the next call finds them there.
    3. The rows are written; the caller's transaction commits them.

    Raises `upload_gone`, `upload_offset_conflict` if bytes are missing, and `source_missing`.
    """
    locked = (
        Upload.objects.select_for_update(of=["self"]).select_related("video").filter(pk=upload.pk).first()
    )
    if locked is None:
        raise Problem("upload_gone")
    if locked.video is not None:
        return locked.video
    if locked.reserved_video_id is None:
        raise Problem("upload_offset_conflict", offset=locked.offset)
    storage.adopt_if_there(storage.upload_path(locked.pk), storage.source_path(locked.reserved_video_id))
    crash_point("source_moved")
    video = Video.objects.create(
        pk=locked.reserved_video_id,
        owner_id=locked.owner_id,
        name=video_name(title=locked.title, filename=locked.filename),
        original_filename=locked.filename,
        size=locked.offset,
    )
    locked.video = video
    locked.save(update_fields=["video", "updated_at"])
    return video


@transaction.atomic
def video_intake_succeed(
    *, video_id: str, media: MediaInfo, sha256: str, thumbnail: Path | None
) -> Video | None:
    """Make a video ready. The thumbnail's file moves to its place first. Bytes that the owner has stored
    already are freed.

    Returns None, and changes nothing, if the video is gone or its intake ended already.
    """
    video = _processing(video_id)
    if video is None:
        return None
    if thumbnail is not None:
        storage.adopt(thumbnail, storage.thumbnail_path(video_id))
    content_share(video=video, sha256=sha256)
    crash_point("video_inspected")
    picture = media.main_video
    video.status = Video.Status.READY
    video.media_info = media.model_dump(mode="json")
    video.container = media.container
    video.sha256 = sha256
    video.duration = media.duration
    video.width = picture.display_width if picture else None
    video.height = picture.display_height if picture else None
    video.has_thumbnail = thumbnail is not None
    video.save()
    return video


@transaction.atomic
def video_intake_fail(*, video_id: str, problem: Problem) -> Video | None:
    """Mark a video as unusable and say why.

    Its bytes are freed once that is committed, unless the fault was ours: then they stay for
    `video_intake_restart`. Returns None, and changes nothing, if the video is gone or its intake ended
    already.
    """
    video = _processing(video_id)
    if video is None:
        return None
    video.status = Video.Status.FAILED
    video.error_code = problem.code
    video.error_message = problem.detail
    if not problem.retryable:
        video.size = 0
        transaction.on_commit(lambda: storage.video_discard(video_id))
    video.save()
    return video


@transaction.atomic
def video_intake_restart(*, video_id: str) -> Video | None:
    """Let a video whose intake failed by our fault be inspected again.

    Returns None, and changes nothing, where its bytes are gone or it did not fail.
    """
    failed = Video.objects.select_for_update().filter(pk=video_id, status=Video.Status.FAILED, size__gt=0)
    video = failed.first()
    if video is None:
        return None
    video.status = Video.Status.PROCESSING
    video.error_code = video.error_message = ""
    video.save()
    return video


def video_rename(*, video: Video, name: str) -> Video:
    """Raises `invalid_request` where nothing readable is left of the name."""
    cleaned = name_clean(name)
    if not cleaned:
        raise Problem("invalid_request", errors=[FieldError("/name", "blank", "Give the video a name.")])
    video.name = cleaned
    video.save(update_fields=["name", "updated_at"])
    return video


def video_trash(*, video: Video) -> None:
    """Delete, as its owner sees it. Its jobs stop by themselves; the bytes go a week later."""
    Video.objects.filter(pk=video.pk, deleted_at=None).update(
        deleted_at=timezone.now(), updated_at=timezone.now()
    )


@transaction.atomic
def video_restore(*, video: Video, check_room: bool = True) -> None:
    """Take a video out of the trash, if it is still there; with its results it counts again.

    Raises `quota_exceeded` where it does not fit any more. Its bytes are on the disk already. Staff may put
    it back all the same, without `check_room`.
    """
    owner = owner_locked(video.owner_id)
    trashed = Video.objects.filter(pk=video.pk, deleted_at__isnull=False)
    if check_room and (size := trashed.values_list("size", flat=True).first()) is not None:
        results = Output.objects.filter(operation__video=video.pk).aggregate(total=Sum("size"))["total"]
        quota_check(owner=owner, needed=size + (results or 0))
    trashed.update(deleted_at=None, updated_at=timezone.now())


def videos_purge(*, trashed_before: timedelta = TRASH_KEPT) -> int:
    """Remove what has been in the trash for long: rows, then bytes. Returns how many videos went."""
    return _purge(Video.objects.filter(deleted_at__lt=timezone.now() - trashed_before))


def trash_empty(*, owner: User, video_ids: Sequence[str] | None = None) -> int:
    """Remove what this owner has in the trash now, or of it the videos named; it does not come back.

    Returns how many videos went.
    """
    trash = Video.objects.filter(owner=owner, deleted_at__isnull=False)
    return _purge(trash if video_ids is None else trash.filter(pk__in=video_ids))


def _purge(trash: QuerySet[Video]) -> int:
    gone = 0
    while True:
        with transaction.atomic():
            locked = trash.select_for_update(skip_locked=True, of=["self"]).order_by("deleted_at")
            ids = [video.pk for video in locked.only("pk")[:_BATCH]]
            outputs = [output.pk for output in Output.objects.filter(operation__video__in=ids).only("pk")]
            Video.objects.filter(pk__in=ids).delete()
        for video_id in ids:
            storage.video_discard(video_id)
        for output_id in outputs:
            storage.output_discard(output_id)
        gone += len(ids)
        if len(ids) < _BATCH:
            return gone


def media_sweep(*, untouched_for: timedelta = ORPHANS_KEPT) -> int:
    """Remove files that no row points to: of deleted accounts, and of crashes between a move and a commit.

    What changed lately is left alone, because its row may be about to be committed. Returns how many
    entries went.
    """
    before = storage.disk_now() - untouched_for.total_seconds()
    gone = 0
    for kind, known_among, discard in (
        ("uploads", _uploads_known, storage.upload_discard),
        ("videos", _videos_known, storage.video_discard),
        ("outputs", _outputs_known, storage.output_discard),
        ("assets", _assets_known, storage.asset_discard),
    ):
        for batch in _batches(storage.entries(kind, untouched_since=before)):
            for orphan in set(batch) - known_among(batch):
                discard(orphan)
                gone += 1
    return gone


def _uploads_known(names: Sequence[str]) -> set[str]:
    return {upload.pk for upload in Upload.objects.filter(pk__in=names, video=None).only("pk")}


def _videos_known(names: Sequence[str]) -> set[str]:
    kept = Video.objects.filter(pk__in=names).exclude(status=Video.Status.FAILED, size=0)
    # Moved already, while the row that will name it is still to be written.
    reserved = Upload.objects.filter(reserved_video_id__in=names, video=None)
    return {video.pk for video in kept.only("pk")} | {str(upload.reserved_video_id) for upload in reserved}


def _outputs_known(names: Sequence[str]) -> set[str]:
    return {output.pk for output in Output.objects.filter(pk__in=names).only("pk")}


def _assets_known(names: Sequence[str]) -> set[str]:
    return {asset.pk for asset in Asset.objects.filter(pk__in=names).only("pk")}


def _processing(video_id: str) -> Video | None:
    video = Video.objects.select_for_update().filter(pk=video_id, status=Video.Status.PROCESSING)
    return video.first()


def _batches(names: Iterator[str]) -> Iterator[Sequence[str]]:
    while batch := list(islice(names, _BATCH)):
        yield batch
