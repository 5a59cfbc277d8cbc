"""Everything that changes videos, uploads, operations and outputs; one module for each."""

from __future__ import annotations

from videos.services.concatenation import final_create, part_taken, parts_left
from videos.services.duplicates import content_share, duplicates_join
from videos.services.imports import Ending, operation_import, video_import
from videos.services.operations import operation_get_or_create, operation_status_set
from videos.services.outputs import PlacedOutput, outputs_place, outputs_record, outputs_unplace
from videos.services.reservations import operation_hold, operation_release, reservations_check
from videos.services.shares import (
    download_take,
    share_create,
    share_delete,
    share_revoke,
    share_unlock,
    share_update,
    visit_note,
    visits_purge,
)
from videos.services.uploads import (
    upload_advance,
    upload_create,
    upload_discard,
    upload_length_set,
    upload_rewind,
    upload_room,
    uploads_expire,
)
from videos.services.url_imports import import_create, import_retry
from videos.services.videos import (
    media_sweep,
    trash_empty,
    video_create_from_upload,
    video_intake_fail,
    video_intake_restart,
    video_intake_succeed,
    video_rename,
    video_restore,
    video_trash,
    videos_purge,
)

__all__ = [
    "Ending",
    "PlacedOutput",
    "content_share",
    "download_take",
    "duplicates_join",
    "final_create",
    "import_create",
    "import_retry",
    "media_sweep",
    "operation_get_or_create",
    "operation_hold",
    "operation_import",
    "operation_release",
    "operation_status_set",
    "outputs_place",
    "outputs_record",
    "outputs_unplace",
    "part_taken",
    "parts_left",
    "reservations_check",
    "share_create",
    "share_delete",
    "share_revoke",
    "share_unlock",
    "share_update",
    "trash_empty",
    "upload_advance",
    "upload_create",
    "upload_discard",
    "upload_length_set",
    "upload_rewind",
    "upload_room",
    "uploads_expire",
    "video_create_from_upload",
    "video_import",
    "video_intake_fail",
    "video_intake_restart",
    "video_intake_succeed",
    "video_rename",
    "video_restore",
    "video_trash",
    "videos_purge",
    "visit_note",
    "visits_purge",
]
