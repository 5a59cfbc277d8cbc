"""What this server has learned about how long steps take.

Each step that is done adds one figure to its kind and to the coarser kinds above it, in the transaction that
ends it. A kind keeps its last few figures and forgets older ones, so it follows a change of the machine; the
median of them is not moved by single odd ones. Nothing here reads the history of jobs.
"""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from django.db import connection

from jobs.eta_models import Pace
from jobs.eta_work import key_levels

KEPT = 15
# How far off the median of a kind may be for one of its steps, as a logarithm: before there are figures
# enough to tell, by how coarse the kind is.
_DOUBT = (0.15, 0.25, 0.4, 0.5, 0.9)
_LEAST_DOUBT = 0.06
_ENOUGH = 4
_NORMAL = 1.4826  # from the median deviation to the standard one
# Of the processors' share it had, a step that used so much was held up by the others.
_HELD_UP = 0.7


class Took(NamedTuple):
    """How long a step took: seconds from its claim without pauses, those after the last progress of the
    tools, and how many steps encoded on the machine as it began."""

    wall: float
    tail: float
    crowd: int


class Span(NamedTuple):
    """What a step is expected to take: seconds alone on the machine, of all processors, and after the tools'
    last progress. `doubt` is the logarithm of the factor by which it is often wrong."""

    wall: float
    cpu: float
    tail: float
    doubt: float

    def among(self, crowd: float) -> float:
        """Seconds beside others, where `crowd` steps run on the machine, this one counted."""
        return max(self.wall, self.cpu * crowd / cores())


def cores() -> int:
    """Of this machine; the workers' may be others, as everywhere."""
    return os.cpu_count() or 1


# The order of keys is that of the locks: two steps that end at once have kinds in common. How many run now is
# counted without the step itself, which is done.
_LEARN = """
    WITH beside AS (
        SELECT GREATEST(%(crowd)s, 1 + count(*)) AS crowd FROM jobs_step
        WHERE status = 'active' AND starts_with(worker, %(machine)s)
    ), learnt AS (
        SELECT CASE WHEN crowd <= 1 OR %(cpu)s < %(held_up)s * %(cores)s / crowd * %(wall)s
            THEN ARRAY[%(wall)s / %(work)s]::float8[] ELSE '{}' END AS wall FROM beside
    )
    INSERT INTO jobs_pace AS p (key, wall, cpu, tail)
    SELECT key, learnt.wall, ARRAY[%(cpu)s / %(work)s]::float8[], ARRAY[%(tail)s / %(work)s]::float8[]
    FROM learnt, unnest(%(keys)s::text[]) AS key ORDER BY key
    ON CONFLICT (key) DO UPDATE SET
        wall = (EXCLUDED.wall || p.wall)[:%(kept)s],
        cpu = (EXCLUDED.cpu || p.cpu)[:%(kept)s],
        tail = (EXCLUDED.tail || p.tail)[:%(kept)s]
"""


def pace_learn(*, key: str, work: float, took: Took, cpu_seconds: float, machine: str) -> None:
    """Adds a step that is done. `machine` is how the names of workers on this machine begin."""
    keys = sorted(set(key_levels(key)))
    if not keys or work <= 0 or took.wall <= 0:
        return
    values: dict[str, Any] = {
        "keys": keys,
        "work": float(work),
        "wall": float(took.wall),
        "tail": float(took.tail),
        "cpu": float(cpu_seconds),
        "crowd": took.crowd,
        "machine": machine,
        "cores": float(cores()),
        "held_up": _HELD_UP,
        "kept": KEPT,
    }
    with connection.cursor() as cursor:
        cursor.execute(_LEARN, values)


class Paces:
    """What is known of some kinds."""

    def __init__(self, rows: Mapping[str, tuple[Sequence[float], Sequence[float], Sequence[float]]]) -> None:
        self._rows = rows

    def span(self, key: str, work: float) -> Span | None:
        """What a step of this kind with so much work is expected to take; None where nothing is known."""
        for level, name in enumerate(key_levels(key)):
            wall, cpu, tail = self._rows.get(name, ((), (), ()))
            if not cpu:
                continue
            used = statistics.median(cpu)
            alone = statistics.median(wall) if wall else used / cores()
            rest = statistics.median(tail)
            doubt = _doubt(wall or cpu, level)
            return Span(alone * work, used * work, min(rest, alone) * work, doubt)
        return None


def paces_for(keys: Iterable[str]) -> Paces:
    """What is known of these kinds, in one query."""
    names = {name for key in keys for name in key_levels(key)}
    if not names:
        return Paces({})
    rows = Pace.objects.filter(key__in=names).values_list("key", "wall", "cpu", "tail")
    return Paces({key: (wall, cpu, tail) for key, wall, cpu, tail in rows})


def _doubt(figures: Sequence[float], level: int) -> float:
    prior = _DOUBT[min(level, len(_DOUBT) - 1)]
    if len(figures) < _ENOUGH:
        return prior * 1.5
    logs = [math.log(max(figure, 1e-6)) for figure in figures]
    middle = statistics.median(logs)
    spread = _NORMAL * statistics.median(abs(one - middle) for one in logs)
    return max(_LEAST_DOUBT, math.hypot(spread, prior / math.sqrt(len(logs))))
