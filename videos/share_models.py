"""Links by which people without an account see one video or one result."""

from __future__ import annotations

import secrets
from typing import ClassVar

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone

from users.ids import PublicIdField

TOKEN_BYTES = 24


def token_new() -> str:
    """192 random bits, as 32 characters that need no escaping in an address."""
    return secrets.token_urlsafe(TOKEN_BYTES)


class ShareLink(models.Model):
    """One address, `/s/<token>/`, for the original of a video, or for one of its results.

    States::

        open --its time is over--> expired     (says so: 410)
          `----its owner ends it--> revoked    (as if it had never been: 404)

    `downloads` only ever grows by a compare-and-swap with `max_downloads`, so two visitors never share the
    last one. Visitors see `title` and nothing else that a person wrote.
    """

    class State(models.TextChoices):
        OPEN = "open", "Open"
        EXPIRED = "expired", "Expired"
        REVOKED = "revoked", "Revoked"

    id = PublicIdField(prefix="shr", primary_key=True)
    token = models.CharField(max_length=43, unique=True, default=token_new, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="share_links", db_index=False
    )
    video = models.ForeignKey(
        "videos.Video", on_delete=models.CASCADE, related_name="share_links", db_index=False
    )
    output = models.ForeignKey(
        "videos.Output", on_delete=models.CASCADE, null=True, blank=True, related_name="share_links"
    )
    title = models.CharField(max_length=255, blank=True, help_text="What visitors see; empty: nothing")
    password = models.CharField(max_length=128, blank=True, editable=False, help_text="Hashed")
    allow_download = models.BooleanField(default=True)
    max_downloads = models.PositiveIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    downloads = models.PositiveIntegerField(default=0)
    views = models.PositiveIntegerField(default=0)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes: ClassVar = [
            # The list of one owner's links, newest first; and that of one video.
            models.Index(fields=["owner", "-id"], name="share_owner_newest"),
            models.Index(fields=["video", "-id"], name="share_video_newest"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(max_downloads=None) | models.Q(max_downloads__gte=1),
                name="share_downloads_possible",
            ),
        ]

    def __str__(self) -> str:
        return self.title or self.id

    @property
    def state(self) -> State:
        if self.revoked_at is not None:
            return self.State.REVOKED
        if self.expires_at is not None and self.expires_at <= timezone.now():
            return self.State.EXPIRED
        return self.State.OPEN

    @property
    def has_password(self) -> bool:
        return bool(self.password)

    @property
    def downloads_left(self) -> int | None:
        """None where they are not limited."""
        return None if self.max_downloads is None else max(0, self.max_downloads - self.downloads)

    @property
    def offers_download(self) -> bool:
        return self.allow_download and self.downloads_left != 0


class ShareVisit(models.Model):
    """A line of a link's log. The address is shortened before it is stored: enough to tell visitors apart,
    not enough to find them. The same visitor doing the same is noted once a minute."""

    class Kind(models.TextChoices):
        PAGE = "page", "Opened"
        DOWNLOAD = "download", "Downloaded"
        PASSWORD = "password", "Wrong password"

    id = models.BigAutoField(primary_key=True)
    share = models.ForeignKey(ShareLink, on_delete=models.CASCADE, related_name="visits", db_index=False)
    kind = models.CharField(max_length=10, choices=Kind)
    address = models.CharField(max_length=45, blank=True, help_text="Network of the visitor")
    agent = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes: ClassVar = [
            # The log, newest first, and whether the same was noted a moment ago.
            models.Index(fields=["share", "-at"], name="share_visit_newest"),
            # The clean-up.
            models.Index(fields=["at"], name="share_visit_age"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(kind__in=["page", "download", "password"]), name="share_visit_kind_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.share_id}"
