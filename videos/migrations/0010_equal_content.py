from django.db import migrations, models

# Of equal originals of one owner the bytes are stored, and count, once. `videos_storage_of_video` goes on
# counting what was not hashed yet and what belongs to single videos; equals are counted by statement, for a
# trigger by row cannot tell which of two rows that came together is the second.
#
# Two transactions that change equal rows of one owner must see each other, so both take a lock on the owner.
# Not one for each content: a restore changes a million rows at once, and locks are few.
TRIGGERS = """
    CREATE FUNCTION videos_content_lock(owner uuid) RETURNS void LANGUAGE sql AS $$
        SELECT pg_advisory_xact_lock(1986618371, abs(hashtext(owner::text) % 512))
    $$;

    CREATE OR REPLACE FUNCTION videos_storage_of_video() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        results bigint := 0;
        before bigint := 0;
        after bigint := 0;
    BEGIN
        IF TG_OP = 'DELETE' OR TG_OP = 'UPDATE' AND (
                OLD.owner_id <> NEW.owner_id OR (OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL)) THEN
            SELECT coalesce(sum(result.size), 0) INTO results FROM videos_output result
                JOIN videos_operation operation ON operation.id = result.operation_id
                WHERE operation.video_id = OLD.id;
        END IF;
        IF TG_OP <> 'INSERT' AND OLD.deleted_at IS NULL THEN
            before := results + CASE WHEN OLD.sha256 = '' THEN OLD.size ELSE 0 END;
        END IF;
        IF TG_OP <> 'DELETE' AND NEW.deleted_at IS NULL THEN
            after := results + CASE WHEN NEW.sha256 = '' THEN NEW.size ELSE 0 END;
        END IF;
        IF before <> 0 THEN
            INSERT INTO videos_storagechange (owner_id, bytes) VALUES (OLD.owner_id, -before);
        END IF;
        IF after <> 0 THEN
            INSERT INTO videos_storagechange (owner_id, bytes) VALUES (NEW.owner_id, after);
        END IF;
        RETURN NULL;
    END $$;
    DROP TRIGGER videos_storage_update ON videos_video;
    CREATE TRIGGER videos_storage_update AFTER UPDATE ON videos_video FOR EACH ROW
        WHEN ((OLD.owner_id, OLD.size, OLD.deleted_at IS NULL, OLD.sha256)
            IS DISTINCT FROM (NEW.owner_id, NEW.size, NEW.deleted_at IS NULL, NEW.sha256))
        EXECUTE FUNCTION videos_storage_of_video();

    -- Each content whose number of rows has changed, with the change: one that had no row and has some now
    -- counts, one that had some and has none does not any more.
    CREATE FUNCTION videos_storage_of_equals(
        owners uuid[], contents text[], sizes bigint[], changes bigint[]
    ) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock(1986618371, place) FROM (
            SELECT DISTINCT abs(hashtext(owner::text) % 512) AS place FROM unnest(owners) owner ORDER BY 1
        ) AS places;
        -- A statement of its own, to see what was committed while it waited.
        INSERT INTO videos_storagechange (owner_id, bytes)
        SELECT owner, sum(size * ((now > 0)::int - (now > change)::int)) FROM (
            SELECT owner, size, change, (
                SELECT count(*) FROM videos_video v WHERE v.owner_id = owner AND v.sha256 = content
                    AND v.size = k.size AND v.deleted_at IS NULL) AS now
            FROM unnest(owners, contents, sizes, changes) AS k (owner, content, size, change)
        ) AS counted GROUP BY owner HAVING sum(size * ((now > 0)::int - (now > change)::int)) <> 0;
    END $$;

    CREATE FUNCTION videos_storage_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM videos_storage_of_equals(
            array_agg(owner_id), array_agg(sha256::text), array_agg(size), array_agg(change)) FROM (
            SELECT owner_id, sha256, size, count(*) AS change FROM added
            WHERE deleted_at IS NULL AND sha256 <> '' AND size > 0 GROUP BY 1, 2, 3
        ) AS changed HAVING count(*) > 0;
        RETURN NULL;
    END $$;
    CREATE TRIGGER videos_storage_inserted AFTER INSERT ON videos_video
        REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION videos_storage_inserted();

    CREATE FUNCTION videos_storage_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM videos_storage_of_equals(
            array_agg(owner_id), array_agg(sha256::text), array_agg(size), array_agg(change)) FROM (
            SELECT owner_id, sha256, size, -count(*) AS change FROM gone
            WHERE deleted_at IS NULL AND sha256 <> '' AND size > 0 GROUP BY 1, 2, 3
        ) AS changed HAVING count(*) > 0;
        RETURN NULL;
    END $$;
    CREATE TRIGGER videos_storage_deleted AFTER DELETE ON videos_video
        REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION videos_storage_deleted();

    CREATE FUNCTION videos_storage_updated() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM videos_storage_of_equals(
            array_agg(owner_id), array_agg(sha256::text), array_agg(size), array_agg(change)) FROM (
            SELECT owner_id, sha256, size, sum(one)::bigint AS change FROM (
                SELECT owner_id, sha256, size, 1 AS one FROM added
                WHERE deleted_at IS NULL AND sha256 <> '' AND size > 0
                UNION ALL
                SELECT owner_id, sha256, size, -1 FROM gone
                WHERE deleted_at IS NULL AND sha256 <> '' AND size > 0
            ) AS entry GROUP BY 1, 2, 3 HAVING sum(one) <> 0
        ) AS changed HAVING count(*) > 0;
        RETURN NULL;
    END $$;
    CREATE TRIGGER videos_storage_updated AFTER UPDATE ON videos_video
        REFERENCING OLD TABLE AS gone NEW TABLE AS added
        FOR EACH STATEMENT EXECUTE FUNCTION videos_storage_updated();
"""
WITHOUT_TRIGGERS = """
    DROP TRIGGER videos_storage_inserted ON videos_video;
    DROP TRIGGER videos_storage_deleted ON videos_video;
    DROP TRIGGER videos_storage_updated ON videos_video;
    DROP FUNCTION videos_storage_inserted();
    DROP FUNCTION videos_storage_deleted();
    DROP FUNCTION videos_storage_updated();
    DROP FUNCTION videos_storage_of_equals(uuid[], text[], bigint[], bigint[]);
    DROP FUNCTION videos_content_lock(uuid);

    CREATE OR REPLACE FUNCTION videos_storage_of_video() RETURNS trigger LANGUAGE plpgsql AS $$
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
    DROP TRIGGER videos_storage_update ON videos_video;
    CREATE TRIGGER videos_storage_update AFTER UPDATE ON videos_video FOR EACH ROW
        WHEN ((OLD.owner_id, OLD.size, OLD.deleted_at IS NULL)
            IS DISTINCT FROM (NEW.owner_id, NEW.size, NEW.deleted_at IS NULL))
        EXECUTE FUNCTION videos_storage_of_video();
"""
# Equal originals that are here already count once from now on; `bin/manage join_duplicates` frees their bytes.
ONCE = """
    INSERT INTO videos_storagechange (owner_id, bytes)
    SELECT owner_id, -sum(more) FROM (
        SELECT owner_id, (count(*) - 1) * size AS more FROM videos_video
        WHERE deleted_at IS NULL AND sha256 <> '' AND size > 0 GROUP BY owner_id, sha256, size
    ) AS entry GROUP BY owner_id HAVING sum(more) <> 0
"""
EACH = ONCE.replace("-sum(more)", "sum(more)")


class Migration(migrations.Migration):

    dependencies = [
        ('videos', '0009_concatenation_imports'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='video',
            index=models.Index(condition=models.Q(('sha256', ''), _negated=True), fields=['owner', 'sha256'], name='video_content'),
        ),
        migrations.RunSQL(TRIGGERS, WITHOUT_TRIGGERS),
        migrations.RunSQL(ONCE, EACH),
    ]
