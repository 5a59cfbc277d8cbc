"""Uploads: create, grow, finish, discard, expire.

Bytes are written by `videos.tus`; here is what is true about them. `offset` only ever names bytes that
were fsynced before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from problems import Problem
from telemetry.metrics import UPLOADED
from users.ids import public_id_new
from users.models import User
from videos import storage
from videos.crash_points import crash_point
from videos.models import Upload
from videos.names import filename_clean, name_clean
from videos.services.reservations import owner_locked, room_check, room_of

MAX_LENGTH = 2**63 - 1


@transaction.atomic
def upload_create(
    *,
    owner: User,
    length: int | None,
    filename: str = "",
    title: str = "",
    metadata: Mapping[str, str] | None = None,
    partial: bool = False,
) -> Upload:
    """Start an upload of `length` bytes, or of a length still unknown; `partial` for a part of another.

    The declared length counts against the owner's quota at once, so that many empty uploads cannot
    reserve more than is there. Raises `upload_empty`, `upload_too_large`, `quota_exceeded` and
    `storage_full`.
    """
    # Two creations at once must see each other's length: they queue up at the owner's row.
    owner = owner_locked(owner.pk)
    if length is not None:
        _length_check(owner=owner, length=length, already_counted=0)
    upload = Upload.objects.create(
        owner=owner,
        length=length,
        filename=filename_clean(filename),
        title=name_clean(title),
        metadata=dict(metadata or {}),
        concat=Upload.PARTIAL if partial else "",
        expires_at=timezone.now() + settings.UPLOAD_LIFETIME,
    )
    storage.upload_file_create(upload.pk)
    crash_point("upload_created")
    return upload


@transaction.atomic
def upload_length_set(*, upload: Upload, length: int) -> Upload:
    """Tell the length that creation deferred; only once. Raises as `upload_create` does."""
    owner = owner_locked(upload.owner_id)
    locked = _locked(upload)
    if locked.length is not None or length < locked.offset:
        raise Problem("upload_header_invalid", header="Upload-Length")
    _length_check(owner=owner, length=length, already_counted=locked.offset)
    locked.length = length
    reserve_when_complete(locked)
    locked.save(update_fields=["length", "reserved_video_id", "updated_at"])
    return locked


def upload_rename(*, upload: Upload, filename: str, title: str) -> None:
    """Set the names that were not known yet when the upload began."""
    upload.filename, upload.title = filename_clean(filename), name_clean(title)
    upload.save(update_fields=["filename", "title", "updated_at"])


@dataclass(frozen=True, slots=True)
class Room:
    """How far an upload may grow now, and the problem of going further."""

    end: int
    code: str
    data: Mapping[str, int]

    def refusal(self, end: int) -> Problem:
        """The problem of wanting to grow up to byte `end`."""
        data: dict[str, Any] = {**self.data, "size": end, "needed": end}
        return Problem(self.code, **data)


def upload_room(*, upload: Upload) -> Room:
    """Up to its length, or, while that is deferred, up to what its owner may store."""
    if upload.length is not None:
        return Room(upload.length, "upload_body_too_long", {"length": upload.length})
    owner = User.objects.select_related("tier").get(pk=upload.owner_id)
    held, fits_tier = room_of(owner), owner.max_file_bytes_limit
    fits_quota = upload.offset + held.left
    if fits_quota < fits_tier:
        known = {"used": held.used, "reserved": held.reserved, "limit": held.limit}
        return Room(fits_quota, "quota_exceeded", known)
    return Room(fits_tier, "upload_too_large", {"limit": fits_tier})


@transaction.atomic
def upload_advance(*, upload: Upload, from_offset: int, to_offset: int) -> Upload:
    """Record that bytes up to `to_offset` are on the disk; their fsync must be done.

    Raises `upload_offset_conflict` if the upload does not stand at `from_offset`, and `upload_gone`.
    """
    locked = _locked(upload)
    if locked.offset != from_offset or to_offset < from_offset:
        raise Problem("upload_offset_conflict", offset=locked.offset)
    locked.offset = to_offset
    locked.expires_at = timezone.now() + settings.UPLOAD_LIFETIME
    reserve_when_complete(locked)
    locked.save(update_fields=["offset", "reserved_video_id", "expires_at", "updated_at"])
    transaction.on_commit(lambda: UPLOADED.add(to_offset - from_offset), robust=True)
    transaction.on_commit(lambda: crash_point("offset_counted"))
    crash_point("offset_written")
    return locked


@transaction.atomic
def upload_rewind(*, upload: Upload) -> Upload:
    """Forget what has arrived and how long it is: the other side has something else now."""
    locked = _locked(upload)
    locked.offset, locked.length = 0, None
    locked.save(update_fields=["offset", "length", "updated_at"])
    return locked


@transaction.atomic
def upload_discard(*, upload: Upload) -> None:
    """Forget an upload and free its bytes. A video made from it stays; discarding twice is no fault."""
    row = Upload.objects.select_for_update().filter(pk=upload.pk).first()
    if row is not None:
        _discard_rows([row])


def uploads_expire(*, batch: int = 500) -> int:
    """Discard uploads past their time. Returns how many."""
    gone = 0
    while True:
        with transaction.atomic():
            expired = Upload.objects.select_for_update(skip_locked=True).filter(expires_at__lt=timezone.now())
            rows = list(expired.order_by("expires_at")[:batch])
            _discard_rows(rows)
        gone += len(rows)
        if len(rows) < batch:
            return gone


def _discard_rows(rows: list[Upload]) -> None:
    Upload.objects.filter(pk__in=[row.pk for row in rows]).delete()
    for row in rows:
        transaction.on_commit(lambda row=row: _free(row))  # type: ignore[misc]  # binds the row of this turn


def _free(row: Upload) -> None:
    storage.upload_discard(row.pk)
    if row.video_id is None and row.reserved_video_id is not None:
        storage.video_discard(row.reserved_video_id)


def _locked(upload: Upload) -> Upload:
    row = Upload.objects.select_for_update().filter(pk=upload.pk).first()
    if row is None or (row.video_id is None and row.expires_at <= timezone.now()):
        raise Problem("upload_gone")
    return row


def reserve_when_complete(upload: Upload) -> None:
    """With the last byte comes the id of the video; the caller saves the row."""
    if upload.is_complete and not upload.is_partial and upload.reserved_video_id is None:
        upload.reserved_video_id = public_id_new("vid")


def _length_check(*, owner: User, length: int, already_counted: int) -> None:
    if length <= 0:
        raise Problem("upload_empty")
    limit = owner.max_file_bytes_limit
    if length > limit:
        raise Problem("upload_too_large", size=length, limit=limit)
    room_check(owner=owner, needed=length, already_counted=already_counted)
