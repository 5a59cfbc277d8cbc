"""Videos, unfinished uploads, small files, the operations people asked for, and their outputs."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models.expressions import Combinable, OrderBy
from django.db.models.functions import Coalesce, Upper

from users.ids import PublicIdField
from videos.import_models import UrlImport
from videos.preset_models import Preset, ShippedPreset
from videos.reservation_models import Reservation
from videos.share_models import ShareLink, ShareVisit

__all__ = [
    "Asset",
    "Operation",
    "Output",
    "Preset",
    "Reservation",
    "ShareLink",
    "ShareVisit",
    "ShippedPreset",
    "Upload",
    "UrlImport",
    "Video",
]

# What videos are ordered by: one that was not looked into yet has no length.
DURATION_OR_NONE = Coalesce(models.F("duration"), models.Value(0.0), output_field=models.FloatField())

_ORDERS: dict[str, tuple[str | Combinable | OrderBy, ...]] = {
    "status": ("status", models.F("id").desc()),
    "created": ("created_at", "id"),
    "name": ("name", "id"),
    "size": ("size", "id"),
    "duration": (DURATION_OR_NONE, "id"),
}


class Video(models.Model):
    """One uploaded original.

    States::

        processing --intake found a video--> ready
             `-----intake refused it-------> failed     (its bytes are freed, the row explains why)

    Deleting sets `deleted_at` (trash); the bytes go later. Jobs of a deleted video stop by themselves.
    """

    class Status(models.TextChoices):
        PROCESSING = "processing", "Processing"
        READY = "ready", "Ready"
        FAILED = "failed", "Failed"

    id = PublicIdField(prefix="vid", primary_key=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="videos", db_index=False
    )
    name = models.CharField(max_length=255)
    original_filename = models.CharField(max_length=255, blank=True)
    status = models.CharField(max_length=12, choices=Status, default=Status.PROCESSING)
    error_code = models.CharField(max_length=40, blank=True)
    error_message = models.TextField(blank=True)
    size = models.BigIntegerField(help_text="Bytes of the original; 0 once they were freed.")
    sha256 = models.CharField(max_length=64, blank=True)
    container = models.CharField(max_length=16, blank=True)
    media_info = models.JSONField(null=True, blank=True, help_text="engine.types.MediaInfo")
    duration = models.FloatField(null=True, blank=True, help_text="Seconds")
    width = models.PositiveIntegerField(null=True, blank=True)
    height = models.PositiveIntegerField(null=True, blank=True)
    has_thumbnail = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            # The library page: one owner's videos, newest first, and the paging behind it.
            models.Index(
                fields=["owner", "-id"], name="video_owner_newest", condition=models.Q(deleted_at=None)
            ),
            # The same of one state, and in the other orders that the page and the API offer.
            *(
                models.Index("owner", *order, name=f"video_owner_{name}", condition=models.Q(deleted_at=None))
                for name, order in _ORDERS.items()
            ),
            # Equal originals: is there one already, and how many count?
            models.Index(fields=["owner", "sha256"], name="video_content", condition=~models.Q(sha256="")),
            # The admin's list of one owner's videos, trash included.
            models.Index(fields=["owner", "-id"], name="video_owner_all"),
            # The purge of the trash.
            models.Index(
                fields=["deleted_at"], name="video_trash", condition=models.Q(deleted_at__isnull=False)
            ),
            # The trash of one owner, the latest first.
            models.Index(
                fields=["owner", "-deleted_at"],
                name="video_owner_trash",
                condition=models.Q(deleted_at__isnull=False),
            ),
            # The library's search box: name contains the words. With the owner in it, since a word that the
            # names of all owners share is in a million rows.
            GinIndex(
                "owner",
                OpClass(Upper("name"), "gin_trgm_ops"),
                name="video_owner_words",
                condition=models.Q(deleted_at=None),
            ),
            # The admin's search: name begins so. The trigrams of a common word are on a million rows.
            models.Index(OpClass(Upper("name"), "text_pattern_ops"), name="video_name_beginning"),
            # The admin's list by state, newest first; ready ones are found soon enough by id.
            models.Index(fields=["status", "-id"], name="video_unready", condition=~models.Q(status="ready")),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(status__in=["processing", "ready", "failed"]), name="video_status_known"
            ),
            models.CheckConstraint(condition=models.Q(size__gte=0), name="video_size_not_negative"),
            models.CheckConstraint(
                condition=~models.Q(status="ready") | models.Q(media_info__isnull=False),
                name="video_ready_was_probed",
            ),
            models.CheckConstraint(
                condition=~models.Q(status="failed") | ~models.Q(error_code=""), name="video_failed_says_why"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def has_bytes(self) -> bool:
        """Whether the original is still stored; a file that was refused is not."""
        return not (self.status == self.Status.FAILED and self.size == 0)


class Upload(models.Model):
    """A resumable upload (tus 1.0.0). `offset` counts bytes that are on the disk for certain.

    `length` stays empty while the client has deferred it. When the last byte is there, the id of the
    future video is written down first, then the bytes move to its place, then `video` is set: a crash
    anywhere in between leaves enough to carry on. Afterwards the row only answers where the bytes went,
    until it expires.

    `concat` is the header Upload-Concat of its creation. A *partial* upload never becomes a video. A *final*
    one takes the bytes of its `parts` in their order: `offset` counts what it took, and its length is told
    together with the last part. A part's row goes when its bytes are taken.
    """

    PARTIAL = "partial"
    FINAL = "final;"

    id = PublicIdField(prefix="upl", primary_key=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="uploads")
    filename = models.CharField(max_length=255, blank=True)
    title = models.CharField(max_length=255, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    length = models.BigIntegerField(null=True, blank=True)
    offset = models.BigIntegerField(default=0)
    reserved_video_id = PublicIdField(prefix="vid", null=True, default=None)
    video = models.OneToOneField(
        Video, on_delete=models.CASCADE, null=True, blank=True, related_name="upload"
    )
    concat = models.TextField(blank=True, default="", db_default="", editable=False)
    parts = ArrayField(
        models.CharField(max_length=36), default=list, blank=True, editable=False, help_text="Ids, in order"
    )
    parts_joined = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    expires_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            # The clean-up of abandoned uploads.
            models.Index(fields=["expires_at"], name="upload_expiry"),
            # What is announced and has not arrived: of one owner, and of all.
            models.Index(fields=["owner"], name="upload_unfinished", condition=models.Q(video=None)),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(offset__gte=0), name="upload_offset_not_negative"),
            models.CheckConstraint(
                condition=models.Q(length=None) | models.Q(length__gte=models.F("offset")),
                name="upload_offset_within_length",
            ),
            models.CheckConstraint(
                condition=~models.Q(concat="partial") | models.Q(reserved_video_id=None, video=None),
                name="upload_part_is_no_video",
            ),
        ]

    def __str__(self) -> str:
        return self.filename or self.id

    @property
    def is_partial(self) -> bool:
        return self.concat == self.PARTIAL

    @property
    def is_final(self) -> bool:
        return self.concat.startswith(self.FINAL)

    @property
    def is_complete(self) -> bool:
        """Whether all bytes are there."""
        return self.offset == self.length


class Operation(models.Model):
    """Something asked for on a video. Equal requests meet in one row by their fingerprint.

    States::

        pending --a step was claimed--> processing --published--> completed
           |                                |------ gave up ----> failed
           `------------ cancelled ---------'-------------------> cancelled
        failed, cancelled --asked again or retried--> pending
    """

    class Status(models.TextChoices):
        PENDING = "pending", "Waiting"
        PROCESSING = "processing", "Running"
        COMPLETED = "completed", "Completed"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    id = PublicIdField(prefix="op", primary_key=True)
    video = models.ForeignKey(Video, on_delete=models.CASCADE, related_name="operations", db_index=False)
    type = models.CharField(max_length=32)
    parameters = models.JSONField(help_text="Normalised by the engine's Parameters model")
    fingerprint = models.CharField(max_length=64, editable=False)
    status = models.CharField(max_length=12, choices=Status, default=Status.PENDING)
    error_code = models.CharField(max_length=40, blank=True)
    error_message = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes: ClassVar = [
            # The operations panel: one video's operations, newest first.
            models.Index(fields=["video", "-id"], name="operation_video_newest"),
            # The admin's list by state, newest first; completed ones are found soon enough by id.
            models.Index(
                fields=["status", "-id"],
                name="operation_unsuccessful",
                condition=~models.Q(status="completed"),
            ),
        ]
        constraints: ClassVar = [
            # Also answers "is there already such an operation?".
            models.UniqueConstraint(fields=["video", "type", "fingerprint"], name="operation_asked_once"),
            models.CheckConstraint(
                condition=models.Q(status__in=["pending", "processing", "completed", "failed", "cancelled"]),
                name="operation_status_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} of {self.video_id}"


class Asset(models.Model):
    """A small file that operations use: a picture, or subtitles. It is not what was sent, but made of it."""

    class Kind(models.TextChoices):
        PICTURE = "picture", "Picture"
        SUBTITLES = "subtitles", "Subtitles"

    id = PublicIdField(prefix="ast", primary_key=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="assets", db_index=False
    )
    kind = models.CharField(max_length=12, choices=Kind)
    filename = models.CharField(max_length=255, help_text="Name offered when downloading")
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    media_info = models.JSONField(help_text="engine.types.MediaInfo")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes: ClassVar = [
            # The lists to choose from, and the quota.
            models.Index(fields=["owner", "-id"], name="asset_owner_newest"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(kind__in=["picture", "subtitles"]), name="asset_kind_known"
            ),
            models.CheckConstraint(condition=models.Q(size__gt=0), name="asset_not_empty"),
        ]

    def __str__(self) -> str:
        return self.filename


class Output(models.Model):
    """A published, verified result. Its row and its file appear together or not at all.

    A result with `members` is a folder, such as a stream: `size` is the sum of all its files, and `sha256`
    that of a list of them, as `sha256sum` writes it.
    """

    id = PublicIdField(prefix="out", primary_key=True)
    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="outputs", db_index=False)
    role = models.CharField(max_length=32)
    filename = models.CharField(max_length=255, help_text="Name offered when downloading")
    content_type = models.CharField(max_length=100)
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    media_info = models.JSONField(null=True, blank=True, help_text="engine.types.MediaInfo")
    verification = models.JSONField(help_text="engine.types.Verification")
    members = models.JSONField(default=list, blank=True, help_text="A list of engine.types.MemberFile")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["operation", "role"], name="output_role_once"),
            models.CheckConstraint(condition=models.Q(size__gt=0), name="output_not_empty"),
        ]

    def __str__(self) -> str:
        return self.filename


class StorageChange(models.Model):
    """So many bytes more, or less, that count against an owner's quota; their sum is the usage.

    Triggers write it in the transaction that changes a video, an output or an upload (migration 0004), so
    the sum is exact whoever changes them. They add a row instead of changing a counter: two jobs of one
    owner would wait for each other at it. `videos.services.usage` folds the rows of an owner into one.

    No constraint on the owner, for the rows of an account are still being written while it is removed.
    """

    id = models.BigAutoField(primary_key=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    bytes = models.BigIntegerField()

    class Meta:
        indexes: ClassVar = [
            # The usage of one owner.
            models.Index(fields=["owner"], include=("bytes",), name="storage_change_owner"),
        ]

    def __str__(self) -> str:
        return f"{self.bytes:+} of {self.owner_id}"


class HoldingChange(models.Model):
    """So many videos, operations or results more, or fewer, of one state that an owner has, trash included;
    their sum is what the owner has, without counting a million rows.

    Triggers write it in the transaction that changes a row (migration 0008), as those of `StorageChange` do,
    but they take no locks: what is in the trash is counted where somebody asks and taken off.
    `videos.services.holdings` folds the rows.
    """

    class Kind(models.TextChoices):
        VIDEO = "video", "Video"
        OPERATION = "operation", "Operation"
        OUTPUT = "output", "Result"

    id = models.BigAutoField(primary_key=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    kind = models.CharField(max_length=9, choices=Kind)
    status = models.CharField(max_length=12, blank=True, help_text="Of the videos or operations")
    count = models.IntegerField()
    bytes = models.BigIntegerField()
    microseconds = models.BigIntegerField(help_text="Length of the videos")

    class Meta:
        indexes: ClassVar = [
            # What one owner has.
            models.Index(
                fields=["owner", "kind", "status"],
                include=("count", "bytes", "microseconds"),
                name="holding_change_owner",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.count:+} {self.kind} of {self.owner_id}"
