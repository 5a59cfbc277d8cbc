"""What the order of the queue is decided by, besides the steps themselves: limits that administrators set,
whose turn it was, and what everybody has used lately."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from users.models import Priority, Tier


class Limit(models.Model):
    """How many jobs may run at once of a tier, of a type of operation, or of a type within a tier.

    `at_once` is for all accounts together, `per_user` for each. The inspections of uploads are not limited.
    """

    id = models.BigAutoField(primary_key=True)
    tier = models.ForeignKey(
        Tier,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        help_text="Only jobs of accounts of this tier. Empty: of all.",
    )
    type = models.CharField(
        "operation", max_length=32, blank=True, help_text="Only jobs of this operation. Empty: of any."
    )
    at_once = models.PositiveSmallIntegerField(
        "at once on the whole site",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Jobs of all accounts together. Empty: no limit.",
    )
    per_user = models.PositiveSmallIntegerField(
        "at once for each user",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="It never grants more than the account's own limit. Empty: no limit.",
    )

    class Meta:
        verbose_name = "limit of jobs at once"
        verbose_name_plural = "limits of jobs at once"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tier", "type"],
                name="limit_once",
                nulls_distinct=False,
                violation_error_message="There is a limit for this tier and operation already.",
            ),
            models.CheckConstraint(
                condition=(Q(at_once=None) | Q(at_once__gte=1))
                & (Q(per_user=None) | Q(per_user__gte=1))
                & ~Q(at_once=None, per_user=None),
                name="limit_limits",
                violation_error_message="Give a limit for the whole site, for each user, or both.",
            ),
        ]

    def __str__(self) -> str:
        of = self.type or "any operation"
        return of if self.tier_id is None else f"{of}, tier {self.tier_id}"


class Turn(models.Model):
    """When a step of this owner was claimed last in this lane at this priority. Waiting longer makes a
    better turn, and it is counted from here: who is served all the time does not starve."""

    id = models.BigAutoField(primary_key=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    lane = models.CharField(max_length=8)
    priority = models.PositiveSmallIntegerField(choices=Priority)
    served_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["owner", "lane", "priority"], name="turn_once"),
        ]

    def __str__(self) -> str:
        return f"{self.owner_id} in {self.lane}"


class Usage(models.Model):
    """CPU seconds that an owner's steps have used, of which half is forgotten with every half-life. The
    figure is that of `measured_at`."""

    owner = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    cpu_seconds = models.FloatField()
    measured_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(cpu_seconds__gte=0), name="usage_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.cpu_seconds:.0f} s of {self.owner_id}"
