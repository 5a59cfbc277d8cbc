"""What administrators set for the whole site, and figures that are too dear to count in a request."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from users.models import Tier

_DAYS_MAX = 36_500


def _days_kept(help_text: str) -> models.PositiveIntegerField[int | None, int | None]:
    return models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(_DAYS_MAX)],
        help_text=f"{help_text} Empty: for ever.",
    )


class SiteSettings(models.Model):
    """One row at most; a site without it behaves as the defaults say."""

    class Level(models.TextChoices):
        INFO = "info", "Information"
        WARNING = "warn", "Warning"
        CRITICAL = "bad", "Critical"

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY, editable=False)
    drained = models.BooleanField(
        "drain the whole site",
        default=False,
        help_text="What runs is finished, nothing starts. People may still ask for work: it waits.",
    )
    drained_short = models.BooleanField(
        "drain the short lane",
        default=False,
        help_text="No inspection of an upload starts, no copy and no thumbnail.",
    )
    drained_encode = models.BooleanField(
        "drain the encode lane", default=False, help_text="No encode starts. Inspections go on."
    )
    drained_until = models.DateTimeField(
        "expected end (UTC)",
        null=True,
        blank=True,
        help_text="Shown to people whose jobs wait. It does not end the drain.",
    )
    low_from = models.TimeField(
        "low priority runs from",
        null=True,
        blank=True,
        help_text="Outside these hours no encode of low priority starts. Empty: at any time.",
    )
    low_until = models.TimeField("until", null=True, blank=True, help_text="May be past midnight.")
    time_zone = models.CharField(
        max_length=64,
        default="UTC",
        db_default="UTC",
        help_text="Of the hours above, such as Europe/Berlin.",
    )
    banner = models.CharField(
        max_length=300, blank=True, help_text="Shown on every page, also to people who are not signed in."
    )
    banner_level = models.CharField(max_length=8, choices=Level, default=Level.INFO)
    trash_days = models.PositiveIntegerField(
        default=7,
        validators=[MaxValueValidator(_DAYS_MAX)],
        help_text="Days that a deleted video can still be taken out of the trash.",
    )
    original_days = _days_kept("Days after which a video with all its results moves to the trash.")
    result_days = _days_kept("Days after which a result goes. Its operation can be asked for again.")
    log_days = _days_kept("Days after the end of a job for which the log of the tools is kept.")
    history_days = _days_kept(
        "Days after which ended jobs leave the history, logs and all. Their figures stay in the statistics."
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = "site settings"
        verbose_name_plural = "site settings"
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(id=1), name="site_settings_once"),
            models.CheckConstraint(
                condition=models.Q(banner_level__in=["info", "warn", "bad"]), name="site_banner_level_known"
            ),
            models.CheckConstraint(
                condition=models.Q(low_from=None, low_until=None)
                | (
                    models.Q(low_from__isnull=False, low_until__isnull=False)
                    & ~models.Q(low_from=models.F("low_until"))
                ),
                name="site_hours_begin_and_end",
                violation_error_message="Give a beginning and another end, or neither.",
            ),
        ]

    def __str__(self) -> str:
        return "Site settings"

    @property
    def lanes_drained(self) -> frozenset[str]:
        """The lanes in which nothing starts."""
        lanes = {"short": self.drained_short, "encode": self.drained_encode}
        return frozenset(lane for lane, drained in lanes.items() if drained or self.drained)

    def low_runs_at(self, moment: datetime) -> bool:
        """Whether encodes of low priority may start then."""
        if self.low_from is None or self.low_until is None:
            return True
        clock = moment.astimezone(ZoneInfo(self.time_zone)).time()
        if self.low_from < self.low_until:
            return self.low_from <= clock < self.low_until
        return clock >= self.low_from or clock < self.low_until

    @property
    def trash_kept(self) -> timedelta:
        return timedelta(days=self.trash_days)


class TierStorage(models.Model):
    """Bytes and accounts of a tier, as counted by the hourly clean-up."""

    tier = models.OneToOneField(Tier, on_delete=models.CASCADE, primary_key=True, related_name="+")
    accounts = models.PositiveIntegerField(default=0)
    originals = models.BigIntegerField(default=0)
    results = models.BigIntegerField(default=0)
    uploads = models.BigIntegerField(default=0, help_text="What unfinished uploads have announced")
    counted_at = models.DateTimeField()

    class Meta:
        verbose_name = "storage of a tier"
        verbose_name_plural = "storage by tier"

    def __str__(self) -> str:
        return f"Storage of {self.tier_id}"

    @property
    def total(self) -> int:
        return self.originals + self.results + self.uploads
