-- gates --
-- Gates of a batch by code, with what lies on their two sides.
SELECT g.code, g.gate_id, g.inside_id, g.outside_id, g.crossing_group, g.same_crossing_us,
       i.kind, coalesce(i.site_id, 0), o.kind, coalesce(o.site_id, 0)
  FROM gates g
  JOIN locations i ON i.company_id = g.company_id AND i.location_id = g.inside_id
  JOIN locations o ON o.company_id = g.company_id AND o.location_id = g.outside_id
 WHERE g.company_id = %(company)s

-- virtual_locations --
-- Where goods go that leave the company's own sites, one of each kind; and each site's clarification.
SELECT kind, coalesce(site_id, 0), min(location_id) FROM locations
 WHERE company_id = %(company)s
   AND kind IN ('supplier', 'customer', 'in_transit', 'scrap', 'world', 'clarification')
 GROUP BY kind, coalesce(site_id, 0)

-- tags --
-- Registered tags among these.
SELECT epc, item_id, qty_micro, coalesce(lot_id, 0) FROM tags WHERE company_id = %(company)s AND epc = ANY(%(epcs)s)

-- gtins --
-- Items by GTIN, for tags that carry one and are not registered themselves.
SELECT gtin, item_id, tracking, method FROM items WHERE company_id = %(company)s AND gtin = ANY(%(gtins)s)

-- lock_new_tags --
-- A tag that nothing has placed yet has no row of `places` that could be locked: one of these stands for it. Who
-- comes second waits for the first one's commit. In order, so that two batches cannot deadlock.
INSERT INTO unplaced_tags (company_id, epc)
SELECT %(company)s, n.epc FROM unnest(%(epcs)s::text[]) n (epc)
 WHERE NOT EXISTS (SELECT FROM places p WHERE p.company_id = %(company)s AND p.epc = n.epc)
 ORDER BY n.epc
ON CONFLICT DO NOTHING

-- lock_unplaced --
-- Those that were there already: tags that no item is known for.
SELECT 1 FROM unplaced_tags WHERE company_id = %(company)s AND epc = ANY(%(epcs)s) ORDER BY epc FOR UPDATE

-- lock_places --
-- Where these tags are; locked in order, so that two gateways that see one tag come one after the other.
SELECT epc, area_id, location_id, occurred_us FROM places
 WHERE company_id = %(company)s AND epc = ANY(%(epcs)s) ORDER BY epc FOR UPDATE

-- history --
-- Known crossings of a tag from a moment on, each with what the books made of it: how many movements stand under its id
-- (made, undone, made again), and the terms of the last, whose id derives from the first's and how many there are (see
-- cloud/flows/passages/moves.py). Two look-ups instead of one with OR, so that each has an index of its own.
SELECT o.epc, o.movement_id, o.occurred_us, o.gate_id, o.direction, o.confidence, o.claimed_us,
       (extract(epoch FROM o.recorded_at) * 1000000)::bigint,
       CASE WHEN m.kind IS NULL THEN 0 ELSE c.n + 1 END, m.kind, m.item_id, m.qty_micro, m.from_id, m.to_id, m.party_id,
       m.document, m.lot_id, m.reason, m.dimension_id, m.price_micro, m.rate_nano, m.currency,
       o.gateway_id, o.epoch, o.seq
  FROM unnest(%(epcs)s::text[], %(since_us)s::bigint[]) q (epc, since_us)
  JOIN observations o ON o.company_id = %(company)s AND o.epc = q.epc AND o.occurred_us >= q.since_us
  CROSS JOIN LATERAL (
      SELECT count(*) AS n FROM movements c WHERE c.company_id = %(company)s AND c.corrects = o.movement_id) c
  LEFT JOIN LATERAL (
      SELECT f.* FROM movements f WHERE f.company_id = %(company)s AND f.movement_id = o.movement_id AND c.n = 0
       UNION ALL
      SELECT l.* FROM movements l
       WHERE l.company_id = %(company)s AND l.corrects = o.movement_id AND c.n > 0
         AND substring(uuid_send(l.movement_id) FROM 1 FOR 6)
             = substring(sha256(uuid_send(o.movement_id) || int4send(c.n::integer)) FROM 1 FOR 6)) m ON true
 WHERE o.direction IN (1, 2)
 ORDER BY o.epc, o.occurred_us, o.gateway_id, o.epoch, o.seq

-- history_starts --
-- From when on known crossings are looked at, so that none is told from another that it is one crossing with: back from
-- a moment, crossing by crossing, for as long as the next lies within the longest time that two gates share.
WITH RECURSIVE back AS (
    SELECT epc, since_us FROM unnest(%(epcs)s::text[], %(since_us)s::bigint[]) q (epc, since_us)
     UNION ALL
    SELECT b.epc, o.occurred_us
      FROM back b
     CROSS JOIN LATERAL (
         SELECT o.occurred_us FROM observations o
          WHERE o.company_id = %(company)s AND o.epc = b.epc AND o.direction IN (1, 2)
            AND o.occurred_us < b.since_us AND o.occurred_us >= b.since_us - %(shared_us)s
          ORDER BY o.occurred_us LIMIT 1) o)
SELECT epc, min(since_us) FROM back GROUP BY epc

