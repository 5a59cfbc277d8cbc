"""Long-polling: waits for a job's end without holding anything that others need."""

from __future__ import annotations

import time

from django.db import connection

from jobs.selectors import job_is_finished

WAIT_MAX_SECONDS = 60
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 1.0


def job_wait(*, job_id: str, seconds: float) -> bool:
    """Returns once the job has come to its end or `seconds` are over; says whether it has.

    The connection goes back to the pool between two looks, so a waiter costs one sleeping thread. Under
    ASGI that is the request's own, not one of a shared few.
    """
    deadline = time.monotonic() + seconds
    pause = _FIRST_PAUSE
    while not (finished := job_is_finished(job_id)) and (left := deadline - time.monotonic()) > 0:
        connection.close()
        time.sleep(min(pause, left))
        pause = min(_LONGEST_PAUSE, pause * 1.5)
    return finished
