-- logs --
-- Promise 1: of each log, the numbers that are on the books, in quarantine or named as lost, against how far
-- it is applied; and numbers that stand there twice.
SELECT c.code || '/' || g.site || '/' || g.code || ' ' || left(l.epoch::text, 8) AS log, l.applied_seq,
       coalesce(o.numbers, 0), coalesce(o.rows, 0) - coalesce(o.numbers, 0), coalesce(q.numbers, 0),
       coalesce(s.numbers, 0), coalesce(o.highest, 0), l.stopped
  FROM gateway_logs l JOIN companies c USING (company_id) JOIN gateways g USING (company_id, gateway_id)
  LEFT JOIN (SELECT company_id, gateway_id, epoch, count(*) AS rows, count(DISTINCT seq) AS numbers, max(seq) AS highest
               FROM observations GROUP BY 1, 2, 3) o USING (company_id, gateway_id, epoch)
  LEFT JOIN (SELECT company_id, gateway_id, epoch, sum(last_seq - first_seq + 1)::bigint AS numbers
               FROM quarantine q
              WHERE first_seq > 0
                AND NOT EXISTS (SELECT 1 FROM quarantine_resolutions r WHERE r.company_id = q.company_id
                                   AND r.quarantine_id = q.quarantine_id AND r.resolution = 'booked')
              GROUP BY 1, 2, 3) q USING (company_id, gateway_id, epoch)
  LEFT JOIN LATERAL (SELECT sum(least(x.last_seq, l.applied_seq) - x.first_seq + 1)::bigint AS numbers
               FROM log_losses x
              WHERE x.company_id = l.company_id AND x.gateway_id = l.gateway_id AND x.epoch = l.epoch
                AND x.first_seq <= l.applied_seq) s ON true
 ORDER BY 1

-- requests --
-- Promise 1: movements and value events that a request was promised and that are not on the books.
SELECT count(*) FROM cloud_requests r CROSS JOIN LATERAL jsonb_array_elements_text(r.answer) a (id)
 WHERE NOT EXISTS (SELECT 1 FROM movements m WHERE m.company_id = r.company_id AND m.movement_id = a.id::uuid)
   AND NOT EXISTS (SELECT 1 FROM value_events v WHERE v.company_id = r.company_id AND v.event_id = a.id::uuid)

-- twice --
-- Promise 1: movements that stand on the books twice.
SELECT count(*) FROM (SELECT 1 FROM movements GROUP BY company_id, movement_id HAVING count(*) > 1) twice

