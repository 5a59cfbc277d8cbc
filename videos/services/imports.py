"""Videos, operations and outputs that were made elsewhere and keep their dates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import transaction

from engine.types.media import MediaInfo
from users.ids import public_id_at
from users.models import User
from videos import storage
from videos.models import Operation, Output, Video
from videos.names import filename_clean, video_name
from videos.services.outputs import PlacedOutput, outputs_record
from videos.services.videos import video_intake_succeed


@dataclass(frozen=True, slots=True)
class Ending:
    """How an imported operation ended, and when it was asked for as far as that is known."""

    status: str
    created_at: datetime
    error_code: str = ""
    error_message: str = ""


@transaction.atomic
def video_import(
    *,
    owner: User,
    name: str,
    original_filename: str,
    source: Path,
    media: MediaInfo,
    sha256: str,
    thumbnail: Path | None,
    created_at: datetime,
) -> Video:
    """A ready video from a file that an intake has accepted. `source` and `thumbnail` are moved.

    The quota is not asked: the owner had the video before. If the transaction does not commit, the sweep
    takes the files.
    """
    video_id = public_id_at("vid", created_at)
    storage.adopt(source, storage.source_path(video_id))
    Video.objects.create(
        pk=video_id,
        owner=owner,
        name=video_name(title=name, filename=original_filename),
        original_filename=filename_clean(original_filename),
        size=media.size,
    )
    # `auto_now_add` does not listen to what it is given.
    Video.objects.filter(pk=video_id).update(created_at=created_at)
    video_intake_succeed(video_id=video_id, media=media, sha256=sha256, thumbnail=thumbnail)
    return Video.objects.get(pk=video_id)


@transaction.atomic
def operation_import(
    *,
    video: Video,
    type: str,  # noqa: A002 - the field is called so everywhere
    parameters: Mapping[str, Any],
    fingerprint: str,
    ending: Ending,
    placed: Sequence[PlacedOutput] = (),
) -> Operation:
    """An operation that came to its end elsewhere, with its outputs, whose files are in place already.

    The video must not have it yet.
    """
    operation = Operation.objects.create(
        pk=public_id_at("op", ending.created_at),
        video=video,
        type=type,
        parameters=dict(parameters),
        fingerprint=fingerprint,
        status=ending.status,
        error_code=ending.error_code,
        error_message=ending.error_message,
    )
    Operation.objects.filter(pk=operation.pk).update(created_at=ending.created_at)
    if placed:
        outputs_record(operation=operation, placed=placed, video=video)
        Output.objects.filter(operation=operation).update(created_at=ending.created_at)
    return operation
