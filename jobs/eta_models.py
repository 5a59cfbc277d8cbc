"""The row of what was learned about how long steps take. Its meaning is in `jobs.eta_pace`."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Pace(models.Model):
    """How long the last few steps of one kind took, the newest first, each divided by its work.

    `key` names the kind; coarser kinds have `*` in places of it. `wall` is only of steps that had the
    processors they could use, `cpu` of all; `tail` is the time after the tools' last progress.
    """

    key = models.CharField(max_length=160, primary_key=True)
    wall = ArrayField(models.FloatField())
    cpu = ArrayField(models.FloatField())
    tail = ArrayField(models.FloatField())

    def __str__(self) -> str:
        return self.key
