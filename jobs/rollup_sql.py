"""The SQL that adds jobs up, shared by the makers and the readers of roll-ups.

Every string here is put together from constants of this module; values travel as parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobs.figures import GROWTH
from jobs.models import Job

# Stands for everybody where rows are joined by their owner, for NULL joins with nothing.
EVERYBODY = "'00000000-0000-0000-0000-000000000000'::uuid"

# Not `extract`, which is numeric and several times as slow.
_WAIT = "date_part('epoch', started_at - queued_at) * 1000"
_TOOK = "CASE WHEN status = 'completed' THEN duration_ms END"


def _bucket(milliseconds: str) -> str:
    return (
        f"CASE WHEN {milliseconds} < 1 THEN 0 ELSE 1 + floor(ln({milliseconds}) / ln({GROWTH})) END::smallint"
    )


# Of a job: what the sums below are made of, all from the indexes that statistics have. A materialized query
# has each computed once for a row, instead of once for each of its uses.
JOB_COLUMNS = f"""
    type, status, attempt, cpu_seconds, output_bytes, duration_ms,
    {_TOOK} AS took, {_WAIT} AS waited,
    {_bucket(f"({_TOOK})::double precision")} AS took_bucket, {_bucket(f"({_WAIT})")} AS waited_bucket
"""

# Column of a roll-up: how it comes out of jobs, and which function adds roll-ups up.
_SUMS: dict[str, tuple[str, str]] = {
    **{status: (f"count(*) FILTER (WHERE status = '{status}')", "sum") for status in Job.Status.values},
    "retries": ("coalesce(sum(greatest(attempt - 1, 0)), 0)", "sum"),
    "cpu_seconds": ("coalesce(sum(cpu_seconds), 0)", "sum"),
    "output_bytes": ("coalesce(sum(output_bytes), 0)", "sum"),
    "longest_ms": ("max(duration_ms)", "max"),
    "duration_count": ("count(took)", "sum"),
    "duration_sum": ("coalesce(sum(took), 0)::double precision", "sum"),
    "duration_min": ("min(took)::double precision", "min"),
    "duration_max": ("max(took)::double precision", "max"),
    "queue_count": ("count(waited)", "sum"),
    "queue_sum": ("coalesce(sum(waited), 0)", "sum"),
    "queue_min": ("min(waited)", "min"),
    "queue_max": ("max(waited)", "max"),
}
NAMES = tuple(_SUMS)
FROM_JOBS = ", ".join(f"{sql} AS {name}" for name, (sql, _) in _SUMS.items())
# Sums of bigint are numeric in PostgreSQL, which would be Decimal in Python.
_AS = {"cpu_seconds": "double precision", "duration_sum": "double precision", "queue_sum": "double precision"}
FROM_ROLLUPS = ", ".join(
    f"{function}({name})::{_AS.get(name, 'bigint')} AS {name}"
    if function == "sum"
    else f"{function}({name}) AS {name}"
    for name, (_, function) in _SUMS.items()
)
_BOTH = (("duration", "took"), ("queue", "waited"))


def insert_from_jobs(*, owner: str, where: str) -> str:
    """Rolls the jobs in `where` up by `owner` (a column, or EVERYBODY) and type.

    Parameters: those of `where`, then grain, start and part.
    """
    histograms = ", ".join(
        f"""{name} AS (
            SELECT owner, type, array_agg(bucket ORDER BY bucket) AS buckets,
                array_agg(n ORDER BY bucket) AS counts
            FROM (SELECT {owner} AS owner, type, {column}_bucket AS bucket, count(*) AS n
                FROM job WHERE {column} IS NOT NULL GROUP BY 1, 2, 3) AS each
            GROUP BY 1, 2)"""  # noqa: S608 - see above
        for name, column in _BOTH
    )
    return f"""
        WITH job AS MATERIALIZED (SELECT owner_id, {JOB_COLUMNS} FROM jobs_job WHERE {where}),
        base AS (SELECT {owner} AS owner, type, {FROM_JOBS} FROM job GROUP BY 1, 2),
        {histograms}
        {_INSERT}"""  # noqa: S608 - see above


def insert_longer(*, where: str) -> str:
    """Adds the roll-ups in `where` up by owner and type. Parameters: as of `insert_from_jobs`."""
    histograms = ", ".join(
        f"""{name} AS (
            SELECT owner, type, array_agg(bucket ORDER BY bucket) AS buckets,
                array_agg(n ORDER BY bucket) AS counts
            FROM (SELECT owner, type, bucket, sum(n) AS n
                FROM shorter, unnest({name}_buckets, {name}_counts) AS entry(bucket, n)
                GROUP BY 1, 2, 3) AS each
            GROUP BY 1, 2)"""  # noqa: S608 - see above
        for name, _ in _BOTH
    )
    return f"""
        WITH shorter AS MATERIALIZED (
            SELECT coalesce(owner_id, {EVERYBODY}) AS owner, * FROM jobs_rollup WHERE {where}),
        base AS (SELECT owner, type, {FROM_ROLLUPS} FROM shorter GROUP BY 1, 2),
        {histograms}
        {_INSERT}"""  # noqa: S608 - see above


_INSERT = f"""
    INSERT INTO jobs_rollup (grain, start, part, owner_id, type, {", ".join(NAMES)},
        duration_buckets, duration_counts, queue_buckets, queue_counts)
    SELECT %s, %s, %s, nullif(base.owner, {EVERYBODY}), base.type,
        {", ".join(f"base.{name}" for name in NAMES)},
        coalesce(duration.buckets, '{{}}'), coalesce(duration.counts, '{{}}'),
        coalesce(queue.buckets, '{{}}'), coalesce(queue.counts, '{{}}')
    FROM base LEFT JOIN duration USING (owner, type) LEFT JOIN queue USING (owner, type)
    ORDER BY base.owner, base.type"""  # noqa: S608 - see above


def sum_of_jobs(wheres: Sequence[str]) -> str:
    """Sums and both histograms of each type, of the jobs in all of `wheres` together, in one walk over them.

    Parameters: as of `wheres`.
    """
    jobs = " UNION ALL ".join(f"SELECT {JOB_COLUMNS} FROM jobs_job WHERE {where}" for where in wheres)  # noqa: S608 - see above
    histograms = ", ".join(
        f"""{name} AS (
            SELECT type, array_agg(bucket) AS buckets, array_agg(n) AS counts
            FROM (SELECT type, {column}_bucket AS bucket, count(*) AS n
                FROM job WHERE {column} IS NOT NULL GROUP BY 1, 2) AS each
            GROUP BY 1)"""  # noqa: S608 - see above
        for name, column in _BOTH
    )
    return f"""
        WITH job AS MATERIALIZED ({jobs}),
        base AS (SELECT type, {FROM_JOBS} FROM job GROUP BY 1),
        {histograms}
        SELECT base.*,
            coalesce(duration.buckets, '{{}}') AS duration_buckets,
            coalesce(duration.counts, '{{}}') AS duration_counts,
            coalesce(queue.buckets, '{{}}') AS queue_buckets,
            coalesce(queue.counts, '{{}}') AS queue_counts
        FROM base LEFT JOIN duration USING (type) LEFT JOIN queue USING (type)"""  # noqa: S608 - see above


SUM_ROLLUPS = f"""
    SELECT type, max(part) AS parts, {FROM_ROLLUPS}
    FROM jobs_rollup WHERE {{where}} GROUP BY type"""  # noqa: S608 - see above

DAYS_OF_ROLLUPS = """
    SELECT start, sum(completed)::bigint, sum(failed)::bigint, sum(cancelled)::bigint,
        sum(queued + active + paused)::bigint, sum(cpu_seconds)
    FROM jobs_rollup WHERE {where} GROUP BY start"""

# Unnested where columns are, not among tables: that takes two thirds of the time.
HISTOGRAMS_BY_TYPE = """
    SELECT type, bucket, sum(n) FROM (
        SELECT type, unnest({name}_buckets) AS bucket, unnest({name}_counts) AS n
        FROM jobs_rollup WHERE {where}) AS entry
    GROUP BY type, bucket"""

HISTOGRAM_OF_ALL = """
    SELECT '', bucket, sum(n) FROM (
        SELECT unnest({name}_buckets) AS bucket, unnest({name}_counts) AS n
        FROM jobs_rollup WHERE {where}) AS entry
    GROUP BY bucket"""