-- place_before --
-- Where a tag was before a moment: the last crossing that the books still say moved it, and where its last movement,
-- as in `history`, brought it.
SELECT q.epc, b.gate_id, b.direction, b.to_id
  FROM unnest(%(epcs)s::text[], %(since_us)s::bigint[]) q (epc, since_us)
  CROSS JOIN LATERAL (
      SELECT o.gate_id, o.direction, coalesce(l.to_id, m.to_id) AS to_id
        FROM observations o
        JOIN movements m ON m.company_id = o.company_id AND m.movement_id = o.movement_id
        CROSS JOIN LATERAL (
            SELECT count(*) AS n FROM movements c WHERE c.company_id = %(company)s AND c.corrects = o.movement_id) c
        LEFT JOIN LATERAL (
            SELECT l.to_id FROM movements l
             WHERE l.company_id = %(company)s AND l.corrects = o.movement_id AND c.n > 0
               AND substring(uuid_send(l.movement_id) FROM 1 FOR 6)
                   = substring(sha256(uuid_send(o.movement_id) || int4send(c.n::integer)) FROM 1 FOR 6)) l ON true
       WHERE o.company_id = %(company)s AND o.epc = q.epc AND o.occurred_us < q.since_us AND o.direction IN (1, 2)
         AND c.n %% 2 = 0
       ORDER BY o.occurred_us DESC LIMIT 1) b

-- value_of --
-- What issues cost, adjustments included: an issue that is undone comes back at it.
SELECT movement_id, sum(value)::bigint FROM (
    SELECT movement_id, value FROM cost_entries
     WHERE company_id = %(company)s AND movement_id = ANY(%(ids)s) AND step = 0
     UNION ALL
    SELECT corrects, value FROM cost_entries WHERE company_id = %(company)s AND corrects = ANY(%(ids)s)) v
 GROUP BY movement_id

-- expectations --
-- What these gates may expect of these tags and items, oldest first; locked, because the batch fills them.
SELECT e.expectation_id, e.gate_id, e.direction, e.epc, e.item_id, e.kind, e.party_id, e.document, e.price_micro,
       e.rate_nano, e.qty_micro - e.done_micro AS open, (extract(epoch FROM e.open_until) * 1000000)::bigint, e.reason,
       e.dimension_id, CASE WHEN e.currency IS DISTINCT FROM c.currency THEN coalesce(n.currency, 0) ELSE 0 END
  FROM expectations e JOIN companies c USING (company_id) LEFT JOIN currencies n ON n.code = e.currency
 WHERE e.company_id = %(company)s AND e.gate_id = ANY(%(gates)s) AND NOT e.is_filled
   AND (e.epc = ANY(%(epcs)s) OR e.item_id = ANY(%(items)s))
 ORDER BY e.expectation_id FOR UPDATE OF e

-- fill_expectations --
-- What came or went of what was expected.
UPDATE expectations e SET done_micro = e.done_micro + n.qty, is_filled = e.done_micro + n.qty >= e.qty_micro
  FROM unnest(%(ids)s::bigint[], %(qty)s::bigint[]) n (expectation_id, qty)
 WHERE e.company_id = %(company)s AND e.expectation_id = n.expectation_id

-- put_places --
-- The newest place of each tag, whose row can be locked from now on.
WITH placed AS (DELETE FROM unplaced_tags u USING unnest(%(epc)s::text[]) n (epc)
                 WHERE u.company_id = %(company)s AND u.epc = n.epc)
INSERT INTO places (company_id, epc, area_id, location_id, occurred_us, movement_id, crossing_group, confidence)
SELECT %(company)s, * FROM unnest(%(epc)s::text[], %(area)s::integer[], %(location)s::integer[],
                                  %(occurred_us)s::bigint[], %(movement)s::uuid[], %(crossing_group)s::integer[],
                                  %(confidence)s::real[])
ON CONFLICT (company_id, epc)
DO UPDATE SET area_id = excluded.area_id, location_id = excluded.location_id, occurred_us = excluded.occurred_us,
              movement_id = excluded.movement_id, crossing_group = excluded.crossing_group,
              confidence = excluded.confidence

-- open_observations --
-- Tags that no item is known for wait here.
INSERT INTO open_observations (company_id, epc, movement_id, recorded_at)
SELECT %(company)s, epc, movement, %(recorded_at)s
  FROM unnest(%(epc)s::text[], %(movement)s::uuid[]) n (epc, movement)
ON CONFLICT DO NOTHING

-- close_observations --
-- Bound to an item now.
DELETE FROM open_observations WHERE company_id = %(company)s AND epc = %(epc)s

-- bind_tag --
-- A tag says which item it is and how much of it. One that is bound stays as it is: its movements were booked so.
INSERT INTO tags (company_id, epc, item_id, qty_micro, lot_id)
VALUES (%(company)s, %(epc)s, %(item)s, %(qty)s, %(lot)s)
ON CONFLICT (company_id, epc) DO NOTHING

-- bound_tag --
-- What a tag is bound to.
SELECT t.item_id, t.qty_micro, t.lot_id, i.code, l.code
  FROM tags t JOIN items i USING (company_id, item_id) LEFT JOIN lots l USING (company_id, lot_id)
 WHERE t.company_id = %(company)s AND t.epc = %(epc)s

-- tracking --
-- How closely an item is told apart.
SELECT tracking, method FROM items WHERE company_id = %(company)s AND item_id = %(item)s
