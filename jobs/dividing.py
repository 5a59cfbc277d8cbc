"""Whether a long encode is divided into segments, on this installation."""

from __future__ import annotations

import os

from django.conf import settings

from engine import segments
from engine.segments import Machine
from engine.types.media import MediaInfo
from engine.types.plan import Plan


def machine() -> Machine:
    """What encodes run on, as far as this process can tell: the workers' machines may be others."""
    return Machine(cores=os.cpu_count() or 1, slots=settings.WORKER_CONCURRENCY)


def divided(plan: Plan, media: MediaInfo) -> Plan:
    """The plan as it will be run."""
    return segments.divided(plan, media, machine(), seconds=settings.SEGMENT_SECONDS or None)
