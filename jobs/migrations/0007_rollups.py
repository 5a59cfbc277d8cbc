# The roll-ups of the history, the notes that keep them right, and the indexes of long lists.

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# What jobs made so far, as far as it is still stored.
BACKFILL = """
    UPDATE jobs_job SET output_bytes = made.size
    FROM (SELECT operation_id, sum(size) AS size FROM videos_output GROUP BY operation_id) AS made
    WHERE jobs_job.operation_id = made.operation_id AND status = 'completed'
"""

# A job of today needs no note: its day is rolled up when it is over. By the clock, not by the begin of the
# transaction, so that one that runs over midnight leaves its note.
TRIGGERS = """
    CREATE FUNCTION jobs_rollup_note_update() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO jobs_rolluptouch (day, owner_id)
        SELECT DISTINCT (queued_at AT TIME ZONE 'UTC')::date, owner_id
        FROM (VALUES (OLD.queued_at, OLD.owner_id), (NEW.queued_at, NEW.owner_id)) AS job (queued_at, owner_id)
        WHERE queued_at < date_trunc('day', clock_timestamp(), 'UTC');
        RETURN NULL;
    END $$;
    CREATE TRIGGER jobs_rollup_note_update AFTER UPDATE ON jobs_job FOR EACH ROW
    WHEN (OLD.queued_at < date_trunc('day', clock_timestamp(), 'UTC')
        AND (OLD.status, OLD.type, OLD.owner_id, OLD.queued_at, OLD.started_at, OLD.attempt, OLD.duration_ms,
             OLD.cpu_seconds, OLD.output_bytes)
        IS DISTINCT FROM
            (NEW.status, NEW.type, NEW.owner_id, NEW.queued_at, NEW.started_at, NEW.attempt, NEW.duration_ms,
             NEW.cpu_seconds, NEW.output_bytes)
        OR NEW.queued_at < OLD.queued_at)
    EXECUTE FUNCTION jobs_rollup_note_update();

    CREATE FUNCTION jobs_rollup_note_rows() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO jobs_rolluptouch (day, owner_id)
        SELECT DISTINCT (queued_at AT TIME ZONE 'UTC')::date, owner_id FROM changed
        WHERE queued_at < date_trunc('day', clock_timestamp(), 'UTC');
        RETURN NULL;
    END $$;
    CREATE TRIGGER jobs_rollup_note_insert AFTER INSERT ON jobs_job REFERENCING NEW TABLE AS changed
        FOR EACH STATEMENT EXECUTE FUNCTION jobs_rollup_note_rows();
    CREATE TRIGGER jobs_rollup_note_delete AFTER DELETE ON jobs_job REFERENCING OLD TABLE AS changed
        FOR EACH STATEMENT EXECUTE FUNCTION jobs_rollup_note_rows();
"""
WITHOUT_TRIGGERS = """
    DROP TRIGGER jobs_rollup_note_update ON jobs_job;
    DROP TRIGGER jobs_rollup_note_insert ON jobs_job;
    DROP TRIGGER jobs_rollup_note_delete ON jobs_job;
    DROP FUNCTION jobs_rollup_note_update();
    DROP FUNCTION jobs_rollup_note_rows();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0006_job_error_fix'),
        ('videos', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Rollup',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('grain', models.CharField(choices=[('day', 'Day'), ('month', 'Month')], max_length=5)),
                ('start', models.DateField(help_text='The day in UTC; for a month its first')),
                ('type', models.CharField(max_length=32)),
                ('part', models.PositiveSmallIntegerField()),
                ('queued', models.IntegerField()),
                ('active', models.IntegerField()),
                ('paused', models.IntegerField()),
                ('completed', models.IntegerField()),
                ('failed', models.IntegerField()),
                ('cancelled', models.IntegerField()),
                ('retries', models.BigIntegerField()),
                ('cpu_seconds', models.FloatField()),
                ('output_bytes', models.BigIntegerField()),
                ('longest_ms', models.BigIntegerField(help_text='Of all that ended, for the slow ones', null=True)),
                ('duration_count', models.IntegerField()),
                ('duration_sum', models.FloatField()),
                ('duration_min', models.FloatField(null=True)),
                ('duration_max', models.FloatField(null=True)),
                ('duration_buckets', django.contrib.postgres.fields.ArrayField(base_field=models.SmallIntegerField(), size=None)),
                ('duration_counts', django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), size=None)),
                ('queue_count', models.IntegerField()),
                ('queue_sum', models.FloatField()),
                ('queue_min', models.FloatField(null=True)),
                ('queue_max', models.FloatField(null=True)),
                ('queue_buckets', django.contrib.postgres.fields.ArrayField(base_field=models.SmallIntegerField(), size=None)),
                ('queue_counts', django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), size=None)),
            ],
        ),
        migrations.CreateModel(
            name='RollupProgress',
            fields=[
                ('id', models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('through', models.DateField()),
            ],
        ),
        migrations.CreateModel(
            name='RollupTouch',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('day', models.DateField(db_index=True)),
                ('owner_id', models.UUIDField()),
            ],
        ),
        migrations.RemoveIndex(
            model_name='job',
            name='job_failed_recent',
        ),
        migrations.RemoveIndex(
            model_name='job',
            name='job_owner_failed',
        ),
        migrations.RemoveIndex(
            model_name='job',
            name='job_owner_queued',
        ),
        migrations.RemoveIndex(
            model_name='job',
            name='job_queued',
        ),
        migrations.AddField(
            model_name='job',
            name='output_bytes',
            field=models.BigIntegerField(db_default=0, default=0, help_text='Size of the results it made'),
        ),
        migrations.RunSQL(BACKFILL, migrations.RunSQL.noop),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('status', 'failed')), fields=['-finished_at', '-id'], include=('type',), name='job_failed_recent'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('status', 'failed')), fields=['owner', '-finished_at', '-id'], include=('type',), name='job_owner_failed'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('duration_ms__gt', 60000)), fields=['-queued_at', '-id'], include=('type', 'duration_ms'), name='job_slow'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('duration_ms__gt', 60000)), fields=['owner', '-queued_at', '-id'], include=('type', 'duration_ms'), name='job_owner_slow'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(fields=['owner', 'queued_at', 'id'], include=('type', 'status', 'attempt', 'started_at', 'duration_ms', 'cpu_seconds', 'output_bytes'), name='job_owner_queued'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(fields=['queued_at', 'id'], include=('type', 'status', 'attempt', 'started_at', 'duration_ms', 'cpu_seconds', 'output_bytes'), name='job_queued'),
        ),
        migrations.AddConstraint(
            model_name='job',
            constraint=models.CheckConstraint(condition=models.Q(('output_bytes__gte', 0)), name='job_output_bytes_not_negative'),
        ),
        migrations.AddField(
            model_name='rollup',
            name='owner',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddConstraint(
            model_name='rollupprogress',
            constraint=models.CheckConstraint(condition=models.Q(('id', 1)), name='rollup_progress_is_one'),
        ),
        migrations.AddIndex(
            model_name='rollup',
            index=django.contrib.postgres.indexes.BrinIndex(fields=['start'], name='rollup_start', pages_per_range=16),
        ),
        migrations.AddConstraint(
            model_name='rollup',
            constraint=models.UniqueConstraint(fields=('owner', 'grain', 'start', 'type', 'part'), name='rollup_once', nulls_distinct=False),
        ),
        migrations.AddConstraint(
            model_name='rollup',
            constraint=models.CheckConstraint(condition=models.Q(('grain__in', ['day', 'month'])), name='rollup_grain_known'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(fields=['owner', 'status', '-id', 'type'], name='job_owner_status'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(fields=['owner', 'type', '-id'], name='job_owner_type'),
        ),
        migrations.RunSQL(TRIGGERS, WITHOUT_TRIGGERS),
    ]
