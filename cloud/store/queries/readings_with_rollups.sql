-- store --
-- Raw rows, each once, and with what was new, and nothing else, its minute and its hour: a second copy changes nothing,
-- and a late row counts where it belongs. How many were new and how many came too late.
-- A file of its own: plain PostgreSQL and TimescaleDB's Apache edition have no continuous aggregates, so the rollups are
-- tables of ours; where they are TimescaleDB's it is readings_raw_only.sql.
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
       AND NOT (c.is_redated AND EXISTS (
               SELECT FROM readings r WHERE r.company_id = %(company)s AND r.series_id = c.series_id
                  AND r.measured_at BETWEEN c.measured_at - INTERVAL '1 hour' AND c.measured_at + INTERVAL '1 hour'
                  AND r.message = c.message))
     ORDER BY c.series_id, c.measured_at, c.message
    ON CONFLICT DO NOTHING
    RETURNING series_id, measured_at, samples, total, lowest, highest
), minutes AS (
    INSERT INTO reading_minutes AS m (company_id, series_id, bucket_at, samples, total, lowest, highest)
    SELECT %(company)s, series_id, date_trunc('minute', measured_at, 'UTC'), sum(samples), sum(total), min(lowest),
           max(highest)
      FROM fresh GROUP BY 2, 3 ORDER BY 2, 3
    ON CONFLICT (company_id, series_id, bucket_at) DO UPDATE
       SET samples = m.samples + excluded.samples, total = m.total + excluded.total,
           lowest = least(m.lowest, excluded.lowest), highest = greatest(m.highest, excluded.highest)
), hours AS (
    INSERT INTO reading_hours AS h (company_id, series_id, bucket_at, samples, total, lowest, highest)
    SELECT %(company)s, series_id, date_trunc('hour', measured_at, 'UTC'), sum(samples), sum(total), min(lowest),
           max(highest)
      FROM fresh GROUP BY 2, 3 ORDER BY 2, 3
    ON CONFLICT (company_id, series_id, bucket_at) DO UPDATE
       SET samples = h.samples + excluded.samples, total = h.total + excluded.total,
           lowest = least(h.lowest, excluded.lowest), highest = greatest(h.highest, excluded.highest)
)
SELECT (SELECT count(*) FROM fresh), (SELECT count(*) FROM came WHERE measured_at < oldest)
