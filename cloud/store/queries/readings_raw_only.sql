-- store --
-- Raw rows, each once; how many were new and how many came too late.
-- A file of its own: only TimescaleDB's community edition has continuous aggregates, which make minutes and hours of
-- these rows; elsewhere readings_with_rollups.sql adds them in the same statement.
WITH came AS (
    SELECT q.series_id::integer, TIMESTAMPTZ 'epoch' + q.measured_us * INTERVAL '1 microsecond' AS measured_at,
           TIMESTAMPTZ 'epoch' + q.received_us * INTERVAL '1 microsecond' AS recorded_at,
           q.message, q.is_redated, q.samples, q.total, q.lowest, q.highest,
           now() - make_interval(days => r.raw_days - 1) AS oldest
      FROM reading_retention r,
           unnest(%(series)s::bigint[], %(measured)s::bigint[], %(received)s::bigint[], %(message)s::bigint[],
                  %(redated)s::boolean[], %(samples)s::bigint[], %(total)s::float8[], %(lowest)s::float8[],
                  %(highest)s::float8[])
           q (series_id, measured_us, received_us, message, is_redated, samples, total, lowest, highest)
), fresh AS (
    INSERT INTO readings (company_id, series_id, measured_at, message, recorded_at, samples, total, lowest, highest)
    SELECT %(company)s, c.series_id, c.measured_at, c.message, c.recorded_at, c.samples, c.total, c.lowest, c.highest
      FROM came c
     WHERE c.measured_at >= c.oldest
       -- Dated by its receipt, a second copy has another time: it is looked for among those of the last hour.
       AND NOT (c.is_redated AND EXISTS (
               SELECT FROM readings r WHERE r.company_id = %(company)s AND r.series_id = c.series_id
                  AND r.measured_at BETWEEN c.measured_at - INTERVAL '1 hour' AND c.measured_at + INTERVAL '1 hour'
                  AND r.message = c.message))
     ORDER BY c.series_id, c.measured_at, c.message
    ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT (SELECT count(*) FROM fresh), (SELECT count(*) FROM came WHERE measured_at < oldest)
