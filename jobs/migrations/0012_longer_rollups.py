# Roll-ups of dekads and quarters: a year is fewer rows to add up.

from django.db import migrations, models

_SUMS = (
    'queued', 'active', 'paused', 'completed', 'failed', 'cancelled', 'retries', 'cpu_seconds',
    'output_bytes', 'duration_count', 'duration_sum', 'queue_count', 'queue_sum',
)
_LEAST, _MOST = ('duration_min', 'queue_min'), ('longest_ms', 'duration_max', 'queue_max')
_NAMES = (*_SUMS, *_LEAST, *_MOST)


def _longer(grain, of, whose, first, length):
    """Adds up what has ended of the shorter ones; `first` and `length` are those of the unit of a row."""
    values = [f'{function}({name}) AS {name}' for function, names in (('sum', _SUMS), ('min', _LEAST), ('max', _MOST)) for name in names]
    histograms = [
        f"""{name} AS (
            SELECT owner, type, first, array_agg(bucket ORDER BY bucket) AS buckets, array_agg(n ORDER BY bucket) AS counts
            FROM (SELECT owner, type, first, bucket, sum(n) AS n
                FROM shorter, unnest({name}_buckets, {name}_counts) AS entry(bucket, n) GROUP BY 1, 2, 3, 4) AS each
            GROUP BY 1, 2, 3)"""
        for name in ('duration', 'queue')
    ]
    nobody = "'00000000-0000-0000-0000-000000000000'::uuid"
    return f"""
        WITH shorter AS MATERIALIZED (
            SELECT coalesce(owner_id, {nobody}) AS owner, {first} AS first, * FROM jobs_rollup
            WHERE grain = '{of}' AND {whose}
                AND {first} + {length} <= (SELECT through FROM jobs_rollupprogress)),
        base AS (SELECT owner, type, first, {', '.join(values)} FROM shorter GROUP BY 1, 2, 3),
        {', '.join(histograms)}
        INSERT INTO jobs_rollup (grain, start, part, owner_id, type, {', '.join(_NAMES)},
            duration_buckets, duration_counts, queue_buckets, queue_counts)
        SELECT '{grain}', first, 0, nullif(owner, {nobody}), type, {', '.join(f'base.{name}' for name in _NAMES)},
            coalesce(duration.buckets, '{{}}'), coalesce(duration.counts, '{{}}'),
            coalesce(queue.buckets, '{{}}'), coalesce(queue.counts, '{{}}')
        FROM base LEFT JOIN duration USING (owner, type, first) LEFT JOIN queue USING (owner, type, first)
    """


_THIRD = "least((extract(day FROM start)::integer - 1) / 10, 2)"
_MONTH = "date_trunc('month', start)::date"
DEKADS = _longer(
    'dekad', 'day', 'owner_id IS NULL', f'({_MONTH} + 10 * {_THIRD})',
    f"(CASE WHEN {_THIRD} < 2 THEN 10 ELSE ({_MONTH} + interval '1 month')::date - {_MONTH} - 20 END)",
)
QUARTERS = _longer('quarter', 'month', 'true', "date_trunc('quarter', start)::date", "interval '3 months'")


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0011_fair_queue'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='rollup',
            name='rollup_grain_known',
        ),
        migrations.AlterField(
            model_name='rollup',
            name='grain',
            field=models.CharField(choices=[('day', 'Day'), ('dekad', 'Dekad'), ('month', 'Month'), ('quarter', 'Quarter')], max_length=7),
        ),
        migrations.AlterField(
            model_name='rollup',
            name='start',
            field=models.DateField(help_text='The day in UTC; of a longer time its first'),
        ),
        migrations.AddConstraint(
            model_name='rollup',
            constraint=models.CheckConstraint(condition=models.Q(('grain__in', ['day', 'dekad', 'month', 'quarter'])), name='rollup_grain_known'),
        ),
        migrations.RunSQL(DEKADS, "DELETE FROM jobs_rollup WHERE grain = 'dekad'"),
        migrations.RunSQL(QUARTERS, "DELETE FROM jobs_rollup WHERE grain = 'quarter'"),
    ]
