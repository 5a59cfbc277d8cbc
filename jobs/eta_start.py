"""What a worker looks up as it begins a step: what was learned of its kind, and who else works here."""

from __future__ import annotations

from typing import NamedTuple

from django.db import connection

from jobs.claiming import Claim, machine_of, worker_name
from jobs.eta_live import Forecast
from jobs.eta_pace import paces_for


class Start(NamedTuple):
    """`crowd` are the steps that run on this machine, this one among them."""

    forecast: Forecast
    crowd: int


_BESIDE = """
    SELECT s.cost_key, s.work, beside.everybody FROM jobs_step s, (
        SELECT count(*) AS everybody FROM jobs_step
        WHERE status = 'active' AND starts_with(worker, %s)
    ) beside WHERE s.id = %s
"""


def step_start(claim: Claim) -> Start:
    """Two short queries."""
    with connection.cursor() as cursor:
        cursor.execute(_BESIDE, [machine_of(worker_name()), claim.step_id])
        row = cursor.fetchone()
    key, work, crowd = row or ("", 0.0, 1)  # without a row the lease is lost
    span = paces_for([key]).span(key, work)
    return Start(Forecast(span, crowd=max(1, crowd)), max(1, crowd))
