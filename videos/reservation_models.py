"""Room that is held for work which has not been done yet."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models


class Reservation(models.Model):
    """So many bytes an operation that waits or runs is expected to leave, by its plan.

    Written in the transaction that starts the operation and removed in the one that ends it, so neither a
    crash nor a lost message leaves one behind. Results count from then on by what they really take.
    """

    operation = models.OneToOneField(
        "videos.Operation", on_delete=models.CASCADE, primary_key=True, related_name="reservation"
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    bytes = models.BigIntegerField()

    class Meta:
        indexes: ClassVar = [
            # What is held for one owner.
            models.Index(fields=["owner"], include=("bytes",), name="reservation_owner"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(bytes__gte=0), name="reservation_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.bytes} bytes for {self.operation_id}"
