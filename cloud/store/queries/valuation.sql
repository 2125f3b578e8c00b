-- hold_receipts --
-- Two corrections of one receipt come one after the other; in the order given, so that none waits for itself.
SELECT pg_advisory_xact_lock(%(company)s, hashtext('receipt ' || id)) FROM unnest(%(ids)s::text[]) WITH ORDINALITY n (id, no)
 ORDER BY no

-- receipts --
-- What a correction or an additional cost must know of the receipts that it names: what they said they cost, what
-- the books took them at, and what earlier price corrections made of that.
SELECT m.movement_id, m.kind, m.item_id, i.code, m.qty_micro, m.price_micro, m.rate_nano, m.occurred_us,
       coalesce((SELECT sum(e.value) FROM cost_entries e
                  WHERE e.company_id = m.company_id AND e.movement_id = m.movement_id AND e.step = 1), 0)::bigint,
       coalesce((SELECT sum(v.value_micro) FROM value_events v
                  WHERE v.company_id = m.company_id AND v.original_id = m.movement_id AND v.kind = 30), 0)::bigint,
       i.weight_mg, i.volume_mm3,
       EXISTS (SELECT 1 FROM movements c WHERE c.company_id = m.company_id AND c.item_id = m.item_id
                  AND c.corrects = m.movement_id AND c.movement_id <> m.movement_id),
       m.currency,
       coalesce((SELECT sum(v.currency_amount) FROM value_events v
                  WHERE v.company_id = m.company_id AND v.original_id = m.movement_id AND v.kind = 30
                    AND v.currency = m.currency), 0)::bigint
  FROM movements m JOIN items i USING (company_id, item_id)
 WHERE m.company_id = %(company)s AND m.movement_id = ANY(%(ids)s::uuid[])

-- receipts_of_document --
-- The purchase receipts of a document, in the order in which they happened.
SELECT movement_id FROM movements
 WHERE company_id = %(company)s AND document = %(key)s AND kind = 1
 ORDER BY occurred_us, movement_id LIMIT %(limit)s

-- receipts_of_batch --
-- The purchase receipts of a lot.
SELECT m.movement_id FROM movements m JOIN lots l USING (company_id, lot_id)
 WHERE m.company_id = %(company)s AND l.code = %(key)s AND m.kind = 1
 ORDER BY m.occurred_us, m.movement_id LIMIT %(limit)s

-- orders_of --
-- Open work orders of a document (their own code), a batch or a workshop, with what stands in work; locked in order.
SELECT w.code, w.item_id, w.location_id, w.dimension_id, w.planned_micro, i.weight_mg, i.volume_mm3,
       coalesce((SELECT sum(p.value) FROM cost_pools p
                  WHERE p.company_id = w.company_id AND p.item_id = w.item_id
                    AND p.dimension_id = w.dimension_id), 0)::bigint
  FROM work_orders w
  JOIN items i USING (company_id, item_id)
  JOIN dimension_sets d USING (company_id, dimension_id)
 WHERE w.company_id = %(company)s AND w.state = 'open'
   AND CASE %(dimension)s WHEN 'document' THEN w.code WHEN 'batch' THEN d.batch ELSE d.workshop END = %(key)s
 ORDER BY w.work_order_id LIMIT %(limit)s FOR UPDATE OF w

-- rule --
-- How a cost of this type is shared in this industry; a rule of the industry itself before one for all. Where no
-- industry is named, a rule for all before the oldest of any: most companies are in one.
SELECT basis, dimension FROM allocation_rules
 WHERE company_id = %(company)s AND cost_type = %(cost_type)s
   AND (industry IN (%(industry)s, '') OR %(industry)s = '')
 ORDER BY priority DESC, industry = %(industry)s DESC, rule_id LIMIT 1

-- rules --
-- All of a company's rules.
SELECT rule_id, industry, cost_type, basis, dimension, priority FROM allocation_rules
 WHERE company_id = %(company)s AND rule_id > %(after)s ORDER BY rule_id LIMIT %(limit)s

