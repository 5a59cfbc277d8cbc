# What each owner has, in numbers that triggers keep; and the search within one owner's names.

import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.functions.text
from django.conf import settings
from django.contrib.postgres.operations import BtreeGinExtension
from django.db import migrations, models

# By row, with look-ups by primary key: a plan for many rows that a session keeps would read the whole table
# for one. Rows below a row that goes first are counted with it, and say nothing when they go later.
TRIGGERS = """
    CREATE FUNCTION videos_holding_below(video uuid, owner uuid, sign integer) RETURNS void LANGUAGE sql AS $$
        INSERT INTO videos_holdingchange (owner_id, kind, status, count, bytes, microseconds)
        SELECT owner, 'operation', status, sign * count(*), 0, 0 FROM videos_operation
            WHERE video_id = video GROUP BY status;
        INSERT INTO videos_holdingchange (owner_id, kind, status, count, bytes, microseconds)
        SELECT owner, 'output', '', sign * count(*), sign * sum(result.size), 0 FROM videos_output result
            JOIN videos_operation operation ON operation.id = result.operation_id
            WHERE operation.video_id = video HAVING count(*) > 0;
    $$;
    CREATE FUNCTION videos_holding_of_video() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP <> 'INSERT' THEN
            INSERT INTO videos_holdingchange (owner_id, kind, status, count, bytes, microseconds) VALUES
                (OLD.owner_id, 'video', OLD.status, -1, -OLD.size, -round(coalesce(OLD.duration, 0) * 1000000));
        END IF;
        IF TG_OP <> 'DELETE' THEN
            INSERT INTO videos_holdingchange (owner_id, kind, status, count, bytes, microseconds) VALUES
                (NEW.owner_id, 'video', NEW.status, 1, NEW.size, round(coalesce(NEW.duration, 0) * 1000000));
        END IF;
        IF TG_OP = 'DELETE' OR TG_OP = 'UPDATE' AND OLD.owner_id <> NEW.owner_id THEN
            PERFORM videos_holding_below(OLD.id, OLD.owner_id, -1);
        END IF;
        IF TG_OP = 'UPDATE' AND OLD.owner_id <> NEW.owner_id THEN
            PERFORM videos_holding_below(OLD.id, NEW.owner_id, 1);
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER videos_holding_rows AFTER INSERT OR DELETE ON videos_video FOR EACH ROW
        EXECUTE FUNCTION videos_holding_of_video();
    CREATE TRIGGER videos_holding_update AFTER UPDATE ON videos_video FOR EACH ROW
        WHEN ((OLD.owner_id, OLD.status, OLD.size, OLD.duration)
            IS DISTINCT FROM (NEW.owner_id, NEW.status, NEW.size, NEW.duration))
        EXECUTE FUNCTION videos_holding_of_video();

    CREATE FUNCTION videos_holding_of_operation() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        owner uuid;
    BEGIN
        -- Without its video, it went with it.
        SELECT owner_id INTO owner FROM videos_video
            WHERE id = CASE TG_OP WHEN 'INSERT' THEN NEW.video_id ELSE OLD.video_id END;
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
        IF TG_OP <> 'INSERT' THEN
            INSERT INTO videos_holdingchange (owner_id, kind, status, count, bytes, microseconds)
                VALUES (owner, 'operation', OLD.status, -1, 0, 0);
        END IF;
        IF TG_OP <> 'DELETE' THEN
            INSERT INTO videos_holdingchange (owner_id, kind, status, count, bytes, microseconds)
                VALUES (owner, 'operation', NEW.status, 1, 0, 0);
        ELSE
            INSERT INTO videos_holdingchange (owner_id, kind, status, count, bytes, microseconds)
                SELECT owner, 'output', '', -count(*), -sum(size), 0 FROM videos_output
                WHERE operation_id = OLD.id HAVING count(*) > 0;
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER videos_holding_rows AFTER INSERT OR DELETE ON videos_operation FOR EACH ROW
        EXECUTE FUNCTION videos_holding_of_operation();
    CREATE TRIGGER videos_holding_update AFTER UPDATE ON videos_operation FOR EACH ROW
        WHEN (OLD.status IS DISTINCT FROM NEW.status)
        EXECUTE FUNCTION videos_holding_of_operation();

    CREATE FUNCTION videos_holding_of_output() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        owner uuid;
    BEGIN
        SELECT video.owner_id INTO owner FROM videos_operation operation
            JOIN videos_video video ON video.id = operation.video_id
            WHERE operation.id = CASE TG_OP WHEN 'INSERT' THEN NEW.operation_id ELSE OLD.operation_id END;
        IF FOUND THEN
            INSERT INTO videos_holdingchange (owner_id, kind, status, count, bytes, microseconds) VALUES (
                owner, 'output', '',
                CASE TG_OP WHEN 'INSERT' THEN 1 WHEN 'DELETE' THEN -1 ELSE 0 END,
                CASE WHEN TG_OP = 'DELETE' THEN 0 ELSE NEW.size END
                    - CASE WHEN TG_OP = 'INSERT' THEN 0 ELSE OLD.size END,
                0);
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER videos_holding_rows AFTER INSERT OR DELETE ON videos_output FOR EACH ROW
        EXECUTE FUNCTION videos_holding_of_output();
    CREATE TRIGGER videos_holding_update AFTER UPDATE ON videos_output FOR EACH ROW
        WHEN (OLD.size IS DISTINCT FROM NEW.size)
        EXECUTE FUNCTION videos_holding_of_output();
"""
WITHOUT_TRIGGERS = """
    DROP TRIGGER videos_holding_rows ON videos_video;
    DROP TRIGGER videos_holding_update ON videos_video;
    DROP TRIGGER videos_holding_rows ON videos_operation;
    DROP TRIGGER videos_holding_update ON videos_operation;
    DROP TRIGGER videos_holding_rows ON videos_output;
    DROP TRIGGER videos_holding_update ON videos_output;
    DROP FUNCTION videos_holding_of_video();
    DROP FUNCTION videos_holding_of_operation();
    DROP FUNCTION videos_holding_of_output();
    DROP FUNCTION videos_holding_below(uuid, uuid, integer);
"""
# After the triggers, whose locks keep everybody from changing these tables until the end of the migration.
BACKFILL = """
    INSERT INTO videos_holdingchange (owner_id, kind, status, count, bytes, microseconds)
    SELECT owner_id, 'video', status, count(*), sum(size), sum(round(coalesce(duration, 0) * 1000000))
        FROM videos_video GROUP BY owner_id, status
    UNION ALL
    SELECT video.owner_id, 'operation', operation.status, count(*), 0, 0 FROM videos_operation operation
        JOIN videos_video video ON video.id = operation.video_id GROUP BY video.owner_id, operation.status
    UNION ALL
    SELECT video.owner_id, 'output', '', count(*), sum(result.size), 0 FROM videos_output result
        JOIN videos_operation operation ON operation.id = result.operation_id
        JOIN videos_video video ON video.id = operation.video_id GROUP BY video.owner_id
"""


