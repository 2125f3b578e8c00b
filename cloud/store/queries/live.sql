-- agreement --
-- Promise 2 on one line, in minor units.
SELECT stock_value, ledger, difference FROM stock_ledger_difference WHERE company_id = %(company)s

-- counts --
-- What waits for a person.
SELECT (SELECT count(*) FROM open_observations o WHERE o.company_id = %(company)s) AS open_observations,
       (SELECT count(*) FROM quarantine q WHERE q.company_id = %(company)s
           AND NOT EXISTS (SELECT FROM quarantine_resolutions r
                            WHERE r.company_id = q.company_id AND r.quarantine_id = q.quarantine_id)) AS quarantine,
       (SELECT count(DISTINCT (b.item_id, b.location_id)) FROM balances b JOIN locations l USING (company_id, location_id)
         WHERE b.company_id = %(company)s AND l.kind = 'clarification' AND b.qty_micro <> 0) AS clarification_items,
       (SELECT coalesce(sum(a.balance), 0)::bigint FROM account_balances a
         WHERE a.company_id = %(company)s AND a.role = 'clarification') AS clarification_amount,
       (SELECT count(*) FROM gateway_logs g WHERE g.company_id = %(company)s AND g.stopped IS NOT NULL) AS stopped_logs,
       (SELECT count(*) FROM unknown_gateways u
         WHERE split_part(u.address, '/', 1) = %(code)s) AS unknown_gateways

-- gates --
-- Every gate with the newest summary of what it sees.
SELECT g.code, i.name AS inside, o.name AS outside, r.received_at, r.summary, r.reads_total
  FROM gates g
  JOIN locations i ON i.company_id = g.company_id AND i.location_id = g.inside_id
  JOIN locations o ON o.company_id = g.company_id AND o.location_id = g.outside_id
  LEFT JOIN gate_readings r ON r.company_id = g.company_id AND r.gate = g.code
 WHERE g.company_id = %(company)s ORDER BY g.code LIMIT %(limit)s

-- gateways --
-- Every gateway with what it last said of itself.
SELECT g.site, g.code, s.online, s.received_at, s.clock_us, s.status,
       (SELECT min(l.stopped) FROM gateway_logs l
         WHERE l.company_id = g.company_id AND l.gateway_id = g.gateway_id) AS stopped
  FROM gateways g LEFT JOIN gateway_status s USING (company_id, gateway_id)
 WHERE g.company_id = %(company)s ORDER BY g.site, g.code LIMIT %(limit)s

-- tagged_items --
-- What the tags that gates see are: by their registration, else by the GTIN that they carry.
SELECT w.epc, i.code, i.name_zh, i.name_en
  FROM unnest(%(epcs)s::text[], %(gtins)s::text[]) w (epc, gtin)
  LEFT JOIN tags t ON t.company_id = %(company)s AND t.epc = w.epc
  JOIN items i ON i.company_id = %(company)s
              AND (i.item_id = t.item_id OR (t.item_id IS NULL AND i.gtin = w.gtin))

-- balances --
-- Stock where people look for it; the places beyond the company's walls are left out. `total` counts all.
SELECT i.code AS item, i.name_zh AS item_zh, i.name_en AS item_en, i.unit, l.code AS location,
       l.name AS location_name, l.kind AS location_kind, b.qty_micro, count(*) OVER () AS total
  FROM (SELECT company_id, item_id, location_id, sum(qty_micro)::bigint AS qty_micro FROM balances
         WHERE company_id = %(company)s GROUP BY 1, 2, 3) b
  JOIN items i USING (company_id, item_id)
  JOIN locations l ON l.company_id = b.company_id AND l.location_id = b.location_id
 WHERE b.company_id = %(company)s AND b.qty_micro <> 0
   AND l.kind IN ('site', 'zone', 'bin', 'clarification', 'in_transit', 'production')
 ORDER BY i.code, l.code LIMIT %(limit)s

-- pools --
-- The cost pools that moved last and hold something, or have posted something.
SELECT p.pool_id, i.code AS item, i.name_zh AS item_zh, i.name_en AS item_en, i.unit, s.name AS site,
       a.number AS account, a.name_zh AS account_zh, a.name_en AS account_en, p.method, p.qty, p.value, p.posted,
       p.late_from_us IS NOT NULL AS is_late, count(*) OVER () AS total
  FROM cost_pools p
  JOIN items i USING (company_id, item_id)
  JOIN accounts a ON a.company_id = p.company_id AND a.account_id = p.account_id
  LEFT JOIN locations s ON s.company_id = p.company_id AND s.location_id = p.site_id
 WHERE p.company_id = %(company)s AND (p.qty <> 0 OR p.posted <> 0)
 ORDER BY p.newest_us DESC, p.pool_id LIMIT %(limit)s

-- layers --
-- The first layers of each of these pools, oldest first; `total` counts the pool's layers.
SELECT l.pool_id, l.layer_no, l.qty_left, l.value_left, l.uncosted, l.occurred_us, l.total
  FROM unnest(%(pools)s::bigint[]) w (pool_id)
  CROSS JOIN LATERAL (SELECT c.pool_id, c.layer_no, c.qty_left, c.value_left, c.uncosted, c.occurred_us,
                             count(*) OVER () AS total
                        FROM cost_layers c WHERE c.company_id = %(company)s AND c.pool_id = w.pool_id
                       ORDER BY c.layer_no LIMIT %(limit)s) l
 ORDER BY l.pool_id, l.layer_no

-- fingerprint --
-- Changes whenever the page would; a few index look-ups, so that it can be asked every second.
SELECT (SELECT coalesce(sum(batch_no), 0) FROM lane_heads WHERE company_id = %(company)s)::text
       || '/' || coalesce((SELECT max(received_at) FROM gate_readings WHERE company_id = %(company)s)::text, '')
       || '/' || coalesce((SELECT max(received_at) FROM gateway_status WHERE company_id = %(company)s)::text, '')
       || '/' || (SELECT count(*) FROM gateway_status WHERE company_id = %(company)s AND online)
       || '/' || coalesce((SELECT max(quarantine_id) FROM quarantine WHERE company_id = %(company)s), 0)
       || '/' || coalesce((SELECT max(resolved_at) FROM quarantine_resolutions
                            WHERE company_id = %(company)s)::text, '')
       || '/' || (SELECT count(*) FROM gates WHERE company_id = %(company)s)
       || '/' || (SELECT count(*) FROM gateways WHERE company_id = %(company)s)
