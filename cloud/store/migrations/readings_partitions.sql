-- Plain PostgreSQL, after every migration: readings and their rollups are range partitions that keep_readings() makes
-- ahead and drops. A file of its own because PostgreSQL cuts nothing by itself, where TimescaleDB makes a chunk for
-- whatever comes (readings_hypertables.sql). Pieces stand in a schema of their own, as TimescaleDB's chunks do.
CREATE SCHEMA IF NOT EXISTS partitions;

-- Rows that no partition is there for (late ones, or all when the job has not run for days) fall into NAME_rest, so
-- that a missing partition stops nobody; the next run gives them theirs.
DO $$
DECLARE one record;
BEGIN
    FOR one IN SELECT c.relname AS name, CASE c.relname WHEN 'readings' THEN 'measured_at' ELSE 'bucket_at' END AS key
                 FROM pg_class c
                WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
                  AND c.relname IN ('readings', 'reading_minutes', 'reading_hours') LOOP
        EXECUTE format('ALTER TABLE %I RENAME TO readings_before', one.name);
        EXECUTE format('ALTER TABLE readings_before RENAME CONSTRAINT %I TO readings_before_pkey', one.name || '_pkey');
        EXECUTE format('CREATE TABLE %I (LIKE readings_before INCLUDING ALL) PARTITION BY RANGE (%I)', one.name, one.key);
        EXECUTE format('CREATE TABLE partitions.%I PARTITION OF %I DEFAULT', one.name || '_rest', one.name);
        EXECUTE format('INSERT INTO %I SELECT * FROM readings_before', one.name);
        DROP TABLE readings_before;
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION readings_kept_by_timescaledb() RETURNS boolean LANGUAGE sql STABLE AS 'SELECT false';

-- The day (UTC) on which the piece of `width` days begins that a moment belongs to.
CREATE OR REPLACE FUNCTION reading_piece(moment timestamptz, width integer) RETURNS date
LANGUAGE sql IMMUTABLE AS $$
    SELECT date '1970-01-01' + ((moment AT TIME ZONE 'UTC')::date - date '1970-01-01') / width * width
$$;

-- A partition for the piece that begins on `first`, with the rows of the rest that belong to it; none when it is there.
CREATE OR REPLACE FUNCTION make_reading_piece(parent text, key text, first date, width integer) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    piece text := format('%s_%s', parent, to_char(first, 'YYYYMMDD'));
    from_moment text := to_char(first, 'YYYY-MM-DD "00:00+00"');
    to_moment text := to_char(first + width, 'YYYY-MM-DD "00:00+00"');
    span text := format('%1$I >= %2$L AND %1$I < %3$L', key, from_moment, to_moment);
BEGIN
    IF to_regclass(format('partitions.%I', piece)) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE partitions.%I (LIKE %I INCLUDING ALL) WITH (fillfactor = %s)', piece, parent,
                   CASE parent WHEN 'readings' THEN 100 ELSE 70 END);  -- a bucket is updated where it stands
    -- Nobody adds to the rest between here and the end: who does it would be moved twice or not at all.
    EXECUTE format('LOCK TABLE partitions.%I IN ACCESS EXCLUSIVE MODE', parent || '_rest');
    EXECUTE format('WITH moved AS (DELETE FROM partitions.%I WHERE %s RETURNING *) INSERT INTO partitions.%I SELECT * FROM moved',
                   parent || '_rest', span, piece);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION partitions.%I FOR VALUES FROM (%L) TO (%L)', parent, piece,
                   from_moment, to_moment);
END $$;

-- Width of a piece, days: what is dropped at once is a seventh of what is kept, or less, by the retention's defaults.
-- Who waits for a lock here makes ingest wait behind it, so nobody waits long: the job comes again.
CREATE OR REPLACE FUNCTION apply_reading_retention() RETURNS bigint
LANGUAGE plpgsql SET search_path = public, pg_temp SET lock_timeout = '500ms' SET TimeZone = 'UTC' AS $$
DECLARE
    one record; piece record; first date; dropped bigint := 0; strays bigint;
BEGIN
    FOR one IN SELECT t.*, now() - make_interval(days => t.days) AS upto
                 FROM reading_retention r, LATERAL (VALUES
                      ('readings', 'measured_at', 1, 3, r.raw_days), ('reading_minutes', 'bucket_at', 10, 1, r.minute_days),
                      ('reading_hours', 'bucket_at', 100, 1, r.hour_days)) t (name, key, width, ahead, days) LOOP
        EXECUTE format('DELETE FROM partitions.%I WHERE %I < %L', one.name || '_rest', one.key, one.upto);
        GET DIAGNOSTICS strays = ROW_COUNT;
        dropped := dropped + strays;
        FOR first IN EXECUTE format('SELECT DISTINCT reading_piece(%I, %s) FROM partitions.%I ORDER BY 1', one.key, one.width,
                                    one.name || '_rest') LOOP
            PERFORM make_reading_piece(one.name, one.key, first, one.width);
        END LOOP;
        FOR n IN 0 .. one.ahead LOOP
            PERFORM make_reading_piece(one.name, one.key, reading_piece(now(), one.width) + n * one.width, one.width);
        END LOOP;
        FOR piece IN SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                      WHERE i.inhparent = one.name::regclass AND c.relname ~ '_[0-9]{8}$'
                        AND to_date(right(c.relname, 8), 'YYYYMMDD') + one.width <= (one.upto AT TIME ZONE 'UTC')::date
                      ORDER BY 1 LOOP
            EXECUTE format('DROP TABLE partitions.%I', piece.name);
            dropped := dropped + 1;
        END LOOP;
    END LOOP;
    RETURN dropped;
END $$;

SELECT keep_readings(raw_days, minute_days, hour_days) FROM reading_retention;
