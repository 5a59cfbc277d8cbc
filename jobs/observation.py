"""Joins a worker's log lines and spans to the request that asked for the job."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from engine.stages import watched_by
from jobs.claiming import Claim
from telemetry import tracing


@contextmanager
def watched(claim: Claim, *, lane: str, looked_ns: int) -> Iterator[None]:
    """Around the work on a claimed step; `looked_ns` is when the worker began to look for one."""
    job = claim.job
    claimed_ns = time.time_ns()
    named = {"job_id": job.id, "step_id": claim.step_id, "attempt": claim.attempt, "user_id": job.owner_id}
    attributes = {
        **{f"videoproc.{name}": value for name, value in named.items()},
        "videoproc.operation": job.type,
        "videoproc.kind": claim.kind,
        "videoproc.lane": lane,
    }
    if claim.waited is not None:
        attributes["videoproc.waited_seconds"] = claim.waited.total_seconds()
    with (
        tracing.continued(
            job.trace, span_name=f"step {claim.kind}", attributes=attributes, began_ns=looked_ns, **named
        ),
        watched_by(lambda name, told: tracing.span(name, attributes=told)),
    ):
        tracing.past_span("claim", began_ns=looked_ns, ended_ns=claimed_ns)
        yield
