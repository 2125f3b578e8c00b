-- marks --
-- Promise 2: snapshots that say they hold batches which are not there.
SELECT count(*) FROM balance_marks k LEFT JOIN lane_heads h USING (company_id, lane)
 WHERE k.batch_no > coalesce(h.batch_no, 0)

-- stretches --
-- Promise 2: stretches that count other movements than lie in them, or name other times. width_bucket finds a
-- movement's stretch by bisection: how many snapshots are at moments before it.
WITH held AS (
    SELECT m.company_id, m.occurred_us, (extract(epoch FROM m.recorded_at) * 1000000)::bigint AS recorded_us,
           m.recorded_at
      FROM movements m
      JOIN balance_marks k ON k.company_id = m.company_id AND k.lane = m.lane AND m.batch_no <= k.batch_no),
bounds AS (
    SELECT company_id, clock, array_agg(moment_us ORDER BY moment_us) AS moments
      FROM balance_snapshots GROUP BY company_id, clock),
counted AS (
    SELECT b.company_id, b.clock, width_bucket(t.at_us - 1, b.moments) + 1 AS stretch, count(*) AS moved,
           min(t.at_us) AS first_us, max(t.at_us) AS last_us, min(h.recorded_at) AS recorded_from,
           max(h.recorded_at) AS recorded_to
      FROM held h JOIN bounds b USING (company_id)
      CROSS JOIN LATERAL (VALUES (CASE b.clock WHEN 1 THEN h.occurred_us ELSE h.recorded_us END)) t (at_us)
     GROUP BY 1, 2, 3)
SELECT (SELECT count(*) FROM held h WHERE NOT EXISTS (SELECT FROM bounds b WHERE b.company_id = h.company_id))
     + (SELECT count(*)
          FROM (SELECT *, row_number() OVER (PARTITION BY company_id, clock ORDER BY moment_us)::integer AS stretch
                  FROM balance_snapshots) s
          FULL JOIN counted c USING (company_id, clock, stretch)
         WHERE s.moved IS DISTINCT FROM c.moved OR s.first_us IS DISTINCT FROM c.first_us
            OR s.last_us IS DISTINCT FROM c.last_us OR s.recorded_from IS DISTINCT FROM c.recorded_from
            OR s.recorded_to IS DISTINCT FROM c.recorded_to)

-- balances --
-- Promise 2: snapshots of balances against the sum of the movements until their moment. A balance that changed in a
-- stretch has a row at its end; the last stretch is open and has none.
WITH bounds AS (
    SELECT company_id, clock, array_agg(moment_us ORDER BY moment_us) AS moments
      FROM balance_snapshots GROUP BY company_id, clock),
changed AS (
    SELECT b.company_id, b.clock, m.item_id, e.location_id, m.lot_id,
           b.moments[width_bucket(CASE b.clock WHEN 1 THEN m.occurred_us
                                               ELSE (extract(epoch FROM m.recorded_at) * 1000000)::bigint END - 1,
                                  b.moments) + 1] AS moment_us,
           sum(e.qty_micro) AS qty_micro
      FROM movements m
      JOIN balance_marks k ON k.company_id = m.company_id AND k.lane = m.lane AND m.batch_no <= k.batch_no
      JOIN bounds b ON b.company_id = m.company_id
      CROSS JOIN LATERAL (VALUES (m.to_id, m.qty_micro), (m.from_id, -m.qty_micro)) e (location_id, qty_micro)
     GROUP BY 1, 2, 3, 4, 5, 6),
compared AS (
    SELECT moment_us, s.qty_micro AS kept, coalesce(c.qty_micro, 0) AS change,
           sum(coalesce(c.qty_micro, 0)) OVER (PARTITION BY company_id, clock, item_id, location_id, lot_id
                                               ORDER BY moment_us) AS qty_micro
      FROM snapshot_balances s
      FULL JOIN changed c USING (company_id, clock, item_id, location_id, lot_id, moment_us))
SELECT count(*) FILTER (WHERE kept <> qty_micro OR (kept IS NULL AND change <> 0)),
       coalesce(sum(CASE WHEN kept IS NULL THEN abs(change) ELSE abs(kept - qty_micro) END), 0)
  FROM compared WHERE moment_us <> 9223372036854775807

-- strays --
-- Promise 2: rows of snapshots that are none.
SELECT count(*) FROM snapshot_balances b
 WHERE NOT EXISTS (SELECT FROM balance_snapshots s
                    WHERE s.company_id = b.company_id AND s.clock = b.clock AND s.moment_us = b.moment_us)
