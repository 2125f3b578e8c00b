-- balances --
-- Promise 2: quantities by item, location and lot against the sum of movements.
SELECT count(*), coalesce(sum(abs(difference)), 0) FROM (
    SELECT coalesce(b.qty_micro, 0) - coalesce(m.qty, 0) AS difference
      FROM (SELECT company_id, item_id, location_id, lot_id, sum(qty_micro) AS qty_micro
              FROM balances GROUP BY 1, 2, 3, 4) b
      FULL JOIN (SELECT company_id, item_id, location_id, lot_id, sum(qty) AS qty FROM (
                     SELECT company_id, item_id, to_id AS location_id, lot_id, qty_micro AS qty FROM movements
                      UNION ALL
                     SELECT company_id, item_id, from_id, lot_id, -qty_micro FROM movements) legs GROUP BY 1, 2, 3, 4) m
           USING (company_id, item_id, location_id, lot_id)) d
 WHERE difference <> 0

-- pools --
-- Promise 2: every pool against its cost entries, its layers, its allowance's entries, and its own rounding.
SELECT count(*), coalesce(sum(abs(p.qty - coalesce(e.qty, 0)) + abs(p.value - coalesce(e.value, 0)) +
                              abs(p.posted - coalesce(e.posted, 0)) + abs(p.qty - coalesce(l.qty, 0)) +
                              abs(p.value - coalesce(l.value, 0)) +
                              abs(p.posted - round(p.value::numeric / p.minor_unit)) +
                              abs(p.allowance - coalesce(w.value, 0)) +
                              abs(p.allowance_posted - coalesce(w.posted, 0))), 0)
  FROM cost_pools p
  LEFT JOIN (SELECT company_id, pool_id, sum(value) AS value, sum(posted) AS posted
               FROM allowance_entries GROUP BY 1, 2) w USING (company_id, pool_id)
  LEFT JOIN (SELECT company_id, pool_id, sum(qty) AS qty, sum(value) AS value, sum(posted) AS posted
               FROM cost_entries GROUP BY 1, 2) e USING (company_id, pool_id)
  LEFT JOIN (SELECT company_id, pool_id, sum(qty_left) AS qty, sum(value_left) AS value
               FROM cost_layers GROUP BY 1, 2) l USING (company_id, pool_id)
 WHERE p.qty <> coalesce(e.qty, 0) OR p.value <> coalesce(e.value, 0) OR p.posted <> coalesce(e.posted, 0)
    OR p.qty <> coalesce(l.qty, 0) OR p.value <> coalesce(l.value, 0)
    OR p.posted <> round(p.value::numeric / p.minor_unit) OR (p.qty = 0 AND p.value <> 0)
    OR p.allowance <> coalesce(w.value, 0) OR p.allowance_posted <> coalesce(w.posted, 0)

-- pool_goods --
-- Promise 2: what lies at the places of a pool against what the pool holds.
SELECT count(*), coalesce(sum(abs(coalesce(b.qty, 0) - coalesce(p.qty, 0))), 0)
  FROM (SELECT b.company_id, coalesce(l.site_id, 0) AS site_id, b.item_id, coalesce(o.account_id, a.account_id) AS account_id,
               sum(b.qty_micro) AS qty
          FROM balances b
          JOIN locations l USING (company_id, location_id)
          JOIN items i USING (company_id, item_id)
          LEFT JOIN work_orders w USING (company_id, location_id)
          JOIN accounts a ON a.company_id = b.company_id AND a.site_id IS NULL
                         AND a.role = CASE l.kind WHEN 'clarification' THEN 'clarification_stock'
                                                  WHEN 'in_transit' THEN 'in_transit'
                                                  WHEN 'work_order' THEN 'wip' ELSE i.item_class END
          LEFT JOIN accounts o ON o.company_id = b.company_id AND o.role = a.role AND o.site_id = l.site_id
         WHERE l.kind IN ('site', 'zone', 'bin', 'clarification', 'in_transit')
            OR w.item_id = b.item_id  -- what the order makes; its components are used up there
         GROUP BY 1, 2, 3, 4) b
  FULL JOIN (SELECT company_id, site_id, item_id, account_id, sum(qty) AS qty FROM cost_pools GROUP BY 1, 2, 3, 4) p
       USING (company_id, site_id, item_id, account_id)
 WHERE coalesce(b.qty, 0) <> coalesce(p.qty, 0)

-- stock_and_ledger --
-- Promise 2: stock value against the ledger, for every company, from the lines themselves.
SELECT c.code, c.currency, c.minor_digits, coalesce(p.posted, 0)::bigint, coalesce(j.amount, 0)::bigint
  FROM companies c
  LEFT JOIN (SELECT company_id, sum(posted) AS posted FROM cost_pools GROUP BY 1) p USING (company_id)
  LEFT JOIN (SELECT l.company_id, sum(l.amount) AS amount FROM journal_lines l JOIN accounts a USING (company_id, account_id)
              WHERE a.role IN ('raw_material', 'goods', 'in_transit', 'clarification_stock', 'wip') GROUP BY 1) j USING (company_id)
 ORDER BY c.code

