-- try_to_begin --
-- One re-costing of a company at a time, for as long as the session lives or until it says so.
SELECT pg_try_advisory_lock(hashtext('tallygate recosting'), %(company)s)

-- begin --
-- The same for those who can wait.
SELECT pg_advisory_lock(hashtext('tallygate recosting'), %(company)s)

-- end --
-- The next one may begin.
SELECT pg_advisory_unlock(hashtext('tallygate recosting'), %(company)s)

-- marked --
-- Pools that wait, and the company's lanes they are found under; the earliest place first.
SELECT pool_id, item_id, late_from_us FROM cost_pools
 WHERE company_id = %(company)s AND late_from_us IS NOT NULL ORDER BY late_from_us, pool_id

-- companies_that_wait --
-- Companies with marked pools.
SELECT DISTINCT company_id FROM cost_pools WHERE late_from_us IS NOT NULL ORDER BY company_id

-- joined_items --
-- Items whose goods meet those of the given ones in a work order: what such a place makes, and what went in.
WITH RECURSIVE joined (item_id) AS (
    SELECT unnest(%(items)s::integer[])
     UNION
    SELECT CASE n.way WHEN 1 THEN w.item_id ELSE b.item_id END
      FROM joined j
      CROSS JOIN LATERAL (
            SELECT x.location_id FROM balances x WHERE x.company_id = %(company)s AND x.item_id = j.item_id
             UNION
            SELECT y.location_id FROM work_orders y WHERE y.company_id = %(company)s AND y.item_id = j.item_id) at
      JOIN work_orders w ON w.company_id = %(company)s AND w.location_id = at.location_id
      JOIN balances b ON b.company_id = w.company_id AND b.location_id = w.location_id
      CROSS JOIN (VALUES (1), (2)) n (way)
)
SELECT item_id FROM joined ORDER BY item_id

-- pools --
-- The pools of a component as they stand.
SELECT pool_id, site_id, item_id, account_id | (dimension_id::bigint << 32), dimension_id, coalesce(first_method, method), method, minor_unit, qty,
       value, posted, next_layer, newest_us, coalesce(late_from_us, -1), allowance, allowance_posted
  FROM cost_pools WHERE company_id = %(company)s AND item_id = ANY(%(items)s) ORDER BY pool_id

-- lock_pools --
-- The same, locked in order of id as every batch does it.
SELECT pool_id, site_id, item_id, account_id | (dimension_id::bigint << 32), dimension_id, coalesce(first_method, method), method, minor_unit, qty,
       value, posted, next_layer, newest_us, coalesce(late_from_us, -1), allowance, allowance_posted
  FROM cost_pools WHERE company_id = %(company)s AND item_id = ANY(%(items)s) ORDER BY pool_id FOR UPDATE

-- newest_cut --
-- The newest moment before the late one at which every item of the component was cut.
SELECT cut_us FROM cost_cuts
 WHERE company_id = %(company)s AND item_id = ANY(%(items)s) AND cut_us < %(before)s
 GROUP BY cut_us HAVING count(*) = cardinality(%(items)s::integer[]) ORDER BY cut_us DESC LIMIT 1

-- came_before_cut --
-- Goods that reached a pool which the snapshot does not know, at or before its moment: it cannot be used.
SELECT 1 FROM cost_entries e JOIN movements m USING (company_id, movement_id)
 WHERE e.company_id = %(company)s AND e.pool_id = ANY(%(pools)s) AND m.occurred_us <= %(cut)s LIMIT 1

-- cut_items --
-- The items' last known costs at a cut.
SELECT item_id, last_value, last_qty FROM cost_cuts
 WHERE company_id = %(company)s AND item_id = ANY(%(items)s) AND cut_us = %(cut)s

-- cut_pools --
-- The pools at a cut.
SELECT pool_id, method, qty, value, last_value, last_qty, coalesce(standard, -1), settled_value, settled_qty, allowance
  FROM cost_cut_pools WHERE company_id = %(company)s AND item_id = ANY(%(items)s) AND cut_us = %(cut)s