-- put_rule --
-- A rule said again replaces the one of the same industry, type of cost and priority.
INSERT INTO allocation_rules (company_id, industry, cost_type, basis, dimension, priority)
VALUES (%(company)s, %(industry)s, %(cost_type)s, %(basis)s, %(dimension)s, %(priority)s)
ON CONFLICT (company_id, industry, cost_type, priority)
DO UPDATE SET basis = excluded.basis, dimension = excluded.dimension
RETURNING rule_id

-- items --
-- How items are costed, held against another change of their method; locked in order of code.
SELECT item_id, code, method, tracking FROM items
 WHERE company_id = %(company)s AND code = ANY(%(codes)s) ORDER BY code FOR UPDATE

-- set_method --
-- From here on new pools of the item are costed so; its old ones follow by their events.
UPDATE items SET method = %(method)s WHERE company_id = %(company)s AND item_id = %(item)s

-- stock_pools --
-- Items' pools of goods, in order of id; what is in work is no stock of them yet.
SELECT p.item_id, p.pool_id, p.site_id, p.method, p.qty, p.value, p.allowance, p.standard, p.newest_us, p.late_from_us
  FROM cost_pools p
 WHERE p.company_id = %(company)s AND p.item_id = ANY(%(items)s)
   AND p.account_id <> ALL (ARRAY(SELECT account_id FROM accounts WHERE company_id = %(company)s AND role = 'wip'))
 ORDER BY p.pool_id

-- lock_stock_pools --
-- The same, locked: those of all items at once in order of id, as batches lock theirs.
SELECT p.item_id, p.pool_id, p.site_id, p.method, p.qty, p.value, p.allowance, p.standard, p.newest_us, p.late_from_us
  FROM cost_pools p
 WHERE p.company_id = %(company)s AND p.item_id = ANY(%(items)s)
   AND p.account_id <> ALL (ARRAY(SELECT account_id FROM accounts WHERE company_id = %(company)s AND role = 'wip'))
 ORDER BY p.pool_id FOR UPDATE OF p

-- since --
-- What happened to pools behind a moment, to be taken off what they hold now.
SELECT pool_id, sum(qty)::bigint, sum(value)::bigint, sum(allowance)::bigint
  FROM (SELECT e.pool_id, e.qty, e.value, 0 AS allowance
          FROM cost_entries e JOIN movements m USING (company_id, movement_id)
         WHERE e.company_id = %(company)s AND e.pool_id = ANY(%(pools)s) AND m.occurred_us > %(at)s
         UNION ALL
        SELECT e.pool_id, e.qty, e.value, 0
          FROM cost_entries e JOIN value_events v ON v.company_id = e.company_id AND v.event_id = e.movement_id
         WHERE e.company_id = %(company)s AND e.pool_id = ANY(%(pools)s) AND v.occurred_us > %(at)s
         UNION ALL
        SELECT a.pool_id, 0, 0, a.value
          FROM allowance_entries a
          LEFT JOIN movements m USING (company_id, movement_id)
          LEFT JOIN value_events v ON v.company_id = a.company_id AND v.event_id = a.movement_id
         WHERE a.company_id = %(company)s AND a.pool_id = ANY(%(pools)s)
           AND coalesce(m.occurred_us, v.occurred_us) > %(at)s) x
 GROUP BY pool_id

-- sites --
-- The company's own sites.
SELECT location_id FROM locations WHERE company_id = %(company)s AND kind = 'site' ORDER BY location_id

-- profile --
-- Which accounting rules a company follows.
SELECT profile FROM companies WHERE company_id = %(company)s

-- events --
-- Value events as the API shows them.
SELECT v.event_id, k.name, i.code, v.original_id, v.value_micro, v.document, v.reason, v.occurred_us, v.recorded_at,
       b.worker
  FROM value_events v
  JOIN movement_kinds k USING (kind)
  JOIN batches b USING (company_id, lane, batch_no)
  LEFT JOIN cost_pools p USING (company_id, pool_id)
  LEFT JOIN movements m ON m.company_id = v.company_id AND m.movement_id = v.original_id
  LEFT JOIN items i ON i.company_id = v.company_id AND i.item_id = coalesce(v.item_id, p.item_id, m.item_id)
 WHERE v.company_id = %(company)s AND v.event_id = ANY(%(ids)s::uuid[])