-- accounts --
-- Promise 2: each inventory account apart, and that of the allowances, pools against lines.
SELECT count(*), coalesce(sum(abs(coalesce(p.posted, 0) - coalesce(j.amount, 0))), 0)
  FROM accounts a
  LEFT JOIN (SELECT company_id, account_id, sum(posted) AS posted FROM cost_pools GROUP BY 1, 2
              UNION ALL
             SELECT p.company_id, o.account_id, -sum(p.allowance_posted)
               FROM cost_pools p JOIN accounts o ON o.company_id = p.company_id AND o.role = 'allowance' GROUP BY 1, 2) p
       USING (company_id, account_id)
  LEFT JOIN (SELECT company_id, account_id, sum(amount) AS amount FROM journal_lines GROUP BY 1, 2) j
       USING (company_id, account_id)
 WHERE a.role IN ('raw_material', 'goods', 'in_transit', 'clarification_stock', 'wip', 'allowance')
   AND coalesce(p.posted, 0) <> coalesce(j.amount, 0)

-- entries --
-- Promise 2: entries that do not balance, or have no lines.
SELECT count(*) FROM (
    SELECT 1 FROM journal_entries e LEFT JOIN journal_lines l USING (company_id, source_id, step)
     GROUP BY company_id, source_id, step HAVING coalesce(sum(l.amount), 1) <> 0) bad

-- turnovers --
-- Promise 2: debits and credits by account, dimension set, currency, period and lane against the lines; those in
-- another currency count in its own minor units.
SELECT count(*), coalesce(sum(abs(coalesce(t.debit, 0) - coalesce(j.debit, 0)) +
                              abs(coalesce(t.credit, 0) - coalesce(j.credit, 0)) +
                              abs(coalesce(t.currency_debit, 0) - coalesce(j.currency_debit, 0)) +
                              abs(coalesce(t.currency_credit, 0) - coalesce(j.currency_credit, 0))), 0)
  FROM turnovers t
  FULL JOIN (SELECT l.company_id, l.account_id, l.dimension_id, l.currency, e.period_id, e.lane,
                    sum(greatest(l.amount, 0)) AS debit, sum(greatest(-l.amount, 0)) AS credit,
                    sum(greatest(l.currency_amount, 0)) AS currency_debit,
                    sum(greatest(-l.currency_amount, 0)) AS currency_credit
               FROM journal_lines l JOIN journal_entries e USING (company_id, source_id, step)
              GROUP BY 1, 2, 3, 4, 5, 6) j USING (company_id, account_id, dimension_id, currency, period_id, lane)
 WHERE coalesce(t.debit, 0) <> coalesce(j.debit, 0) OR coalesce(t.credit, 0) <> coalesce(j.credit, 0)
    OR coalesce(t.currency_debit, 0) <> coalesce(j.currency_debit, 0)
    OR coalesce(t.currency_credit, 0) <> coalesce(j.currency_credit, 0)

-- rounding --
-- Promise 2: what entries lack between their legs, worked out again from quantity, price and rate of the movements
-- and from the values of events: on the rounding account, or as the variance that it is.
WITH legs AS (
    SELECT company_id, movement_id AS source_id, sum(posted) AS posted, count(*) AS n, min(step) AS first_step
      FROM cost_entries WHERE step < 2 GROUP BY 1, 2)
SELECT coalesce(sum(abs(coalesce(r.amount, 0) - coalesce(x.amount, 0))), 0)
  FROM (SELECT l.company_id, l.source_id, l.step, sum(l.amount) AS amount
          FROM journal_lines l JOIN accounts a USING (company_id, account_id)
          JOIN journal_entries j USING (company_id, source_id, step)
          LEFT JOIN legs e USING (company_id, source_id)
         WHERE (a.role = 'rounding' AND j.origin = 1)  -- documents say their own, the year's end closes it
            OR (l.step = 0 AND a.role IN ('ppv', 'production_variance', 'price_difference')
                           AND (j.kind IN (1, 2, 7, 19) OR (j.kind < 30 AND e.n > 1)))
            OR (j.kind IN (30, 31, 32, 33, 39) AND a.role IN ('ppv', 'production_variance', 'cogs'))
         GROUP BY 1, 2, 3) r
  FULL JOIN (
        SELECT m.company_id, m.movement_id AS source_id, 0::smallint AS step,
               sum(CASE WHEN e.n > 1 THEN -e.posted
                        ELSE CASE m.kind WHEN 2 THEN -1 ELSE 1 END *
                             round(m.qty_micro::numeric * m.price_micro * m.rate_nano /
                                   (1000000::numeric * 1000000000 * 10::numeric ^ (6 - c.minor_digits))) - e.posted END) AS amount
          FROM movements m JOIN companies c USING (company_id)
          JOIN legs e ON e.company_id = m.company_id AND e.source_id = m.movement_id
         WHERE e.n > 1 OR (m.price_micro IS NOT NULL AND ((m.kind IN (1, 7, 19) AND e.first_step = 1) OR
                                                          (m.kind = 2 AND e.first_step = 0)))
         GROUP BY 1, 2
         UNION ALL
        SELECT v.company_id, v.event_id, 0::smallint,
               round(v.value_micro::numeric / 10::numeric ^ (6 - c.minor_digits)) - e.posted
          FROM value_events v JOIN companies c USING (company_id)
          JOIN legs e ON e.company_id = v.company_id AND e.source_id = v.event_id
         WHERE v.kind IN (30, 31, 32, 33, 39)
         UNION ALL
        SELECT company_id, journal_id, 0::smallint, -sum(posted) FROM cost_entries
         WHERE journal_id IS NOT NULL AND counter_account IS NULL GROUP BY 1, 2) x USING (company_id, source_id, step)
