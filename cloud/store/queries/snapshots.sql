-- try_to_begin --
-- One job at a time brings a company's snapshots forward; another one leaves it to it.
SELECT pg_try_advisory_xact_lock(hashtext('tallygate balance snapshots'), %(company)s)

-- waiting --
-- Companies with batches that their snapshots do not hold yet: how many movements, and since when. Here and below
-- OFFSET 0 keeps the look-up by lane from becoming a join that reads all batches there ever were.
SELECT h.company_id, sum(b.moved)::bigint, min(b.recorded_at)
  FROM lane_heads h
  LEFT JOIN balance_marks k USING (company_id, lane)
  CROSS JOIN LATERAL (
       SELECT moved, recorded_at FROM batches b
        WHERE b.company_id = h.company_id AND b.lane = h.lane AND b.batch_no > coalesce(k.batch_no, 0) OFFSET 0) b
 WHERE h.batch_no > coalesce(k.batch_no, 0)
 GROUP BY h.company_id ORDER BY h.company_id

-- next_batches --
-- The next batches of each lane, about so many movements in all, the oldest first. Of each lane it takes the first
-- ones only, whatever the clocks of its workers said: a batch counts as recorded no earlier than those before it.
WITH waiting AS (
    SELECT h.lane, b.batch_no, b.recorded_at, b.moved,
           max(b.recorded_at) OVER (PARTITION BY h.lane ORDER BY b.batch_no) AS settled_at
      FROM lane_heads h
      LEFT JOIN balance_marks k USING (company_id, lane)
      CROSS JOIN LATERAL (
           SELECT batch_no, recorded_at, moved FROM batches b
            WHERE b.company_id = h.company_id AND b.lane = h.lane AND b.batch_no > coalesce(k.batch_no, 0) OFFSET 0) b
     WHERE h.company_id = %(company)s AND h.batch_no > coalesce(k.batch_no, 0)),
