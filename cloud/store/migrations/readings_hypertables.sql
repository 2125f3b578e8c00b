-- TimescaleDB of either edition, after every migration: readings and their rollups are hypertables, and old chunks are
-- dropped by our job. A file of its own because TimescaleDB makes its chunks itself, where plain PostgreSQL needs them
-- made ahead (readings_partitions.sql). readings_continuous.sql goes on from here where the licence allows it.

-- A database that has come from plain PostgreSQL brings partitions, which no hypertable can be made of.
DO $$
DECLARE one text;
BEGIN
    FOR one IN SELECT relname FROM pg_class
                WHERE relnamespace = 'public'::regnamespace AND relkind = 'p'
                  AND relname IN ('readings', 'reading_minutes', 'reading_hours') LOOP
        EXECUTE format('ALTER TABLE %I RENAME TO readings_before', one);
        EXECUTE format('ALTER TABLE readings_before RENAME CONSTRAINT %I TO readings_before_pkey', one || '_pkey');
        EXECUTE format('CREATE TABLE %I (LIKE readings_before INCLUDING ALL)', one);
        EXECUTE format('INSERT INTO %I SELECT * FROM readings_before', one);
        DROP TABLE readings_before;
    END LOOP;
END $$;

-- Width of a chunk: what is dropped at once is a seventh of what is kept, or less, by the retention's defaults. No index
-- by time alone: whoever reads asks for a series, and drop_chunks looks into the catalogue.
SELECT create_hypertable('readings', by_range('measured_at', INTERVAL '1 day'), create_default_indexes => false,
                         if_not_exists => true, migrate_data => true);
DO $$
BEGIN
    -- Where they are continuous aggregates, they are views over hypertables of their own.
    IF EXISTS (SELECT FROM pg_class WHERE oid = 'reading_minutes'::regclass AND relkind = 'r') THEN
        PERFORM create_hypertable('reading_minutes', by_range('bucket_at', INTERVAL '10 days'),
                                  create_default_indexes => false, if_not_exists => true, migrate_data => true);
        PERFORM create_hypertable('reading_hours', by_range('bucket_at', INTERVAL '100 days'),
                                  create_default_indexes => false, if_not_exists => true, migrate_data => true);
    END IF;
END $$;

CREATE OR REPLACE FUNCTION readings_kept_by_timescaledb() RETURNS boolean
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM timescaledb_information.continuous_aggregates
                    WHERE view_schema = 'public' AND view_name = 'reading_minutes')
$$;

CREATE OR REPLACE FUNCTION apply_reading_retention() RETURNS bigint
LANGUAGE plpgsql SET search_path = public, pg_temp SET lock_timeout = '500ms' AS $$
DECLARE one record; here bigint; dropped bigint := 0;
BEGIN
    FOR one IN SELECT t.* FROM reading_retention r, LATERAL (VALUES
                      ('readings', r.raw_days), ('reading_minutes', r.minute_days), ('reading_hours', r.hour_days)
               ) t (name, days) LOOP
        SELECT count(*) INTO here FROM drop_chunks(one.name::regclass, now() - make_interval(days => one.days));
        dropped := dropped + here;
    END LOOP;
    RETURN dropped;
END $$;
