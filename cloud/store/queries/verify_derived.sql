-- layers --
-- Promise 2: layers whose source, moment, day, counter account or dimension is not that of the cost entry that made
-- them. A transfer has no account opposite: differences of its cost go where the chart says.
SELECT count(*) FROM cost_layers l
  LEFT JOIN (SELECT company_id, movement_id AS id, occurred_us FROM movements
              UNION ALL SELECT company_id, event_id, occurred_us FROM value_events) s
       ON s.company_id = l.company_id AND s.id = l.movement_id
  LEFT JOIN cost_entries c ON c.company_id = l.company_id AND c.movement_id = l.movement_id AND c.step = l.step
                          AND c.pool_id = l.pool_id
  LEFT JOIN accounts a ON a.company_id = l.company_id AND a.account_id = l.counter_account
 WHERE s.id IS NULL OR c.movement_id IS NULL OR l.occurred_us <> s.occurred_us OR l.posting_date <> c.posting_date
    OR l.counter_dimension <> c.counter_dimension
    OR (c.counter_account IS NULL AND a.role IS DISTINCT FROM 'price_difference')
    OR (c.counter_account IS NOT NULL AND l.counter_account <> c.counter_account)

-- pool_keys --
-- Promise 2: pools whose number is not the hash of their key (cloud.domain.costing.pools.pool_id), whose minor unit is
-- not their company's, or whose next layer has a number that one has already; and balances in a status that none has.
SELECT (SELECT count(*)
          FROM cost_pools p JOIN companies c USING (company_id)
          LEFT JOIN (SELECT company_id, pool_id, max(layer_no) AS layer_no FROM cost_layers GROUP BY 1, 2) l
               USING (company_id, pool_id)
         WHERE p.minor_unit <> 10::numeric ^ (6 - c.minor_digits) OR p.next_layer <= l.layer_no
            OR p.pool_id <> ('x' || left(encode(sha256(convert_to(concat_ws('/', p.site_id, p.item_id, p.account_id,
                   p.dimension_id, p.owner_id, p.lot_id), 'UTF8')), 'hex'), 16))::bit(64)::bigint >> 1
                   & 9223372036854775807)
     + (SELECT count(*) FROM balances WHERE status <> 0)

-- places --
-- Promise 2: places of tags that no sighting of theirs says, or not the newest that moved them; and tags that were
-- moved and have no place. A sighting whose movement was taken back (an odd number of times) moved nothing.
WITH moved AS (
    SELECT o.company_id, o.epc, max(o.occurred_us) AS occurred_us
      FROM observations o
      LEFT JOIN (SELECT company_id, corrects, count(*) AS n FROM movements WHERE corrects IS NOT NULL GROUP BY 1, 2) c
           ON c.company_id = o.company_id AND c.corrects = o.movement_id
     WHERE o.outcome = 1 AND coalesce(c.n, 0) %% 2 = 0
     GROUP BY 1, 2)
SELECT (SELECT count(*) FROM places p
         WHERE NOT EXISTS (
            SELECT FROM observations o JOIN gates g USING (company_id, gate_id)
             WHERE o.company_id = p.company_id AND o.epc = p.epc AND o.movement_id = p.movement_id
               AND o.occurred_us = p.occurred_us AND o.confidence = p.confidence AND g.crossing_group = p.crossing_group
               AND p.area_id = CASE o.direction WHEN 1 THEN g.inside_id ELSE g.outside_id END)
            OR NOT EXISTS (SELECT FROM locations l WHERE l.company_id = p.company_id AND l.location_id = p.location_id))
     + (SELECT count(*) FROM moved m LEFT JOIN places p USING (company_id, epc)
         WHERE p.epc IS NULL OR p.occurred_us < m.occurred_us)

-- open_observations --
-- Promise 1: tags without an item that do not wait, and tags that wait without a sighting or with an item.
SELECT count(*)
  FROM open_observations w
  FULL JOIN (SELECT o.* FROM observations o LEFT JOIN tags t USING (company_id, epc)
              WHERE o.outcome = 6 AND t.epc IS NULL) o USING (company_id, epc, movement_id)
 WHERE w.recorded_at IS DISTINCT FROM o.recorded_at

-- drafts --
-- Promise 2: drafts that differ from their shipment, priced shipments without one, and drafts that name a document
-- which is not there, or none where they are posted. Corrections and sales of nothing leave none.
SELECT count(*)
  FROM (SELECT m.company_id, m.movement_id, m.party_id, m.document, m.item_id, m.qty_micro, m.price_micro, m.currency,
               m.rate_nano, m.occurred_us,
               CASE m.kind WHEN 4 THEN -1 ELSE 1 END *
               round(m.qty_micro::numeric * m.price_micro /
                     (1000000 * 10::numeric ^ (6 - coalesce(n.minor_digits, c.minor_digits)))) AS net_amount
          FROM movements m JOIN companies c USING (company_id) LEFT JOIN currencies n ON n.currency = m.currency
         WHERE m.kind IN (3, 4) AND m.price_micro > 0 AND m.corrects IS NULL) m
  FULL JOIN journal_drafts d USING (company_id, movement_id)
 WHERE ((m.movement_id IS NULL OR d.movement_id IS NULL) AND coalesce(m.net_amount, 1) <> 0
        -- What had no price, or corrects another, gets its draft with the invoice that says one.
        AND NOT EXISTS (SELECT FROM movements x WHERE x.company_id = d.company_id AND x.movement_id = d.movement_id
                           AND x.kind IN (3, 4) AND (coalesce(x.price_micro, 0) = 0 OR x.corrects IS NOT NULL)))
    OR (d.movement_id IS NOT NULL AND m.movement_id IS NOT NULL AND
        (d.party_id, d.document, d.item_id, d.qty_micro, d.price_micro, d.currency, d.rate_nano, d.occurred_us, d.net_amount)
        IS DISTINCT FROM
        (m.party_id, m.document, m.item_id, m.qty_micro, m.price_micro, m.currency, m.rate_nano, m.occurred_us, m.net_amount))
    OR ((d.state = 'posted') <> (d.posted_as IS NOT NULL))
    OR (d.posted_as IS NOT NULL AND NOT EXISTS (
            SELECT FROM ledger_documents i WHERE i.company_id = d.company_id AND i.document_id = d.posted_as))
