"""Imports from web addresses. Brought in by `videos.models`, where Django looks for models."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from users.ids import PublicIdField


class UrlImport(models.Model):
    """A file that the site fetches itself. Its bytes, quota, expiry and end are those of `upload`.

    States::

        waiting --claimed (lease, token)--> active --last byte, video made--> done
          ^  |                                |
          |  `<-- try later (`run_after`) ----|
          `--- retried --- failed <-----------'  refused, or tries used up

    Cancelling removes the upload, and this row with it.
    """

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        ACTIVE = "active", "Fetching"
        FAILED = "failed", "Failed"
        DONE = "done", "Done"

    id = PublicIdField(prefix="imp", primary_key=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    upload = models.OneToOneField("videos.Upload", on_delete=models.CASCADE, related_name="url_import")
    url = models.CharField(max_length=2000)
    status = models.CharField(max_length=8, choices=Status, default=Status.WAITING)
    error_code = models.CharField(max_length=40, blank=True)
    error_message = models.TextField(blank=True)
    attempt = models.PositiveSmallIntegerField(default=0)
    run_after = models.DateTimeField(db_default=Now(), editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    lease_token = models.UUIDField(null=True, blank=True, editable=False)
    validator = models.CharField(
        max_length=300,
        blank=True,
        editable=False,
        help_text="ETag or date of what has arrived, to go on with",
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes: ClassVar = [
            # Its owner's list.
            models.Index(fields=["owner", "-id"], name="url_import_owner_newest"),
            # The claim.
            models.Index(
                fields=["run_after"], name="url_import_open", condition=Q(status__in=["waiting", "active"])
            ),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(status__in=["waiting", "active", "failed", "done"]),
                name="url_import_status_known",
            ),
            models.CheckConstraint(
                condition=Q(status="active", lease_until__isnull=False, lease_token__isnull=False)
                | (~Q(status="active") & Q(lease_until=None, lease_token=None)),
                name="url_import_active_is_leased",
            ),
            models.CheckConstraint(
                condition=~Q(status="failed") | ~Q(error_code=""), name="url_import_failed_says_why"
            ),
        ]

    def __str__(self) -> str:
        return self.url

    @property
    def is_open(self) -> bool:
        """Whether it still goes on by itself."""
        return self.status in {self.Status.WAITING, self.Status.ACTIVE}
