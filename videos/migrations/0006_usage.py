from django.conf import settings
from django.db import migrations, models
import django.db.models.deletion

# Of a video in the trash neither original nor results count. A result locks its video against changes (not
# against other results), else one that is published while its video moves to the trash could be missed by
# both. By row: a change of many rows is rare, and an import by COPY writes a row for each of them anyway.
TRIGGERS = """
    CREATE FUNCTION videos_storage_of_video() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        results bigint := 0;
    BEGIN
        IF TG_OP = 'DELETE' OR TG_OP = 'UPDATE' AND (
                OLD.owner_id <> NEW.owner_id OR (OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL)) THEN
            SELECT coalesce(sum(result.size), 0) INTO results FROM videos_output result
                JOIN videos_operation operation ON operation.id = result.operation_id
                WHERE operation.video_id = OLD.id;
        END IF;
        IF TG_OP <> 'INSERT' AND OLD.deleted_at IS NULL THEN
            INSERT INTO videos_storagechange (owner_id, bytes) VALUES (OLD.owner_id, -OLD.size - results);
        END IF;
        IF TG_OP <> 'DELETE' AND NEW.deleted_at IS NULL THEN
            INSERT INTO videos_storagechange (owner_id, bytes) VALUES (NEW.owner_id, NEW.size + results);
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER videos_storage_rows AFTER INSERT OR DELETE ON videos_video FOR EACH ROW
        EXECUTE FUNCTION videos_storage_of_video();
    CREATE TRIGGER videos_storage_update AFTER UPDATE ON videos_video FOR EACH ROW
        WHEN ((OLD.owner_id, OLD.size, OLD.deleted_at IS NULL)
            IS DISTINCT FROM (NEW.owner_id, NEW.size, NEW.deleted_at IS NULL))
        EXECUTE FUNCTION videos_storage_of_video();

    CREATE FUNCTION videos_storage_add(operation_wanted uuid, added bigint) RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
        video record;
    BEGIN
        SELECT v.owner_id, v.deleted_at INTO video FROM videos_operation o
            JOIN videos_video v ON v.id = o.video_id WHERE o.id = operation_wanted FOR SHARE OF v;
        -- Without its video, its bytes went with it.
        IF FOUND AND video.deleted_at IS NULL THEN
            INSERT INTO videos_storagechange (owner_id, bytes) VALUES (video.owner_id, added);
        END IF;
    END $$;
    CREATE FUNCTION videos_storage_of_output() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP <> 'INSERT' THEN
            PERFORM videos_storage_add(OLD.operation_id, -OLD.size);
        END IF;
        IF TG_OP <> 'DELETE' THEN
            PERFORM videos_storage_add(NEW.operation_id, NEW.size);
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER videos_storage_rows AFTER INSERT OR DELETE ON videos_output FOR EACH ROW
        EXECUTE FUNCTION videos_storage_of_output();
    CREATE TRIGGER videos_storage_update AFTER UPDATE ON videos_output FOR EACH ROW
        WHEN ((OLD.operation_id, OLD.size) IS DISTINCT FROM (NEW.operation_id, NEW.size))
        EXECUTE FUNCTION videos_storage_of_output();

    CREATE FUNCTION videos_storage_of_upload() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP <> 'INSERT' AND OLD.video_id IS NULL THEN
            INSERT INTO videos_storagechange (owner_id, bytes)
                VALUES (OLD.owner_id, -coalesce(OLD.length, OLD."offset"));
        END IF;
        IF TG_OP <> 'DELETE' AND NEW.video_id IS NULL THEN
            INSERT INTO videos_storagechange (owner_id, bytes)
                VALUES (NEW.owner_id, coalesce(NEW.length, NEW."offset"));
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER videos_storage_rows AFTER INSERT OR DELETE ON videos_upload FOR EACH ROW
        EXECUTE FUNCTION videos_storage_of_upload();
    CREATE TRIGGER videos_storage_update AFTER UPDATE ON videos_upload FOR EACH ROW
        WHEN ((OLD.owner_id, OLD.video_id IS NULL, coalesce(OLD.length, OLD."offset"))
            IS DISTINCT FROM (NEW.owner_id, NEW.video_id IS NULL, coalesce(NEW.length, NEW."offset")))
        EXECUTE FUNCTION videos_storage_of_upload();
"""
WITHOUT_TRIGGERS = """
    DROP TRIGGER videos_storage_rows ON videos_video;
    DROP TRIGGER videos_storage_update ON videos_video;
    DROP TRIGGER videos_storage_rows ON videos_output;
    DROP TRIGGER videos_storage_update ON videos_output;
    DROP TRIGGER videos_storage_rows ON videos_upload;
    DROP TRIGGER videos_storage_update ON videos_upload;
    DROP FUNCTION videos_storage_of_video();
    DROP FUNCTION videos_storage_of_output();
    DROP FUNCTION videos_storage_add(uuid, bigint);
    DROP FUNCTION videos_storage_of_upload();
"""
# After the triggers, whose locks keep everybody from changing these tables until the end of the migration.
BACKFILL = """
    INSERT INTO videos_storagechange (owner_id, bytes)
    SELECT owner_id, sum(bytes) FROM (
        SELECT owner_id, size AS bytes FROM videos_video WHERE deleted_at IS NULL
        UNION ALL
        SELECT video.owner_id, result.size FROM videos_output result
            JOIN videos_operation operation ON operation.id = result.operation_id
            JOIN videos_video video ON video.id = operation.video_id AND video.deleted_at IS NULL
        UNION ALL
        SELECT owner_id, coalesce(length, "offset") FROM videos_upload WHERE video_id IS NULL
    ) AS entry GROUP BY owner_id HAVING sum(bytes) <> 0
"""


class Migration(migrations.Migration):

    dependencies = [
        ('videos', '0005_presets'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='StorageChange',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('bytes', models.BigIntegerField()),
                ('owner', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'indexes': [models.Index(fields=['owner'], include=('bytes',), name='storage_change_owner')],
            },
        ),
        migrations.RunSQL(TRIGGERS, WITHOUT_TRIGGERS),
        migrations.RunSQL(BACKFILL, migrations.RunSQL.noop),
    ]
