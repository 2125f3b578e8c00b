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
-- Promise 5: entries, costs and allowances without their movement, value event or document, movements of a lot that is not
-- their item's, gate movements without their observation, movements
-- of items or places that do not exist, lines without their entry or account, costs and layers without their
-- pool.
SELECT (SELECT count(*) FROM journal_entries e WHERE NOT EXISTS (
            SELECT 1 FROM movements m WHERE m.company_id = e.company_id AND m.movement_id = e.source_id)
            AND NOT EXISTS (SELECT 1 FROM value_events v WHERE v.company_id = e.company_id AND v.event_id = e.source_id)
            AND NOT (e.origin <> 1 AND EXISTS (
                SELECT 1 FROM ledger_documents d WHERE d.company_id = e.company_id AND d.document_id = e.source_id))
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
