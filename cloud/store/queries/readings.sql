-- kept_by_timescaledb --
-- Who keeps minutes and hours: TimescaleDB's continuous aggregates, or whoever stores raw rows.
SELECT readings_kept_by_timescaledb()

-- add_series --
-- Names that are new. A gateway has so many at most: one that sends ever new names fills no table.
INSERT INTO reading_series (company_id, gateway_id, source, quantity)
SELECT %(company)s, q.gateway_id, q.source, q.quantity
  FROM unnest(%(gateway)s::bigint[], %(source)s::text[], %(quantity)s::text[]) q (gateway_id, source, quantity)
 WHERE (SELECT count(*) FROM reading_series s
         WHERE s.company_id = %(company)s AND s.gateway_id = q.gateway_id) < %(most)s
 ORDER BY 1, 2, 3, 4
ON CONFLICT DO NOTHING

-- series --
-- Series by their names.
SELECT s.gateway_id, s.source, s.quantity, s.series_id
  FROM unnest(%(gateway)s::bigint[], %(source)s::text[], %(quantity)s::text[]) q (gateway_id, source, quantity)
  JOIN reading_series s ON s.company_id = %(company)s AND s.gateway_id = q.gateway_id
                       AND s.source = q.source AND s.quantity = q.quantity

-- keep --
-- Bring the tables to their retention; how many pieces went.
SELECT keep_readings(%(raw)s, %(minutes)s, %(hours)s)

-- raw --
-- A page of raw readings, series by series in the order of time.
SELECT g.site, g.code AS gateway, s.source, s.quantity, s.series_id, r.at, r.message, r.samples, r.total, r.lowest, r.highest
  FROM reading_series s
  JOIN gateways g ON g.company_id = s.company_id AND g.gateway_id = s.gateway_id
 CROSS JOIN LATERAL (
       SELECT r.measured_at AS at, r.message, r.samples, r.total, r.lowest, r.highest FROM readings r
        WHERE r.company_id = %(company)s AND r.series_id = s.series_id
          AND r.measured_at >= %(from)s AND r.measured_at < %(before)s
          AND (r.series_id, r.measured_at, r.message) > (%(series)s, %(at)s, %(message)s)
        ORDER BY r.measured_at, r.message LIMIT %(limit)s) r
 WHERE s.company_id = %(company)s AND s.series_id >= %(series)s
   AND (%(gateway)s::text IS NULL OR g.code = %(gateway)s) AND (%(site)s::text IS NULL OR g.site = %(site)s)
   AND (%(source)s::text IS NULL OR s.source = %(source)s)
   AND (%(quantity)s::text IS NULL OR s.quantity = %(quantity)s)
 ORDER BY s.series_id, r.at, r.message LIMIT %(limit)s

-- minutes --
-- As raw, in minutes; of a kind with it so that both are read alike.
SELECT g.site, g.code AS gateway, s.source, s.quantity, s.series_id, r.at, 0::bigint AS message, r.samples, r.total, r.lowest, r.highest
  FROM reading_series s
  JOIN gateways g ON g.company_id = s.company_id AND g.gateway_id = s.gateway_id
 CROSS JOIN LATERAL (
       SELECT r.bucket_at AS at, r.samples, r.total, r.lowest, r.highest FROM reading_minutes r
        WHERE r.company_id = %(company)s AND r.series_id = s.series_id
          AND r.bucket_at >= %(from)s AND r.bucket_at < %(before)s
          AND (r.series_id, r.bucket_at) > (%(series)s, %(at)s)
        ORDER BY r.bucket_at LIMIT %(limit)s) r
 WHERE s.company_id = %(company)s AND s.series_id >= %(series)s
   AND (%(gateway)s::text IS NULL OR g.code = %(gateway)s) AND (%(site)s::text IS NULL OR g.site = %(site)s)
   AND (%(source)s::text IS NULL OR s.source = %(source)s)
   AND (%(quantity)s::text IS NULL OR s.quantity = %(quantity)s)
 ORDER BY s.series_id, r.at LIMIT %(limit)s

-- hours --
-- As minutes, in hours.
SELECT g.site, g.code AS gateway, s.source, s.quantity, s.series_id, r.at, 0::bigint AS message, r.samples, r.total, r.lowest, r.highest
  FROM reading_series s
  JOIN gateways g ON g.company_id = s.company_id AND g.gateway_id = s.gateway_id
 CROSS JOIN LATERAL (
       SELECT r.bucket_at AS at, r.samples, r.total, r.lowest, r.highest FROM reading_hours r
        WHERE r.company_id = %(company)s AND r.series_id = s.series_id
          AND r.bucket_at >= %(from)s AND r.bucket_at < %(before)s
          AND (r.series_id, r.bucket_at) > (%(series)s, %(at)s)
        ORDER BY r.bucket_at LIMIT %(limit)s) r
 WHERE s.company_id = %(company)s AND s.series_id >= %(series)s
   AND (%(gateway)s::text IS NULL OR g.code = %(gateway)s) AND (%(site)s::text IS NULL OR g.site = %(site)s)
   AND (%(source)s::text IS NULL OR s.source = %(source)s)
   AND (%(quantity)s::text IS NULL OR s.quantity = %(quantity)s)
 ORDER BY s.series_id, r.at LIMIT %(limit)s