-- cut_layers --
-- Their layers, each pool's oldest first.
SELECT pool_id, layer_no, movement_id, step, qty_left, value_left, counter_account | (counter_dimension::bigint << 32),
       posting_date, occurred_us
  FROM cost_cut_layers WHERE company_id = %(company)s AND item_id = ANY(%(items)s) AND cut_us = %(cut)s
 ORDER BY pool_id, layer_no

-- movements --
-- The component's movements after a cut: how they are ordered and costed, the pools of their two legs, and what
-- has been posted to each so far. Those inside one pool have no legs and stay out.
COPY (SELECT m.movement_id, m.kind::bigint, m.item_id::bigint, m.qty_micro, m.occurred_us, m.gateway_id::bigint,
             m.epoch, m.seq, coalesce(m.price_micro, -1), m.rate_nano, coalesce(m.value_micro, -1),
             coalesce(m.corrects, '00000000-0000-0000-0000-000000000000'::uuid),
             coalesce(m.original_id, '00000000-0000-0000-0000-000000000000'::uuid),
             coalesce(o.pool_id, -1), coalesce(i.pool_id, -1), coalesce(i.qty, -1),
             coalesce(o.counter_account | (o.counter_dimension::bigint << 32), -1),
             coalesce(i.counter_account | (i.counter_dimension::bigint << 32), -1),
             (coalesce(o.posting_date, i.posting_date) - date '1970-01-01')::bigint,
             coalesce(o.value, 0) + coalesce(c.out_value, 0), coalesce(i.value, 0) + coalesce(c.in_value, 0)
        FROM movements m
        LEFT JOIN cost_entries o ON o.company_id = m.company_id AND o.movement_id = m.movement_id AND o.step = 0
        LEFT JOIN cost_entries i ON i.company_id = m.company_id AND i.movement_id = m.movement_id AND i.step = 1
        LEFT JOIN LATERAL (
             SELECT (sum(x.value) FILTER (WHERE x.pool_id = o.pool_id))::bigint AS out_value,
                    (sum(x.value) FILTER (WHERE x.pool_id = i.pool_id))::bigint AS in_value
               FROM cost_entries x WHERE x.company_id = m.company_id AND x.corrects = m.movement_id
                AND NOT EXISTS (SELECT 1 FROM value_events v
                                 WHERE v.company_id = x.company_id AND v.event_id = x.movement_id)) c ON true
       WHERE m.company_id = %(company)s AND m.item_id = ANY(%(items)s) AND m.occurred_us > %(after)s
         AND num_nonnulls(o.pool_id, i.pool_id) > 0) TO STDOUT (FORMAT BINARY)

-- events --
-- Value events of the component after a cut: those of receipts behind it, and those at a place of their own.
COPY (SELECT v.event_id, v.kind::bigint, coalesce(v.pool_id, -1), coalesce(v.item_id, -1)::bigint,
             coalesce(v.original_id, '00000000-0000-0000-0000-000000000000'::uuid), v.value_micro, v.occurred_us,
             coalesce(e.counter_account | (e.counter_dimension::bigint << 32), -1),
             (coalesce(e.posting_date, j.posting_date, date '1970-01-01') - date '1970-01-01')::bigint,
             coalesce(p.value, 0)
        FROM value_events v
        LEFT JOIN LATERAL (
             SELECT x.counter_account, x.counter_dimension, x.posting_date FROM cost_entries x
              WHERE x.company_id = v.company_id AND x.movement_id = v.event_id AND x.journal_id IS NULL
              ORDER BY x.step LIMIT 1) e ON true
        LEFT JOIN LATERAL (
             SELECT x.posting_date FROM journal_entries x
              WHERE x.company_id = v.company_id AND x.source_id = v.event_id ORDER BY x.step LIMIT 1) j ON true
        LEFT JOIN LATERAL (
             SELECT sum(x.value)::bigint AS value FROM cost_entries x
              WHERE x.company_id = v.company_id AND x.movement_id = v.event_id) p ON true
       WHERE v.company_id = %(company)s AND v.kind <> 37
         AND CASE WHEN v.original_id IS NULL
                  THEN v.occurred_us > %(after)s AND (v.pool_id = ANY(%(pools)s) OR v.item_id = ANY(%(items)s))
                  ELSE EXISTS (SELECT 1 FROM movements m WHERE m.company_id = v.company_id
                                  AND m.movement_id = v.original_id AND m.item_id = ANY(%(items)s)
                                  AND m.occurred_us > %(after)s) END) TO STDOUT (FORMAT BINARY)

