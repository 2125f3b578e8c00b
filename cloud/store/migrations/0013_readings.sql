-- Readings: what devices measured, summed up over short spans. Signals for people; nothing is booked from them.
-- Raw for days, minutes for months, hours for years. How the three tables are cut into pieces that can be dropped, and
-- who keeps minutes and hours, depends on the edition: readings_partitions.sql, readings_hypertables.sql,
-- readings_continuous.sql; one of these lays what is missing here after every migration.

-- One quantity of one source of one gateway. Readings are many and narrow, so their names stand here once.
CREATE TABLE reading_series (
    company_id integer NOT NULL,
    series_id  integer GENERATED ALWAYS AS IDENTITY,
    gateway_id integer NOT NULL,
    source     text    NOT NULL,  -- as the gateway names it: a gate; a scale or a shelf alike
    quantity   text    NOT NULL,  -- with its unit last, as in cloud/domain/reading.py
    PRIMARY KEY (company_id, series_id),
    UNIQUE (company_id, gateway_id, source, quantity)
);

-- Cut by the time at the device, not by recorded_at as movements are: rollups go by the world's time, a continuous
-- aggregate can go by no other column than the one its hypertable is cut by, and a row that is later than the raw rows
-- are kept is refused, so no old piece is ever written.
CREATE TABLE readings (
    company_id  integer          NOT NULL,
    series_id   integer          NOT NULL,
    measured_at timestamptz      NOT NULL,  -- end of the span, corrected reader clock
    message     bigint           NOT NULL,  -- of its message's SHA-256 the first 8 bytes: a second copy is known by it
    recorded_at timestamptz      NOT NULL,
    samples     bigint           NOT NULL CHECK (samples > 0),
    total       double precision NOT NULL,  -- sum of the samples; total / samples is their mean
    lowest      double precision NOT NULL,
    highest     double precision NOT NULL,
    PRIMARY KEY (company_id, series_id, measured_at, message)
);

CREATE TABLE reading_minutes (
    company_id integer          NOT NULL,
    series_id  integer          NOT NULL,
    bucket_at  timestamptz      NOT NULL,  -- beginning of the minute
    samples    bigint           NOT NULL,
    total      double precision NOT NULL,
    lowest     double precision NOT NULL,
    highest    double precision NOT NULL,
    PRIMARY KEY (company_id, series_id, bucket_at)
);
CREATE TABLE reading_hours (LIKE reading_minutes INCLUDING ALL);

-- How long each is kept, in days; one row. Whoever stores readings refuses what is later than `raw` less a day: its raw
-- row would be gone within the day, and with it the memory that it was counted.
CREATE TABLE reading_retention (
    is_only     boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    raw_days    integer NOT NULL CHECK (raw_days >= 2),
    minute_days integer NOT NULL,
    hour_days   integer NOT NULL,
    policies    text    NOT NULL DEFAULT '',  -- what TimescaleDB's own policies were laid with, where it has them
    CHECK (raw_days <= minute_days AND minute_days <= hour_days AND hour_days <= 36600)
);
INSERT INTO reading_retention (raw_days, minute_days, hour_days) VALUES (7, 92, 1827);

-- The services own no table and can drop no piece of one: this function does it for them, and takes no less than two
-- days. apply_reading_retention() is the edition's.
CREATE FUNCTION keep_readings(raw integer, minutes integer, hours integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    -- Jobs beside each other: one makes the pieces, the other finds them made.
    PERFORM pg_advisory_xact_lock(hashtext('tallygate readings'));
    UPDATE reading_retention r SET raw_days = raw, minute_days = minutes, hour_days = hours
     WHERE (r.raw_days, r.minute_days, r.hour_days) IS DISTINCT FROM (raw, minutes, hours);
    RETURN apply_reading_retention();
END $$;
COMMENT ON FUNCTION keep_readings(integer, integer, integer)
    IS 'Keep raw readings, minutes and hours for so many days; how many pieces (or rows outside of any) went.';
