"""Presets: operations with their parameters, under a name that says what they are good for."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower

from users.ids import PublicIdField


class Preset(models.Model):
    """One operation that is ready to be asked for. Without an owner it is the site's, for everybody.

    `parameters` are stored as the engine normalises them, and judged by it again whenever they are used.
    """

    class Purpose(models.TextChoices):
        WATCHING = "watching", "Watching"
        SHARING = "sharing", "Sharing"
        LISTENING = "listening", "Listening"
        KEEPING = "keeping", "Keeping"
        STREAMING = "streaming", "Streaming"
        OTHER = "other", "Anything else"

    id = PublicIdField(prefix="pre", primary_key=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="presets",
        db_index=False,
        help_text="Empty: the site's, for everybody.",
    )
    name = models.CharField(max_length=80)
    description = models.CharField(max_length=200, blank=True)
    purpose = models.CharField(max_length=12, choices=Purpose, default=Purpose.OTHER)
    position = models.PositiveSmallIntegerField(
        "order", default=100, help_text="Those of the site are shown in this order, small numbers first."
    )
    type = models.CharField("operation", max_length=32)
    parameters = models.JSONField(default=dict, blank=True)
    enabled = models.BooleanField(default=True, help_text="Otherwise it is not offered and cannot be used.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints: ClassVar = [
            # Also finds the presets of an owner.
            models.UniqueConstraint("owner", Lower("name"), name="preset_name_once"),
            # Also finds those of the site.
            models.UniqueConstraint(
                Lower("name"), name="preset_name_once_site", condition=models.Q(owner=None)
            ),
            models.CheckConstraint(condition=~models.Q(name=""), name="preset_has_a_name"),
            models.CheckConstraint(
                condition=models.Q(
                    purpose__in=["watching", "sharing", "listening", "keeping", "streaming", "other"]
                ),
                name="preset_purpose_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ShippedPreset(models.Model):
    """A preset that comes with the site was made here once: a deleted one is not made again."""

    key = models.CharField(max_length=40, primary_key=True)

    def __str__(self) -> str:
        return self.key