-- originals --
-- Issues before the cut that something behind it returns: what they cost at rest, how much they issued, and how
-- much of it came back before the cut.
SELECT m.movement_id, m.qty_micro,
       -coalesce((SELECT sum(e.value) FROM cost_entries e
                   WHERE e.company_id = m.company_id AND e.pool_id = o.pool_id
                     AND (e.movement_id = m.movement_id AND e.corrects IS NULL OR e.corrects = m.movement_id)), 0)::bigint,
       coalesce((SELECT sum(r.qty_micro) FROM movements r
                  WHERE r.company_id = m.company_id AND r.item_id = m.item_id AND r.occurred_us <= %(after)s
                    AND (r.original_id = m.movement_id OR r.corrects = m.movement_id AND r.movement_id <> m.movement_id)),
                0)::bigint
  FROM movements m
  LEFT JOIN cost_entries o ON o.company_id = m.company_id AND o.movement_id = m.movement_id AND o.step = 0
 WHERE m.company_id = %(company)s AND m.movement_id = ANY(%(ids)s)

-- settled_periods --
-- Periods whose price periodic methods have taken, as instants of the company's time zone.
SELECT p.period_id, (extract(epoch FROM p.first_day::timestamp AT TIME ZONE c.time_zone) * 1000000)::bigint,
       (extract(epoch FROM (p.last_day + 1)::timestamp AT TIME ZONE c.time_zone) * 1000000)::bigint,
       p.first_day - date '1970-01-01', p.last_day - date '1970-01-01'
  FROM periods p JOIN companies c USING (company_id)
 WHERE p.company_id = %(company)s AND p.settled_at IS NOT NULL ORDER BY p.first_day

-- next_steps --
-- The first free step of movements and value events; 0 and 1 are for what they did themselves. One look-up by key each:
-- a join of all would be planned as a scan of whole tables where many are asked for.
SELECT i.id, (greatest(max(n.step) + 1, 2))::integer
  FROM unnest(%(ids)s::uuid[]) i (id)
  CROSS JOIN LATERAL (
       SELECT max(step) AS step FROM cost_entries WHERE company_id = %(company)s AND movement_id = i.id
        UNION ALL
       SELECT max(step) FROM allowance_entries WHERE company_id = %(company)s AND movement_id = i.id
        UNION ALL
       SELECT max(step) FROM journal_entries WHERE company_id = %(company)s AND source_id = i.id) n
 GROUP BY i.id

-- released --
-- What movements and value events changed their pools' allowances by so far.
SELECT a.movement_id, a.pool_id, sum(a.value)::bigint, min(a.posting_date) FROM allowance_entries a
 WHERE a.company_id = %(company)s AND a.pool_id = ANY(%(pools)s) GROUP BY 1, 2

-- delete_layers --
-- The run leaves its own.
DELETE FROM cost_layers WHERE company_id = %(company)s AND pool_id = ANY(%(pools)s)