ranked AS (
    SELECT *, coalesce(sum(moved) OVER (ORDER BY settled_at, lane, batch_no
                                        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
      FROM waiting)
SELECT lane, min(batch_no), max(batch_no), min(recorded_at), max(recorded_at)
  FROM ranked WHERE before < %(movements)s GROUP BY lane ORDER BY lane

-- movements_of_batches --
-- The movements of these batches. recorded_at names the chunks.
COPY (
SELECT m.occurred_us, (extract(epoch FROM m.recorded_at) * 1000000)::bigint, m.item_id::bigint, m.from_id::bigint,
       m.to_id::bigint, m.lot_id::bigint, m.qty_micro
  FROM unnest(%(lanes)s::smallint[], %(first)s::bigint[], %(last)s::bigint[]) w (lane, first_no, last_no)
  JOIN movements m ON m.company_id = %(company)s AND m.lane = w.lane AND m.batch_no BETWEEN w.first_no AND w.last_no
 WHERE m.recorded_at BETWEEN %(from)s AND %(to)s
) TO STDOUT (FORMAT BINARY)

-- movements_of_stretch --
-- The movements of one stretch as far as snapshots hold them, in the order of its clock.
COPY (
SELECT m.occurred_us, r.recorded_us, m.item_id::bigint, m.from_id::bigint, m.to_id::bigint, m.lot_id::bigint, m.qty_micro
  FROM movements m
  CROSS JOIN LATERAL (SELECT (extract(epoch FROM m.recorded_at) * 1000000)::bigint) r (recorded_us)
  JOIN balance_marks k ON k.company_id = m.company_id AND k.lane = m.lane AND m.batch_no <= k.batch_no
 WHERE m.company_id = %(company)s
   AND m.recorded_at BETWEEN %(from)s AND %(to)s
   AND CASE %(clock)s WHEN 1 THEN m.occurred_us ELSE r.recorded_us END BETWEEN %(first_us)s AND %(last_us)s
 ORDER BY CASE %(clock)s WHEN 1 THEN m.occurred_us ELSE r.recorded_us END
) TO STDOUT (FORMAT BINARY)

-- raise_marks --
-- The snapshots are complete up to these batches.
INSERT INTO balance_marks (company_id, lane, batch_no)
SELECT %(company)s, * FROM unnest(%(lanes)s::smallint[], %(last)s::bigint[])
ON CONFLICT (company_id, lane) DO UPDATE SET batch_no = excluded.batch_no

-- stretches --
-- All stretches of a company by one clock, in order.
SELECT moment_us, moved, first_us, last_us, recorded_from, recorded_to FROM balance_snapshots
 WHERE company_id = %(company)s AND clock = %(clock)s ORDER BY moment_us

-- add_to_stretches --
-- What has come into stretches; one that is not there yet begins.
INSERT INTO balance_snapshots (company_id, clock, moment_us, moved, first_us, last_us, recorded_from, recorded_to)
SELECT %(company)s, %(clock)s, moment_us, moved, first_us, last_us,
       'epoch'::timestamptz + recorded_from * INTERVAL '1 microsecond',
       'epoch'::timestamptz + recorded_to * INTERVAL '1 microsecond'
  FROM unnest(%(moments)s::bigint[], %(moved)s::bigint[], %(first_us)s::bigint[], %(last_us)s::bigint[],
              %(recorded_from)s::bigint[], %(recorded_to)s::bigint[])
       s (moment_us, moved, first_us, last_us, recorded_from, recorded_to)
ON CONFLICT (company_id, clock, moment_us) DO UPDATE
   SET moved = balance_snapshots.moved + excluded.moved,
       first_us = least(balance_snapshots.first_us, excluded.first_us),
       last_us = greatest(balance_snapshots.last_us, excluded.last_us),
       recorded_from = least(balance_snapshots.recorded_from, excluded.recorded_from),
       recorded_to = greatest(balance_snapshots.recorded_to, excluded.recorded_to)

-- remove_stretch --
-- Its parts take its place.
DELETE FROM balance_snapshots WHERE company_id = %(company)s AND clock = %(clock)s AND moment_us = %(moment)s

-- begin_late_rows --
-- Balances that have no row at a snapshot into whose stretch something came late: they begin as they were before it.
INSERT INTO snapshot_balances (company_id, clock, item_id, location_id, lot_id, moment_us, qty_micro)
SELECT %(company)s, %(clock)s, d.item_id, d.location_id, d.lot_id, d.moment_us, coalesce(b.qty_micro, 0)
  FROM unnest(%(items)s::integer[], %(locations)s::integer[], %(lots)s::integer[], %(moments)s::bigint[])
       d (item_id, location_id, lot_id, moment_us)
  LEFT JOIN LATERAL (
       SELECT s.qty_micro FROM snapshot_balances s
        WHERE s.company_id = %(company)s AND s.clock = %(clock)s AND s.item_id = d.item_id
          AND s.location_id = d.location_id AND s.lot_id = d.lot_id AND s.moment_us < d.moment_us
        ORDER BY s.moment_us DESC LIMIT 1) b ON true
ON CONFLICT DO NOTHING

-- add_late --
-- What came late changes the snapshot of its stretch and all that follow, each by all that came until its moment.
WITH late AS MATERIALIZED (
    SELECT * FROM unnest(%(items)s::integer[], %(locations)s::integer[], %(lots)s::integer[], %(moments)s::bigint[],
                         %(running)s::bigint[]) d (item_id, location_id, lot_id, moment_us, qty_micro)),
spans AS MATERIALIZED (
    -- From one row's moment to the next row of the same balance its running sum is what has come.
    SELECT *, coalesce(lead(moment_us) OVER (PARTITION BY item_id, location_id, lot_id ORDER BY moment_us) - 1,
                       9223372036854775807) AS until_us
      FROM late)
UPDATE snapshot_balances s SET qty_micro = s.qty_micro + d.qty_micro
  FROM spans d
 WHERE s.company_id = %(company)s AND s.clock = %(clock)s AND s.item_id = d.item_id AND s.location_id = d.location_id
   AND s.lot_id = d.lot_id AND s.moment_us BETWEEN d.moment_us AND d.until_us AND d.qty_micro <> 0

-- write_snapshots --
-- New snapshots within a stretch: what the balances that changed were before it, and the change since.
INSERT INTO snapshot_balances (company_id, clock, item_id, location_id, lot_id, moment_us, qty_micro)
SELECT %(company)s, %(clock)s, d.item_id, d.location_id, d.lot_id, d.moment_us, coalesce(b.qty_micro, 0) + d.qty_micro
  FROM unnest(%(items)s::integer[], %(locations)s::integer[], %(lots)s::integer[], %(moments)s::bigint[],
              %(running)s::bigint[]) d (item_id, location_id, lot_id, moment_us, qty_micro)
  LEFT JOIN LATERAL (
       SELECT s.qty_micro FROM snapshot_balances s
        WHERE s.company_id = %(company)s AND s.clock = %(clock)s AND s.item_id = d.item_id
          AND s.location_id = d.location_id AND s.lot_id = d.lot_id AND s.moment_us < %(first_us)s
        ORDER BY s.moment_us DESC LIMIT 1) b ON true

-- where_to_read --
-- For a moment: the snapshot before it (none: null), when the movements between the two were recorded, and when the
-- oldest of those that no snapshot holds yet were.
SELECT (SELECT max(moment_us) FROM balance_snapshots
         WHERE company_id = %(company)s AND clock = %(clock)s AND moment_us <= %(at_us)s),
       s.recorded_from, s.recorded_to,
       (SELECT min(b.recorded_at) FROM lane_heads h
          LEFT JOIN balance_marks k USING (company_id, lane)
          CROSS JOIN LATERAL (
               SELECT recorded_at FROM batches b
                WHERE b.company_id = h.company_id AND b.lane = h.lane AND b.batch_no > coalesce(k.batch_no, 0) OFFSET 0) b
         WHERE h.company_id = %(company)s AND h.batch_no > coalesce(k.batch_no, 0))
  FROM (VALUES (1)) one (row)
  LEFT JOIN LATERAL (
       SELECT recorded_from, recorded_to FROM balance_snapshots
        WHERE company_id = %(company)s AND clock = %(clock)s AND moment_us > %(at_us)s
        ORDER BY moment_us LIMIT 1) s ON true

-- balances_there_are --
-- Whatever ever lay somewhere, item by item: what of it was there at the moment asked for, `quantities` says.
SELECT b.item_id, b.location_id, b.lot_id, b.status, i.code AS item, i.name_zh, i.name_en, i.unit,
       l.code AS location, l.name AS location_name, l.kind AS location_kind, 0::bigint AS qty_micro, o.code AS lot
  FROM balances b
  JOIN items i USING (company_id, item_id)
  JOIN locations l ON l.company_id = b.company_id AND l.location_id = b.location_id
  LEFT JOIN lots o ON o.company_id = b.company_id AND o.lot_id = b.lot_id
  LEFT JOIN locations t ON t.company_id = l.company_id AND t.location_id = l.site_id
 WHERE b.company_id = %(company)s AND b.status = 0
   AND (b.item_id, b.location_id, b.lot_id)
       > (%(item_id)s::integer, %(location_id)s::integer, %(lot_id)s::integer)
   AND (%(item)s::text IS NULL OR i.code = %(item)s)
   AND (%(location)s::text IS NULL OR l.code = %(location)s)
   AND (%(site)s::text IS NULL OR t.code = %(site)s)
   AND (%(lot)s::text IS NULL OR o.code = %(lot)s)
 ORDER BY b.item_id, b.location_id, b.lot_id LIMIT %(limit)s

-- quantities --
-- What the newest snapshot until a moment says of these places; zero where there is none.
SELECT coalesce((SELECT s.qty_micro FROM snapshot_balances s
                  WHERE s.company_id = %(company)s AND s.clock = %(clock)s AND s.item_id = a.item_id
                    AND s.location_id = a.location_id AND s.lot_id = a.lot_id AND s.moment_us <= %(at_us)s
                  ORDER BY s.moment_us DESC LIMIT 1), 0)
  FROM unnest(%(items)s::integer[], %(locations)s::integer[], %(lots)s::integer[]) WITH ORDINALITY
       a (item_id, location_id, lot_id, number)
 ORDER BY a.number

-- later_occurred --
-- What of these items moved at these places between that snapshot and the moment, and what no snapshot holds yet and moved until then.
-- Added up by the caller: the planner cannot know how few rows these are. Index: movements_by_item.
SELECT item_id, location_id, lot_id, sum(qty_micro)::bigint FROM (
    SELECT m.item_id, e.location_id, m.lot_id, e.qty_micro
      FROM movements m
      JOIN balance_marks k ON k.company_id = m.company_id AND k.lane = m.lane AND m.batch_no <= k.batch_no
      CROSS JOIN LATERAL (VALUES (m.to_id, m.qty_micro), (m.from_id, -m.qty_micro)) e (location_id, qty_micro)
     WHERE m.company_id = %(company)s AND m.item_id = ANY(%(items)s::integer[])
       AND m.occurred_us > %(after_us)s AND m.occurred_us <= %(at_us)s
       AND m.recorded_at BETWEEN %(from)s AND %(to)s
     UNION ALL
    SELECT m.item_id, e.location_id, m.lot_id, e.qty_micro
      FROM movements m
      LEFT JOIN balance_marks k ON k.company_id = m.company_id AND k.lane = m.lane
      CROSS JOIN LATERAL (VALUES (m.to_id, m.qty_micro), (m.from_id, -m.qty_micro)) e (location_id, qty_micro)
     WHERE m.company_id = %(company)s AND m.item_id = ANY(%(items)s::integer[])
       AND m.occurred_us <= %(at_us)s
       AND m.recorded_at >= %(waiting_from)s AND m.batch_no > coalesce(k.batch_no, 0)) legs
 WHERE location_id = ANY(%(locations)s::integer[])
 GROUP BY item_id, location_id, lot_id

-- later_recorded --
-- The same by the other clock: what the books had learned. Index: movements_by_recording.
SELECT item_id, location_id, lot_id, sum(qty_micro)::bigint FROM (
    SELECT m.item_id, e.location_id, m.lot_id, e.qty_micro
      FROM movements m
      JOIN balance_marks k ON k.company_id = m.company_id AND k.lane = m.lane AND m.batch_no <= k.batch_no
      CROSS JOIN LATERAL (VALUES (m.to_id, m.qty_micro), (m.from_id, -m.qty_micro)) e (location_id, qty_micro)
     WHERE m.company_id = %(company)s AND m.item_id = ANY(%(items)s::integer[])
       AND m.recorded_at > %(after)s AND m.recorded_at <= %(at)s
     UNION ALL
    SELECT m.item_id, e.location_id, m.lot_id, e.qty_micro
      FROM movements m
      LEFT JOIN balance_marks k ON k.company_id = m.company_id AND k.lane = m.lane
      CROSS JOIN LATERAL (VALUES (m.to_id, m.qty_micro), (m.from_id, -m.qty_micro)) e (location_id, qty_micro)
     WHERE m.company_id = %(company)s AND m.item_id = ANY(%(items)s::integer[])
       AND m.recorded_at >= %(waiting_from)s AND m.recorded_at <= %(at)s
       AND m.batch_no > coalesce(k.batch_no, 0)) legs
 WHERE location_id = ANY(%(locations)s::integer[])
 GROUP BY item_id, location_id, lot_id
