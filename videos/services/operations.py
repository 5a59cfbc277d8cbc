"""Operations: asked for once, then moved through their states by the jobs that run them."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from videos.models import Operation, Video
from videos.services.reservations import operation_release

_ENDED = (Operation.Status.COMPLETED, Operation.Status.FAILED, Operation.Status.CANCELLED)


@transaction.atomic
def operation_get_or_create(
    *,
    video: Video,
    type: str,  # noqa: A002 - the field is called so everywhere
    parameters: dict[str, Any],
    fingerprint: str,
) -> tuple[Operation, bool]:
    """The one operation with this fingerprint, and whether this call made it.

    The row comes back locked until the caller's transaction ends, so the caller can look at its state and
    start a run without another doing the same. Any number of callers at once meet in one row: the unique
    constraint makes the late ones wait for the first to commit.
    """
    wanted = Operation(video=video, type=type, parameters=parameters, fingerprint=fingerprint)
    Operation.objects.bulk_create([wanted], ignore_conflicts=True)
    operation = Operation.objects.select_for_update().get(video=video, type=type, fingerprint=fingerprint)
    operation.video = video
    return operation, operation.pk == wanted.pk


@transaction.atomic
def operation_status_set(
    *, operation_id: str, status: str, error_code: str = "", error_message: str = ""
) -> bool:
    """Store a state and why it came to it, and where it ended give back the room held for it.

    Returns whether the operation is still there.
    """
    if status in _ENDED:
        operation_release(operation_id=operation_id)
    changed = Operation.objects.filter(pk=operation_id).update(
        status=status, error_code=error_code, error_message=error_message, updated_at=timezone.now()
    )
    return changed == 1