-- update_pools --
-- At rest: what the run came to, and nothing to look at again. Quantities are what they were.
UPDATE cost_pools p
   SET method = n.method, value = n.value, posted = n.posted, last_value = n.last_value, last_qty = n.last_qty,
       next_layer = n.next_layer, newest_us = n.newest_us, late_from_us = NULL, standard = nullif(n.standard, -1),
       settled_value = n.settled_value, settled_qty = n.settled_qty, allowance = n.allowance,
       allowance_posted = n.allowance_posted
  FROM unnest(%(pool)s::bigint[], %(method)s::smallint[], %(value)s::bigint[], %(posted)s::bigint[],
              %(last_value)s::bigint[], %(last_qty)s::bigint[], %(next_layer)s::bigint[], %(newest_us)s::bigint[],
              %(standard)s::bigint[], %(settled_value)s::bigint[], %(settled_qty)s::bigint[], %(allowance)s::bigint[],
              %(allowance_posted)s::bigint[])
       n (pool_id, method, value, posted, last_value, last_qty, next_layer, newest_us, standard, settled_value,
          settled_qty, allowance, allowance_posted)
 WHERE p.company_id = %(company)s AND p.pool_id = n.pool_id

-- forget_cuts --
-- Snapshots at or behind a late event tell of a past that was not.
DELETE FROM cost_cuts WHERE company_id = %(company)s AND item_id = ANY(%(items)s) AND cut_us >= %(from)s

-- forget_cut_pools --
-- The same.
DELETE FROM cost_cut_pools WHERE company_id = %(company)s AND item_id = ANY(%(items)s) AND cut_us >= %(from)s

-- forget_cut_layers --
-- The same.
DELETE FROM cost_cut_layers WHERE company_id = %(company)s AND item_id = ANY(%(items)s) AND cut_us >= %(from)s

-- accounts --
-- The chart by role; 0: everywhere, else the one site where another account stands for the role.
SELECT role, coalesce(site_id, 0), account_id FROM accounts WHERE company_id = %(company)s AND role IS NOT NULL

-- periods --
-- The calendar, and in which periods goods of periodic methods moved without a price of the period so far.
SELECT p.period_id, p.first_day, p.last_day, p.state,
       p.settled_at IS NULL AND EXISTS (
           SELECT 1 FROM cost_pools c JOIN cost_entries e USING (company_id, pool_id)
            WHERE c.company_id = p.company_id AND c.method IN (5, 6, 7) AND e.step = 0
              AND e.posting_date BETWEEN p.first_day AND p.last_day)
  FROM periods p WHERE p.company_id = %(company)s ORDER BY p.first_day

-- periodic_pools --
-- Pools whose issues take their cost from their period.
SELECT pool_id, item_id FROM cost_pools WHERE company_id = %(company)s AND method = ANY(%(methods)s) ORDER BY pool_id

-- mark_settled --
-- When periodic methods last took their price.
UPDATE periods SET settled_at = %(at)s WHERE company_id = %(company)s AND period_id = %(period)s

-- standing_pools --
-- The pools as they stand, as cut_pools has them.
SELECT pool_id, method, qty, value, last_value, last_qty, coalesce(standard, -1), settled_value, settled_qty, allowance
  FROM cost_pools WHERE company_id = %(company)s AND pool_id = ANY(%(pools)s) ORDER BY pool_id

-- standing_layers --
-- Their layers, as cut_layers has them, and whether they have a cost.
SELECT l.pool_id, l.layer_no, l.movement_id, l.step, l.qty_left, l.value_left,
       l.counter_account | (l.counter_dimension::bigint << 32), l.posting_date, l.occurred_us, l.uncosted
  FROM cost_layers l
 WHERE l.company_id = %(company)s AND l.pool_id = ANY(%(pools)s) ORDER BY l.pool_id, l.layer_no

-- moved_since --
-- Which goods moved how often, by when it was recorded.
SELECT company_id, item_id, count(*) FROM movements WHERE recorded_at > %(since)s GROUP BY 1, 2

-- raise_newest --
-- Whatever comes from before a cut is late from now on, also in pools that were quiet then. Pools that are locked: one
-- that was made since is not in the cut, and whoever begins from the cut looks whether anything came there before it.
UPDATE cost_pools SET newest_us = %(cut)s
 WHERE company_id = %(company)s AND pool_id = ANY(%(pools)s) AND newest_us < %(cut)s

-- items_of_pools --
-- Items that have cost pools.
SELECT DISTINCT item_id FROM cost_pools WHERE company_id = %(company)s ORDER BY item_id
