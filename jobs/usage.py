"""What each owner has used of the processors lately, so that claims can let others go first."""

from __future__ import annotations

import logging
import resource
from collections.abc import Callable

from django.db import Error as DatabaseTrouble
from django.db import connection

from jobs.claim_sql import HALF_LIFE_SECONDS
from users.ids import raw_id

log = logging.getLogger(__name__)

# One row for each owner, brought up to date where it is written: nobody ever adds a history up.
_ADD = f"""
    INSERT INTO jobs_usage AS u (owner_id, cpu_seconds, measured_at)
    SELECT id, %(seconds)s, statement_timestamp() FROM users_user WHERE id = %(owner)s
    ON CONFLICT (owner_id) DO UPDATE SET
        cpu_seconds = EXCLUDED.cpu_seconds + u.cpu_seconds * power(0.5::float8,
            extract(epoch FROM EXCLUDED.measured_at - u.measured_at)::float8 / {HALF_LIFE_SECONDS}),
        measured_at = EXCLUDED.measured_at
"""  # noqa: S608 - composed of constants


def usage_add(*, owner_id: str, cpu_seconds: float) -> None:
    """Adds what a step has used, however it ended. Where that cannot be written, it is not counted: the queue
    is a little less fair then, and nothing else."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(_ADD, {"owner": raw_id(owner_id), "seconds": max(0.0, cpu_seconds)})
    except DatabaseTrouble as error:
        log.warning("what %s has used could not be noted: %s", owner_id, error)


def cpu_clock() -> Callable[[], float]:
    """A function that says how many CPU seconds this process and its ended tools have used since now."""
    begun = _cpu_seconds()
    return lambda: _cpu_seconds() - begun


def _cpu_seconds() -> float:
    own, ended = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime
