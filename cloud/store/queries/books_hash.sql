-- waiting --
-- Companies with pools that re-costing has not been at, and how many: their costs are not final.
SELECT c.code, count(*) FROM cost_pools p JOIN companies c USING (company_id)
 WHERE p.late_from_us IS NOT NULL GROUP BY c.code ORDER BY c.code COLLATE "C"

-- names --
-- Not a statement but the beginning of those below: what database ids stand for.
--   logs      each epoch of a gateway, and how many numbers its log had before it. Epochs are random, so they are put
--             in the order of what their first sightings claim of when and where they were.
--   records   the place of movements and value events: (log, number in the whole log, '') of a gateway's, ('', 0, name)
--             of the cloud's own, by the request that made them and the row there.
--   pools     (place with its accounts, item, account, dimensions, owner, lot) of each pool, as one text.
logs AS (
    SELECT l.company_id, l.gateway_id, l.epoch, g.site || '/' || g.code AS log,
           coalesce(sum(l.applied_seq) OVER (
               PARTITION BY l.company_id, l.gateway_id
               ORDER BY f.claimed_us, f.epc COLLATE "C", f.gate COLLATE "C", f.direction, l.begun_at, l.epoch
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)::bigint AS before
      FROM gateway_logs l
      JOIN gateways g ON g.company_id = l.company_id AND g.gateway_id = l.gateway_id
      LEFT JOIN LATERAL (
           SELECT o.claimed_us, o.epc, t.code AS gate, o.direction
             FROM observations o LEFT JOIN gates t ON t.company_id = o.company_id AND t.gate_id = o.gate_id
            WHERE o.company_id = l.company_id AND o.gateway_id = l.gateway_id AND o.epoch = l.epoch
            ORDER BY o.seq LIMIT 1) f ON true),
requests AS (
    SELECT r.company_id, a.id::uuid AS id, min(r.key || ' ' || a.row_no) AS name
      FROM cloud_requests r
     CROSS JOIN LATERAL jsonb_array_elements_text(CASE jsonb_typeof(r.answer) WHEN 'array' THEN r.answer ELSE '[]' END)
                WITH ORDINALITY a (id, row_no)
     WHERE a.id ~ '^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$'
     GROUP BY 1, 2),
records AS (
    SELECT s.company_id, s.id, coalesce(l.log, '') AS log, coalesce(l.before + s.seq, 0) AS place,
           CASE WHEN l.log IS NOT NULL THEN '' ELSE coalesce(r.name, s.id::text) END AS name
      FROM (SELECT company_id, movement_id AS id, gateway_id, epoch, seq FROM movements
             UNION ALL SELECT company_id, event_id, 0, NULL, 0 FROM value_events) s
      LEFT JOIN logs l ON l.company_id = s.company_id AND l.gateway_id = s.gateway_id AND l.epoch = s.epoch
      LEFT JOIN requests r ON r.company_id = s.company_id AND r.id = s.id),
pools AS (
    SELECT p.company_id, p.pool_id,
           concat_ws('|', coalesce(s.code, p.site_id::text), coalesce(i.code, p.item_id::text),
                     coalesce(a.number, p.account_id::text), coalesce(d.code, p.dimension_id::text), p.owner_id,
                     coalesce(t.code, p.lot_id::text)) AS pool
      FROM cost_pools p
      LEFT JOIN locations s ON s.company_id = p.company_id AND s.location_id = p.site_id
      LEFT JOIN items i ON i.company_id = p.company_id AND i.item_id = p.item_id
      LEFT JOIN accounts a ON a.company_id = p.company_id AND a.account_id = p.account_id
      LEFT JOIN dimension_sets d ON d.company_id = p.company_id AND d.dimension_id = p.dimension_id
      LEFT JOIN lots t ON t.company_id = p.company_id AND t.lot_id = p.lot_id),
costs AS (
    -- What each movement and value event came to in each pool: its own entries, and those that adjust them.
    SELECT r.company_id, r.log, r.place, r.name,
           string_agg(r.pool || ' ' || r.qty || ' ' || r.value, '; ' ORDER BY r.pool COLLATE "C") AS cost
      FROM (SELECT k.company_id, k.log, k.place, k.name, p.pool, sum(e.qty) AS qty, sum(e.value) AS value
              FROM (SELECT c.company_id, c.pool_id, c.qty, c.value,
                           CASE WHEN v.event_id IS NULL THEN coalesce(c.corrects, c.movement_id)
                                ELSE c.movement_id END AS id
                      FROM cost_entries c
                      LEFT JOIN value_events v ON v.company_id = c.company_id AND v.event_id = c.movement_id) e
              JOIN records k USING (company_id, id)
              JOIN pools p USING (company_id, pool_id)
             GROUP BY 1, 2, 3, 4, 5
            HAVING sum(e.qty) <> 0 OR sum(e.value) <> 0) r
     GROUP BY 1, 2, 3, 4)

-- balances --
-- Quantities that are not zero.
COPY (
    SELECT c.code, coalesce(i.code, b.item_id::text), coalesce(l.code, b.location_id::text),
           coalesce(t.code, b.lot_id::text), b.status, b.qty_micro
      FROM balances b
      JOIN companies c USING (company_id)
      LEFT JOIN items i USING (company_id, item_id)
      LEFT JOIN locations l USING (company_id, location_id)
      LEFT JOIN lots t ON t.company_id = b.company_id AND t.lot_id = b.lot_id
     WHERE b.qty_micro <> 0
     ORDER BY c.code COLLATE "C", i.code COLLATE "C", l.code COLLATE "C", t.code COLLATE "C", b.status
) TO STDOUT (ENCODING 'UTF8')

-- pools --
-- Pools that hold or owe something. What they remember of costs is left out: goods that a sighting moved and a later
-- one moved back have taught their pool a cost, and whether they ever were there is a matter of arrival.
COPY (
    WITH {names}
    SELECT c.code, n.pool, p.method, p.qty, p.value, p.posted, p.standard, p.settled_value, p.settled_qty, p.allowance,
           p.allowance_posted
      FROM cost_pools p
      JOIN companies c USING (company_id)
      JOIN pools n USING (company_id, pool_id)
     WHERE p.qty <> 0 OR p.value <> 0 OR p.allowance <> 0
     ORDER BY c.code COLLATE "C", n.pool COLLATE "C"
) TO STDOUT (ENCODING 'UTF8')

-- layers --
-- Layers in the order in which they are taken; their numbers are a matter of arrival.
COPY (
    WITH {names}
    SELECT c.code, n.pool, row_number() OVER (PARTITION BY l.company_id, l.pool_id ORDER BY l.layer_no),
           r.log, r.place, r.name, l.step, l.qty_left, l.value_left, l.uncosted, l.occurred_us
      FROM cost_layers l
      JOIN companies c USING (company_id)
      JOIN pools n USING (company_id, pool_id)
      LEFT JOIN records r ON r.company_id = l.company_id AND r.id = l.movement_id
     ORDER BY c.code COLLATE "C", n.pool COLLATE "C", 3
) TO STDOUT (ENCODING 'UTF8')

-- movements --
-- Movements that stand, and what each came to. All movements under one number of a log are one: made, taken back when
-- an earlier sighting arrived, made again. An odd count stands, with the terms of the last (the id of the n-th derives
-- from the first's and n − 1, see cloud/flows/passages/moves.py); an even one left nothing but what it cost, if
-- anything. Of the tags only `clock` (2) is the movement's; whether it was late is a matter of arrival.
COPY (
    WITH {names},
    made AS (
        SELECT r.log, r.place, r.name, m.*, coalesce(m.corrects, m.movement_id) AS first_id,
               CASE r.log WHEN '' THEN 1 ELSE count(*) OVER (PARTITION BY r.company_id, r.log, r.place) END AS n
          FROM movements m JOIN records r ON r.company_id = m.company_id AND r.id = m.movement_id),
    standing AS (
        SELECT * FROM made
         WHERE n % 2 = 1 AND (n = 1 OR substring(uuid_send(movement_id) FROM 1 FOR 6)
                                       = substring(sha256(uuid_send(first_id) || int4send((n - 1)::integer)) FROM 1 FOR 6)))
    SELECT c.code, at.log, at.place, at.name, m.kind, i.code, m.qty_micro, f.code, t.code, y.kind, y.code, m.document,
           m.price_micro, m.rate_nano, m.value_micro, o.log, o.place, o.name,
           CASE WHEN m.n = 1 THEN k.log END, CASE WHEN m.n = 1 THEN k.place END, CASE WHEN m.n = 1 THEN k.name END,
           m.tags & 2, m.occurred_us, u.code, m.reason, d.code, m.currency, x.cost
      FROM standing m
      FULL JOIN costs x USING (company_id, log, place, name) AS at
      JOIN companies c ON c.company_id = at.company_id
      LEFT JOIN items i ON i.company_id = m.company_id AND i.item_id = m.item_id
      LEFT JOIN locations f ON f.company_id = m.company_id AND f.location_id = m.from_id
      LEFT JOIN locations t ON t.company_id = m.company_id AND t.location_id = m.to_id
      LEFT JOIN parties y ON y.company_id = m.company_id AND y.party_id = m.party_id
      LEFT JOIN records o ON o.company_id = m.company_id AND o.id = m.original_id
      LEFT JOIN records k ON k.company_id = m.company_id AND k.id = m.corrects
      LEFT JOIN lots u ON u.company_id = m.company_id AND u.lot_id = m.lot_id
      LEFT JOIN dimension_sets d ON d.company_id = m.company_id AND d.dimension_id = m.dimension_id
     ORDER BY c.code COLLATE "C", at.log COLLATE "C", at.place, at.name COLLATE "C"
) TO STDOUT (ENCODING 'UTF8')

-- value_events --
-- Changes of cost without goods. What each came to stands among the costs of the movements. Settlements (37) say what
-- a job did, not what anybody recorded.
COPY (
    WITH {names}
    SELECT c.code, r.name, v.kind, n.pool, i.code, o.log, o.place, o.name, v.value_micro, v.period_id, d.code, y.kind,
           y.code, v.document, v.reason, v.occurred_us, v.currency, v.currency_amount
      FROM value_events v
      JOIN companies c USING (company_id)
      JOIN records r ON r.company_id = v.company_id AND r.id = v.event_id
      LEFT JOIN pools n ON n.company_id = v.company_id AND n.pool_id = v.pool_id
      LEFT JOIN items i ON i.company_id = v.company_id AND i.item_id = v.item_id
      LEFT JOIN records o ON o.company_id = v.company_id AND o.id = v.original_id
      LEFT JOIN dimension_sets d ON d.company_id = v.company_id AND d.dimension_id = v.dimension_id
      LEFT JOIN parties y ON y.company_id = v.company_id AND y.party_id = v.party_id
     WHERE v.kind <> 37
     ORDER BY c.code COLLATE "C", r.name COLLATE "C"
) TO STDOUT (ENCODING 'UTF8')
