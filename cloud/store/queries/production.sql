-- site --
-- A work order belongs to a site of the company's own.
SELECT location_id FROM locations WHERE company_id = %(company)s AND code = %(code)s AND kind = 'site'

-- place_of_production --
-- Where goods go that a closed order never finished.
SELECT min(location_id) FROM locations WHERE company_id = %(company)s AND kind = 'production'

-- add_place --
-- The order's own location, on its site.
INSERT INTO locations (company_id, code, name, kind, site_id, parent_id)
VALUES (%(company)s, %(code)s, %(name)s, 'work_order', %(site)s, %(site)s)
RETURNING location_id

-- add_dimension --
-- What the order's costs are kept apart by, and shared by.
INSERT INTO dimension_sets (company_id, code, batch, workshop)
VALUES (%(company)s, %(code)s, %(batch)s, %(workshop)s)
RETURNING dimension_id

-- add_order --
-- The order itself; a code that is taken fails on its unique key.
INSERT INTO work_orders (company_id, code, item_id, location_id, dimension_id, planned_micro)
VALUES (%(company)s, %(code)s, %(item)s, %(location)s, %(dimension)s, %(planned)s)
RETURNING work_order_id

-- add_components --
-- What one unit of the output takes of each.
INSERT INTO work_order_components (company_id, work_order_id, item_id, std_qty_micro)
SELECT %(company)s, %(order)s, * FROM unnest(%(item)s::integer[], %(qty)s::bigint[])

-- lock_order --
-- One change of an order at a time.
SELECT w.work_order_id, w.code, w.item_id, w.location_id, w.dimension_id, w.planned_micro, w.state, l.site_id
  FROM work_orders w JOIN locations l USING (company_id, location_id)
 WHERE w.company_id = %(company)s AND w.code = %(code)s FOR UPDATE OF w

-- close_order --
-- Nothing moves through it any more.
UPDATE work_orders SET state = 'closed' WHERE company_id = %(company)s AND work_order_id = %(order)s

-- moved --
-- How much of its output an order has begun, received and given up so far, by kind of movement.
SELECT kind, sum(qty_micro)::bigint FROM movements
 WHERE company_id = %(company)s AND item_id = %(item)s AND %(location)s IN (from_id, to_id) GROUP BY kind

-- components --
-- What the order should use for one unit of its output, what it has used, and what that costs by standard: that
-- of the order's site, else of any place, where the item is kept at standard.
SELECT coalesce(c.item_id, b.item_id), i.code, coalesce(c.std_qty_micro, 0), coalesce(b.qty_micro, 0),
       (SELECT p.standard FROM cost_pools p
         WHERE p.company_id = %(company)s AND p.item_id = i.item_id AND i.method = 'standard' AND p.standard IS NOT NULL
         ORDER BY p.site_id <> %(site)s, p.pool_id LIMIT 1)
  FROM (SELECT * FROM work_order_components WHERE company_id = %(company)s AND work_order_id = %(order)s) c
  FULL JOIN (SELECT item_id, sum(qty_micro)::bigint AS qty_micro FROM balances
              WHERE company_id = %(company)s AND location_id = %(location)s AND item_id <> %(output)s GROUP BY 1) b
       USING (item_id)
  JOIN items i ON i.company_id = %(company)s AND i.item_id = coalesce(c.item_id, b.item_id)
 ORDER BY 1

-- orders --
-- A page of work orders by code: what was planned, what is still in work, and what it has cost so far.
SELECT w.code, i.code, s.code, d.batch, d.workshop, w.state, w.planned_micro,
       coalesce((SELECT sum(m.qty_micro) FROM movements m
                  WHERE m.company_id = w.company_id AND m.item_id = w.item_id AND m.from_id = w.location_id
                    AND m.kind = 15), 0)::bigint,
       coalesce((SELECT sum(p.value) FROM cost_pools p
                  WHERE p.company_id = w.company_id AND p.item_id = w.item_id
                    AND p.dimension_id = w.dimension_id), 0)::bigint
  FROM work_orders w
  JOIN items i USING (company_id, item_id)
  JOIN locations l USING (company_id, location_id)
  JOIN dimension_sets d USING (company_id, dimension_id)
  LEFT JOIN locations s ON s.company_id = w.company_id AND s.location_id = l.site_id
 WHERE w.company_id = %(company)s AND w.code > %(after)s AND (%(one)s::text IS NULL OR w.code = %(one)s)
   AND (%(state)s::text IS NULL OR w.state = %(state)s)
 ORDER BY w.code LIMIT %(limit)s

-- order_components --
-- The components of an order as its page shows them.
SELECT i.code, coalesce(c.std_qty_micro, 0), coalesce(b.qty_micro, 0)
  FROM work_orders w
  JOIN LATERAL (SELECT item_id FROM work_order_components x
                 WHERE x.company_id = w.company_id AND x.work_order_id = w.work_order_id
                 UNION
                SELECT item_id FROM balances y
                 WHERE y.company_id = w.company_id AND y.location_id = w.location_id AND y.item_id <> w.item_id) k ON true
  JOIN items i ON i.company_id = w.company_id AND i.item_id = k.item_id
  LEFT JOIN work_order_components c ON c.company_id = w.company_id AND c.work_order_id = w.work_order_id
                                   AND c.item_id = k.item_id
  LEFT JOIN (SELECT company_id, location_id, item_id, sum(qty_micro)::bigint AS qty_micro FROM balances
              GROUP BY 1, 2, 3) b
       ON b.company_id = w.company_id AND b.location_id = w.location_id AND b.item_id = k.item_id
 WHERE w.company_id = %(company)s AND w.code = %(code)s
 ORDER BY i.code
