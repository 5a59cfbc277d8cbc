"""What has moved in already, so that a second run finds it, whatever its owner did with it since."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class LegacyRecord(models.Model):
    """One record of the original and the row that was made from it.

    No foreign key: the note stays when the row is deleted, or the next run would bring it back.
    """

    class Kind(models.TextChoices):
        USER = "user", "User"
        VIDEO = "video", "Video"

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=8, choices=Kind)
    key = models.CharField(max_length=64, help_text="SHA-256 of what identifies the record in the original")
    label = models.CharField(max_length=200, help_text="Its name in the original, for people")
    object_id = models.CharField(max_length=40, help_text="Public id of the row that was made")
    run = models.CharField(max_length=32, help_text="The run that made it")
    made = models.JSONField(
        null=True, help_text="What was made with it and how it looked then, so that it can be taken back"
    )
    imported_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes: ClassVar = [
            # Everything that one run made.
            models.Index(fields=["run"], name="legacy_run"),
        ]
        constraints: ClassVar = [
            # Also answers "has this moved in already?".
            models.UniqueConstraint(fields=["kind", "key"], name="legacy_record_once"),
            models.CheckConstraint(
                condition=models.Q(kind__in=["user", "video"]), name="legacy_record_kind_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.label}"
