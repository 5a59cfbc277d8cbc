"""Celery's way in. Arguments are keywords and unknown ones are ignored, so that old and new workers mix."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from celery import shared_task

from jobs import dispatch
from jobs.execution import lane_drain
from jobs.housekeeping import clean
from jobs.reconcile import reconcile_if_due
from jobs.rollups import rollups_update
from jobs.webhooks.sending import deliver


@shared_task(name=dispatch.WORK, ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types
def work_task(*, lane: str, **_: object) -> int:
    """A wake-up: looks into the lane."""
    return lane_drain(lane=lane)


@shared_task(name=dispatch.DELIVER, ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types
def deliver_task(**_: object) -> bool:
    """A wake-up: sends what waits for one webhook."""
    return deliver()


@shared_task(name=dispatch.RECONCILE, ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types
def reconcile_task(**_: object) -> dict[str, int]:
    return asdict(reconcile_if_due())


@shared_task(name="jobs.clean", ignore_result=False)  # type: ignore[untyped-decorator]  # Celery has no types
def clean_task(**_: object) -> dict[str, Any]:
    """Its result is kept, so that the admin shows what went when."""
    return asdict(clean())


@shared_task(name="jobs.rollups", ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types
def rollups_task(**_: object) -> dict[str, int]:
    return asdict(rollups_update())