class Migration(migrations.Migration):

    dependencies = [
        ('videos', '0007_library_orders'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        BtreeGinExtension(),
        migrations.CreateModel(
            name='HoldingChange',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('video', 'Video'), ('operation', 'Operation'), ('output', 'Result')], max_length=9)),
                ('status', models.CharField(blank=True, help_text='Of the videos or operations', max_length=12)),
                ('count', models.IntegerField()),
                ('bytes', models.BigIntegerField()),
                ('microseconds', models.BigIntegerField(help_text='Length of the videos')),
                ('owner', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'indexes': [models.Index(fields=['owner', 'kind', 'status'], include=('count', 'bytes', 'microseconds'), name='holding_change_owner')],
            },
        ),
        migrations.RunSQL(TRIGGERS, WITHOUT_TRIGGERS),
        migrations.RunSQL(BACKFILL, migrations.RunSQL.noop),
        migrations.RemoveIndex(
            model_name='video',
            name='video_name_trigrams',
        ),
        migrations.AddIndex(
            model_name='video',
            index=django.contrib.postgres.indexes.GinIndex(models.F('owner'), django.contrib.postgres.indexes.OpClass(django.db.models.functions.text.Upper('name'), 'gin_trgm_ops'), condition=models.Q(('deleted_at', None)), name='video_owner_words'),
        ),
    ]