-- losses --
-- What persons have declared lost: shown every time.
SELECT c.code || '/' || g.site || '/' || g.code || ' ' || left(l.epoch::text, 8) || ': ' || l.first_seq || ' … ' ||
       l.last_seq || ' (' || l.reason || ', ' || l.recorded_by || ')'
  FROM log_losses l JOIN companies c USING (company_id) JOIN gateways g USING (company_id, gateway_id)
 ORDER BY l.recorded_at

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
  FROM (SELECT b.company_id, coalesce(l.site_id, 0) AS site_id, b.item_id, a.account_id, sum(b.qty_micro) AS qty
          FROM balances b
          JOIN locations l USING (company_id, location_id)
          JOIN items i USING (company_id, item_id)
          LEFT JOIN work_orders w USING (company_id, location_id)
          JOIN accounts a ON a.company_id = b.company_id
                         AND a.role = CASE l.kind WHEN 'clarification' THEN 'clarification_stock'
                                                  WHEN 'in_transit' THEN 'in_transit'
                                                  WHEN 'work_order' THEN 'wip' ELSE i.item_class END
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
-- Promise 2: debits and credits by account, period and lane against the lines.
SELECT count(*), coalesce(sum(abs(coalesce(t.debit, 0) - coalesce(j.debit, 0)) +
                              abs(coalesce(t.credit, 0) - coalesce(j.credit, 0))), 0)
  FROM turnovers t
  FULL JOIN (SELECT l.company_id, l.account_id, l.dimension_id, e.period_id, e.lane,
                    sum(greatest(l.amount, 0)) AS debit, sum(greatest(-l.amount, 0)) AS credit
               FROM journal_lines l JOIN journal_entries e USING (company_id, source_id, step)
              GROUP BY 1, 2, 3, 4, 5) j USING (company_id, account_id, dimension_id, period_id, lane)
 WHERE coalesce(t.debit, 0) <> coalesce(j.debit, 0) OR coalesce(t.credit, 0) <> coalesce(j.credit, 0)

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
         WHERE a.role = 'rounding'
            OR (l.step = 0 AND a.role IN ('ppv', 'production_variance', 'price_difference')
                           AND (j.kind IN (1, 2, 7) OR (j.kind < 30 AND e.n > 1)))
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
         WHERE e.n > 1 OR (m.price_micro IS NOT NULL AND ((m.kind IN (1, 7) AND e.first_step = 1) OR
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

-- refusals --
-- Promise 3: append-only tables that have lost a trigger, and rights that no service may have.
SELECT count(*) FROM unnest(%(tables)s::text[]) t (name)
 WHERE (SELECT count(*) FROM pg_trigger g JOIN pg_proc f ON f.oid = g.tgfoid
         WHERE g.tgrelid = t.name::regclass AND f.proname = 'refuse_change' AND g.tgenabled <> 'D') < 2
    OR EXISTS (SELECT 1 FROM unnest(%(roles)s::text[]) r (role)
                WHERE has_table_privilege(r.role, t.name, 'UPDATE') OR has_table_privilege(r.role, t.name, 'DELETE')
                   OR has_table_privilege(r.role, t.name, 'TRUNCATE')
                   OR pg_get_userbyid((SELECT relowner FROM pg_class WHERE oid = t.name::regclass)) = r.role)

-- lanes --
-- Promise 3: the chains' heads.
SELECT h.company_id, h.lane, h.batch_no, h.head FROM lane_heads h ORDER BY 1, 2

-- batches --
-- Promise 3: the links in order.
SELECT company_id, lane, batch_no, previous, head, layout FROM batches ORDER BY company_id, lane, batch_no

-- copy_movements --
-- The rows exactly as they were hashed, with the digest behind them.
COPY (SELECT company_id, recorded_at, movement_id, kind, item_id, qty_micro, from_id, to_id, party_id, document,
             price_micro, rate_nano, value_micro, corrects, tags, occurred_us, gateway_id, epoch, seq, lot_id,
             original_id, lane, batch_no, row_no, digest
        FROM movements ORDER BY company_id, lane, batch_no, row_no) TO STDOUT (FORMAT BINARY)

-- copy_cost_entries --
-- The same.
COPY (SELECT company_id, movement_id, step, pool_id, qty, value, posted, corrects, posting_date, counter_account,
             journal_id, lane, batch_no, row_no, digest
        FROM cost_entries ORDER BY company_id, lane, batch_no, row_no) TO STDOUT (FORMAT BINARY)

-- copy_value_events --
-- The same.
COPY (SELECT company_id, recorded_at, event_id, kind, pool_id, item_id, original_id, value_micro, period_id,
             dimension_id, party_id, document, reason, occurred_us, lane, batch_no, row_no, digest
        FROM value_events ORDER BY company_id, lane, batch_no, row_no) TO STDOUT (FORMAT BINARY)

-- copy_allowance_entries --
-- The same.
COPY (SELECT company_id, movement_id, step, pool_id, value, posted, posting_date, lane, batch_no, row_no, digest
        FROM allowance_entries ORDER BY company_id, lane, batch_no, row_no) TO STDOUT (FORMAT BINARY)

-- copy_journal_entries --
-- The same; the digest covers the lines too.
COPY (SELECT company_id, source_id, step, origin, kind, posting_date, period_id, tags, corrects, document,
             recorded_at, lane, batch_no, row_no, digest
        FROM journal_entries ORDER BY company_id, lane, batch_no, row_no) TO STDOUT (FORMAT BINARY)

-- copy_journal_lines --
-- The lines in the order of their entries.
COPY (SELECT l.company_id, l.source_id, l.step, l.line_no, l.account_id, l.dimension_id, l.amount, l.cost_step
        FROM journal_lines l LEFT JOIN journal_entries e USING (company_id, source_id, step)
       ORDER BY e.company_id, e.lane, e.batch_no, e.row_no, l.line_no) TO STDOUT (FORMAT BINARY)

-- copy_observations --
-- The same as the first.
COPY (SELECT company_id, recorded_at, movement_id, gateway_id, epoch, seq, gate_id, epc, direction, confidence,
             occurred_us, claimed_us, outcome, winner, evidence, lane, batch_no, row_no, digest
        FROM observations ORDER BY company_id, lane, batch_no, row_no) TO STDOUT (FORMAT BINARY)

-- periods --
-- Promise 4: entries whose date does not lie in the period they name.
SELECT count(*) FROM journal_entries e LEFT JOIN periods p USING (company_id, period_id)
 WHERE p.period_id IS NULL OR e.posting_date NOT BETWEEN p.first_day AND p.last_day

-- lines_without_cost --
-- Promise 5: lines that name a cost entry which is not there or has another amount.
SELECT count(*) FROM journal_lines l LEFT JOIN cost_entries c
    ON c.company_id = l.company_id AND c.movement_id = l.source_id AND c.step = l.cost_step
 WHERE l.cost_step IS NOT NULL AND c.posted IS DISTINCT FROM l.amount

-- unposted_cost --
-- Promise 5: cost entries whose amount stands on no line.
SELECT count(*) FROM cost_entries c LEFT JOIN journal_lines l
    ON l.company_id = c.company_id AND l.source_id = c.movement_id AND l.cost_step = c.step
 WHERE c.posted <> 0 AND c.journal_id IS NULL AND l.amount IS DISTINCT FROM c.posted

-- recosted --
-- Promise 5: what re-costing posted, against the lines of the entries that carry it, by inventory account.
SELECT count(*) FROM (
    SELECT e.company_id, e.journal_id, p.account_id, sum(e.posted) AS posted
      FROM cost_entries e JOIN cost_pools p USING (company_id, pool_id)
     WHERE e.journal_id IS NOT NULL GROUP BY 1, 2, 3) e
  FULL JOIN (SELECT l.company_id, l.source_id AS journal_id, l.account_id, sum(l.amount) AS amount
               FROM journal_entries j JOIN journal_lines l USING (company_id, source_id, step)
               JOIN accounts a USING (company_id, account_id)
              WHERE j.kind = 38 AND a.role IN ('raw_material', 'goods', 'in_transit', 'clarification_stock', 'wip')
              GROUP BY 1, 2, 3) l USING (company_id, journal_id, account_id)
 WHERE coalesce(e.posted, 0) <> coalesce(l.amount, 0)

-- lost_sources --
-- Promise 5: entries, costs and allowances without their movement or value event, movements of a lot that is not
-- their item's, gate movements without their observation, movements
-- of items or places that do not exist, lines without their entry or account, costs and layers without their
-- pool.
SELECT (SELECT count(*) FROM journal_entries e WHERE NOT EXISTS (
            SELECT 1 FROM movements m WHERE m.company_id = e.company_id AND m.movement_id = e.source_id)
            AND NOT EXISTS (SELECT 1 FROM value_events v WHERE v.company_id = e.company_id AND v.event_id = e.source_id)
            AND NOT (e.kind = 38 AND EXISTS (  -- a re-costing's entry carries what several movements cost after all
                SELECT 1 FROM cost_entries c WHERE c.company_id = e.company_id AND c.journal_id = e.source_id
                 UNION ALL
                SELECT 1 FROM allowance_entries w WHERE w.company_id = e.company_id AND w.lane = e.lane
                   AND w.batch_no = e.batch_no)))
     + (SELECT count(*) FROM cost_entries e WHERE NOT EXISTS (
            SELECT 1 FROM movements m WHERE m.company_id = e.company_id AND m.movement_id = e.movement_id)
            AND NOT EXISTS (SELECT 1 FROM value_events v WHERE v.company_id = e.company_id AND v.event_id = e.movement_id))
     + (SELECT count(*) FROM allowance_entries e WHERE NOT EXISTS (
            SELECT 1 FROM movements m WHERE m.company_id = e.company_id AND m.movement_id = e.movement_id)
            AND NOT EXISTS (SELECT 1 FROM value_events v WHERE v.company_id = e.company_id AND v.event_id = e.movement_id))
     + (SELECT count(*) FROM movements m WHERE m.lot_id <> 0 AND NOT EXISTS (
            SELECT 1 FROM lots l WHERE l.company_id = m.company_id AND l.lot_id = m.lot_id AND l.item_id = m.item_id))
     + (SELECT count(*) FROM movements m WHERE m.gateway_id <> 0 AND NOT EXISTS (
            SELECT 1 FROM observations o WHERE o.company_id = m.company_id AND o.gateway_id = m.gateway_id
               AND o.epoch = m.epoch AND o.seq = m.seq AND o.movement_id = coalesce(m.corrects, m.movement_id)))
     + (SELECT count(*) FROM movements m LEFT JOIN items i USING (company_id, item_id)
          LEFT JOIN locations f ON f.company_id = m.company_id AND f.location_id = m.from_id
          LEFT JOIN locations t ON t.company_id = m.company_id AND t.location_id = m.to_id
         WHERE i.item_id IS NULL OR f.location_id IS NULL OR t.location_id IS NULL)
     + (SELECT count(*) FROM journal_lines l LEFT JOIN journal_entries e USING (company_id, source_id, step)
          LEFT JOIN accounts a USING (company_id, account_id) WHERE e.source_id IS NULL OR a.account_id IS NULL)
     + (SELECT count(*) FROM cost_entries e LEFT JOIN cost_pools p USING (company_id, pool_id) WHERE p.pool_id IS NULL)
     + (SELECT count(*) FROM cost_layers l LEFT JOIN cost_pools p USING (company_id, pool_id) WHERE p.pool_id IS NULL)
     + (SELECT count(*) FROM observations o WHERE o.outcome = 1 AND NOT EXISTS (
            SELECT 1 FROM movements m WHERE m.company_id = o.company_id AND m.movement_id = o.movement_id))

-- links --
-- Promise 5: issues whose consumption and shortages do not add up to what they took.
SELECT count(*) FROM cost_entries e
  LEFT JOIN (SELECT company_id, movement_id, step, sum(qty) AS qty, sum(value) AS value
               FROM consumption_links GROUP BY 1, 2, 3) k USING (company_id, movement_id, step)
 WHERE e.step = 0 AND (coalesce(k.qty, 0) > -e.qty OR (coalesce(k.qty, 0) = -e.qty AND k.value <> -e.value))

-- late_pools --
-- Promise 6: pools that wait for re-costing.
SELECT count(*) FROM cost_pools WHERE late_from_us IS NOT NULL
