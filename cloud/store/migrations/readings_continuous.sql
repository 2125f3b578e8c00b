-- TimescaleDB where the licence setting is `timescale`, after readings_hypertables.sql: minutes and hours are continuous
-- aggregates, and TimescaleDB's own policies keep them up and drop what is old. A file of its own because the Apache
-- edition refuses all of it. A database that has rollups of ours already keeps them: they hold months that the raw rows
-- do not.
DO $$
BEGIN
    IF NOT readings_kept_by_timescaledb()
       AND NOT EXISTS (SELECT FROM reading_minutes) AND NOT EXISTS (SELECT FROM reading_hours) THEN
        DROP TABLE reading_minutes;  -- a hypertable is dropped alone
        DROP TABLE reading_hours;
        -- Not materialized_only: what has come since the last refresh is added on reading.
        CREATE MATERIALIZED VIEW reading_minutes WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
            SELECT company_id, series_id, time_bucket(INTERVAL '1 minute', measured_at) AS bucket_at,
                   sum(samples)::bigint AS samples, sum(total) AS total, min(lowest) AS lowest, max(highest) AS highest
              FROM readings GROUP BY 1, 2, 3 WITH NO DATA;
        CREATE MATERIALIZED VIEW reading_hours WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
            SELECT company_id, series_id, time_bucket(INTERVAL '1 hour', bucket_at) AS bucket_at,
                   sum(samples)::bigint AS samples, sum(total) AS total, min(lowest) AS lowest, max(highest) AS highest
              FROM reading_minutes GROUP BY 1, 2, 3 WITH NO DATA;
    END IF;
END $$;

-- A policy that is there is changed in place: to take it away would wait for its job, which may wait for us. A refresh
-- looks back as far as late rows are taken (`raw` less a day) and half a day more, and never to where raw rows may be
-- gone: it would take them for deleted.
CREATE OR REPLACE FUNCTION apply_reading_retention() RETURNS bigint
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE kept reading_retention; wanted text; back interval; one record; job integer;
BEGIN
    SELECT * INTO kept FROM reading_retention;
    wanted := format('%s/%s/%s', kept.raw_days, kept.minute_days, kept.hour_days);
    IF kept.policies = wanted THEN
        RETURN 0;
    END IF;
    back := make_interval(days => kept.raw_days) - INTERVAL '12 hours';
    FOR one IN SELECT * FROM (VALUES
                      ('readings', kept.raw_days, NULL::interval), ('reading_minutes', kept.minute_days, INTERVAL '1 minute'),
                      ('reading_hours', kept.hour_days, INTERVAL '1 hour')) t (name, days, bucket) LOOP
        job := reading_policy(one.name, 'policy_retention');
        IF job IS NULL THEN
            PERFORM add_retention_policy(one.name::regclass, make_interval(days => one.days),
                                         schedule_interval => INTERVAL '1 hour');
        ELSE
            PERFORM alter_job(job, config => (SELECT j.config || jsonb_build_object('drop_after', one.days || ' days')
                                                FROM timescaledb_information.jobs j WHERE j.job_id = job));
        END IF;
        CONTINUE WHEN one.bucket IS NULL OR NOT readings_kept_by_timescaledb();
        job := reading_policy(one.name, 'policy_refresh_continuous_aggregate');
        IF job IS NULL THEN
            PERFORM add_continuous_aggregate_policy(one.name::regclass, start_offset => back, end_offset => one.bucket,
                                                    schedule_interval => INTERVAL '1 minute');
        ELSE
            PERFORM alter_job(job, config => (SELECT j.config || jsonb_build_object('start_offset', back)
                                                FROM timescaledb_information.jobs j WHERE j.job_id = job));
        END IF;
    END LOOP;
    UPDATE reading_retention SET policies = wanted;
    RETURN 0;
END $$;

-- The job of one policy of a hypertable or continuous aggregate.
CREATE OR REPLACE FUNCTION reading_policy(relation text, procedure text) RETURNS integer
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT j.job_id FROM timescaledb_information.jobs j
      LEFT JOIN timescaledb_information.continuous_aggregates a
             ON (a.materialization_hypertable_schema, a.materialization_hypertable_name) = (j.hypertable_schema, j.hypertable_name)
     WHERE j.proc_name = procedure
       AND relation = CASE WHEN a.view_name IS NULL THEN j.hypertable_name ELSE a.view_name END
$$;

SELECT keep_readings(raw_days, minute_days, hour_days) FROM reading_retention;
