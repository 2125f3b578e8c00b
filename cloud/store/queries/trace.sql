-- movements --
-- Movements by id, each with the names that people know things by.
SELECT b.xid::text, m.lane, m.batch_no, m.row_no, m.movement_id, m.recorded_at, m.kind, m.qty_micro, m.document,
       m.corrects, m.tags, m.occurred_us, m.epoch, m.seq, i.code AS item, i.name_zh AS item_zh, i.name_en AS item_en,
       i.unit, f.code AS from_code, f.name AS from_name, t.code AS to_code, t.name AS to_name, p.code AS party, k.code AS lot,
       m.original_id AS returns,
       g.site AS gateway_site, g.code AS gateway,
       m.reason, coalesce(d.code, '') AS dimensions, m.price_micro, c.code::text AS currency
  FROM movements m
  JOIN batches b ON b.company_id = m.company_id AND b.lane = m.lane AND b.batch_no = m.batch_no
  LEFT JOIN items i ON i.company_id = m.company_id AND i.item_id = m.item_id
  LEFT JOIN locations f ON f.company_id = m.company_id AND f.location_id = m.from_id
  LEFT JOIN locations t ON t.company_id = m.company_id AND t.location_id = m.to_id
  LEFT JOIN parties p ON p.company_id = m.company_id AND p.party_id = m.party_id
  LEFT JOIN lots k ON k.company_id = m.company_id AND k.lot_id = m.lot_id
  LEFT JOIN gateways g ON g.company_id = m.company_id AND g.gateway_id = m.gateway_id
  LEFT JOIN dimension_sets d ON d.company_id = m.company_id AND d.dimension_id = m.dimension_id
  LEFT JOIN currencies c ON c.currency = m.currency
 WHERE m.company_id = %(company)s AND m.movement_id = ANY(%(ids)s)
 ORDER BY m.occurred_us, m.recorded_at, m.row_no

-- relatives --
-- The movements that correct this one, and those that return it.
SELECT movement_id, 'corrects' AS relation FROM movements
 WHERE company_id = %(company)s AND corrects = %(id)s AND movement_id <> %(id)s
 UNION ALL
SELECT movement_id, 'returns' FROM movements
 WHERE company_id = %(company)s AND original_id = %(id)s AND movement_id <> %(id)s
 ORDER BY 2, 1 LIMIT %(limit)s

-- batch --
-- The transaction that wrote a record, and its link in the lane's chain.
SELECT lane, batch_no, recorded_at, worker, observed, moved, encode(head, 'hex') AS head, encode(previous, 'hex') AS previous
  FROM batches WHERE company_id = %(company)s AND lane = %(lane)s AND batch_no = %(batch_no)s

-- passages --
-- The observation that a log number stands for, or the newest of a tag, or the evidence of a crossing that
-- another sighting of the same tag won.
SELECT b.xid::text, o.lane, o.batch_no, o.row_no, o.movement_id, o.recorded_at, g.site AS gateway_site,
       g.code AS gateway, o.epoch, o.seq, a.code AS gate, o.epc, o.direction, o.confidence, o.occurred_us,
       o.claimed_us, o.outcome, o.winner, o.evidence, i.code AS item, i.name_zh AS item_zh, i.name_en AS item_en
  FROM observations o
  JOIN batches b ON b.company_id = o.company_id AND b.lane = o.lane AND b.batch_no = o.batch_no
  LEFT JOIN gates a ON a.company_id = o.company_id AND a.gate_id = o.gate_id
  LEFT JOIN gateways g ON g.company_id = o.company_id AND g.gateway_id = o.gateway_id
  LEFT JOIN tags e ON e.company_id = o.company_id AND e.epc = o.epc
  -- A tag that carries its GTIN needs no registration: then its movement, of the same batch, knows the item.
  LEFT JOIN LATERAL (SELECT m.item_id FROM movements m
                      WHERE e.item_id IS NULL AND m.company_id = o.company_id AND m.movement_id = o.movement_id
                        AND m.recorded_at = o.recorded_at LIMIT 1) v ON true
  LEFT JOIN items i ON i.company_id = o.company_id AND i.item_id = coalesce(e.item_id, v.item_id)
 WHERE {which}
 ORDER BY o.occurred_us DESC, o.recorded_at DESC, o.row_no DESC LIMIT %(limit)s

-- born --
-- Where in which log a movement was born (gateway 0 is the cloud's own), on what terms, and what a posting rule asks of
-- it. The rule counts at the site of the pool that its first leg is in.
SELECT m.gateway_id, m.epoch, m.seq, encode(m.digest, 'hex') AS digest, m.reason, m.price_micro, m.value_micro,
       m.rate_nano, c.code AS currency, d.code AS dimension, i.item_class, p.party_class,
       (SELECT k.site_id FROM cost_entries e JOIN cost_pools k USING (company_id, pool_id)
         WHERE e.company_id = m.company_id AND e.movement_id = m.movement_id AND e.step < 2
         ORDER BY e.step LIMIT 1) AS site_id
  FROM movements m
  LEFT JOIN items i ON i.company_id = m.company_id AND i.item_id = m.item_id
  LEFT JOIN parties p ON p.company_id = m.company_id AND p.party_id = m.party_id
  LEFT JOIN currencies c ON c.currency = m.currency
  LEFT JOIN dimension_sets d ON d.company_id = m.company_id AND d.dimension_id = m.dimension_id
 WHERE m.company_id = %(company)s AND m.movement_id = %(id)s LIMIT 1

-- message --
-- What the cloud keeps of the number of a log that a passage came under: its row's digest in the lane's chain.
SELECT lane, batch_no, row_no, encode(digest, 'hex') AS digest FROM observations
 WHERE company_id = %(company)s AND gateway_id = %(gateway)s AND epoch = %(epoch)s AND seq = %(seq)s LIMIT 1

-- rules_at --
-- The posting rules of a kind as they were in force at a moment, in falling priority. Those that shipped count from the
-- beginning: books that are older than their table of rules were posted by them.
SELECT r.rule_id, r.kind, r.item_class, r.site_id, r.debit_role, r.credit_role, r.priority, r.reason, r.party_class,
       r.dimension_id, r.made_at, r.made_by, r.ended_at, r.ended_by
  FROM posting_rules r
 WHERE r.company_id = %(company)s AND r.kind = %(kind)s AND (r.made_at <= %(at)s OR r.made_by = 'shipped')
   AND (r.ended_at IS NULL OR r.ended_at > %(at)s)
 ORDER BY r.priority DESC, r.rule_id

-- event --
-- A value event with what it concerns.
SELECT v.event_id, v.kind, v.value_micro, v.original_id, v.period_id, v.document, v.reason, v.occurred_us, v.recorded_at,
       v.lane, v.batch_no, v.row_no, encode(v.digest, 'hex') AS digest, i.code AS item, i.name_zh AS item_zh,
       i.name_en AS item_en, i.item_class, k.site_id, s.code AS site, p.code AS party, d.code AS dimension,
       c.code AS currency, c.minor_digits AS currency_digits, v.currency_amount
  FROM value_events v
  LEFT JOIN LATERAL (SELECT e.pool_id FROM cost_entries e
                      WHERE v.pool_id IS NULL AND e.company_id = v.company_id AND e.movement_id = v.event_id
                      ORDER BY e.step LIMIT 1) f ON true
  LEFT JOIN cost_pools k ON k.company_id = v.company_id AND k.pool_id = coalesce(v.pool_id, f.pool_id)
  LEFT JOIN items i ON i.company_id = v.company_id AND i.item_id = coalesce(v.item_id, k.item_id)
  LEFT JOIN locations s ON s.company_id = v.company_id AND s.location_id = k.site_id
  LEFT JOIN parties p ON p.company_id = v.company_id AND p.party_id = v.party_id
  LEFT JOIN dimension_sets d ON d.company_id = v.company_id AND d.dimension_id = v.dimension_id
  LEFT JOIN currencies c ON c.currency = v.currency
 WHERE v.company_id = %(company)s AND v.event_id = %(id)s

-- events_of --
-- The value events that concern a receipt, in the order in which they count.
SELECT event_id FROM value_events WHERE company_id = %(company)s AND original_id = %(id)s
 ORDER BY occurred_us, event_id LIMIT %(limit)s

-- document --
-- A ledger document.
SELECT d.document_id, d.kind, d.number, d.day, p.code AS party, p.name AS party_name, c.code AS currency, d.rate_nano,
       d.narration, d.recorded_by, d.recorded_at, d.details, d.lane, d.batch_no, d.row_no,
       encode(d.digest, 'hex') AS digest
  FROM ledger_documents d
  LEFT JOIN parties p ON p.company_id = d.company_id AND p.party_id = d.party_id
  LEFT JOIN currencies c ON c.currency = d.currency
 WHERE d.company_id = %(company)s AND d.document_id = %(id)s

-- names --
-- What records are, in a few words: movements, value events, documents and re-costings by their ids.
SELECT m.movement_id AS record_id, 'movement' AS sort, m.kind, m.document, p.code AS party, m.qty_micro, i.unit,
       i.code AS item, i.name_zh AS item_zh, i.name_en AS item_en
  FROM movements m
  LEFT JOIN items i ON i.company_id = m.company_id AND i.item_id = m.item_id
  LEFT JOIN parties p ON p.company_id = m.company_id AND p.party_id = m.party_id
 WHERE m.company_id = %(company)s AND m.movement_id = ANY(%(ids)s)
 UNION ALL
SELECT v.event_id, 'value_event', v.kind, v.document, p.code, NULL, NULL, i.code, i.name_zh, i.name_en
  FROM value_events v
  LEFT JOIN items i ON i.company_id = v.company_id AND i.item_id = v.item_id
  LEFT JOIN parties p ON p.company_id = v.company_id AND p.party_id = v.party_id
 WHERE v.company_id = %(company)s AND v.event_id = ANY(%(ids)s)
 UNION ALL
SELECT d.document_id, 'document', d.kind, d.number, p.code, NULL, NULL, NULL, NULL, NULL
  FROM ledger_documents d
  LEFT JOIN parties p ON p.company_id = d.company_id AND p.party_id = d.party_id
 WHERE d.company_id = %(company)s AND d.document_id = ANY(%(ids)s)
 UNION ALL
SELECT e.source_id, 'recosting', e.kind, e.document, NULL, NULL, NULL, NULL, NULL, NULL
  FROM journal_entries e
 WHERE e.company_id = %(company)s AND e.source_id = ANY(%(ids)s) AND e.kind = 38 AND e.step = 0

-- drafts --
-- What a shipment will be invoiced at, or the shipments that an invoice is of.
SELECT f.movement_id, f.document, f.net_amount, c.code AS currency, c.minor_digits AS currency_digits, f.state,
       f.posted_as, p.code AS party
  FROM journal_drafts f
  LEFT JOIN currencies c ON c.currency = f.currency
  LEFT JOIN parties p ON p.company_id = f.company_id AND p.party_id = f.party_id
 WHERE f.company_id = %(company)s AND f.movement_id = %(id)s
 UNION ALL
SELECT f.movement_id, f.document, f.net_amount, c.code, c.minor_digits, f.state, f.posted_as, p.code
  FROM journal_drafts f
  LEFT JOIN currencies c ON c.currency = f.currency
  LEFT JOIN parties p ON p.company_id = f.company_id AND p.party_id = f.party_id
 WHERE f.company_id = %(company)s AND f.posted_as = %(id)s
 LIMIT %(limit)s

-- cleared_by --
-- The lines that clear the item which a record opened. total: how many there are.
SELECT l.source_id, l.step, l.line_no, a.number AS account_number, l.amount, c.code AS currency,
       c.minor_digits AS currency_digits, l.currency_amount, e.posting_date, count(*) OVER () AS total
  FROM journal_lines l
  JOIN journal_entries e USING (company_id, source_id, step)
  JOIN accounts a USING (company_id, account_id)
  LEFT JOIN currencies c ON c.currency = l.currency
 WHERE l.company_id = %(company)s AND l.open_item = %(id)s AND l.source_id <> %(id)s
 ORDER BY e.posting_date, l.source_id, l.step, l.line_no LIMIT %(limit)s

-- voucher --
-- The entry that bears a voucher number.
SELECT source_id, step FROM voucher_numbers
 WHERE company_id = %(company)s AND period_id = %(period)s AND word = %(word)s AND number = %(number)s

-- moved_by --
-- Movements that bear the ids of these observations, or correct them.
SELECT movement_id FROM movements WHERE company_id = %(company)s AND movement_id = ANY(%(ids)s)
 UNION
SELECT movement_id FROM movements WHERE company_id = %(company)s AND corrects = ANY(%(ids)s)

-- entries --
-- The journal entries of a record, then those that adjust it, and those of re-costings (`journals`) that carry its costs.
-- Three questions with an index each.
SELECT b.xid::text, e.lane, e.batch_no, e.row_no, e.source_id, e.step, e.origin, e.kind, e.posting_date,
       e.period_id, e.tags, e.corrects, e.document, e.recorded_at, v.word || '-' || v.number AS voucher,
       d.narration, d.recorded_by, p.code AS party
  FROM (SELECT source_id, step FROM journal_entries WHERE company_id = %(company)s AND source_id = %(id)s
         UNION
        SELECT source_id, step FROM journal_entries WHERE company_id = %(company)s AND corrects = %(id)s
         UNION
        SELECT source_id, step FROM journal_entries WHERE company_id = %(company)s AND source_id = ANY(%(journals)s)) w
  JOIN journal_entries e ON e.company_id = %(company)s AND e.source_id = w.source_id AND e.step = w.step
  JOIN batches b ON b.company_id = e.company_id AND b.lane = e.lane AND b.batch_no = e.batch_no
  LEFT JOIN voucher_numbers v ON v.company_id = e.company_id AND v.source_id = e.source_id AND v.step = e.step
  LEFT JOIN ledger_documents d ON d.company_id = e.company_id AND d.document_id = e.source_id AND e.origin <> 1
  LEFT JOIN parties p ON p.company_id = d.company_id AND p.party_id = d.party_id
 ORDER BY e.source_id <> %(id)s, e.corrects IS DISTINCT FROM %(id)s, e.recorded_at, e.source_id, e.step LIMIT %(limit)s

-- how_many_entries --
-- How many entries of others adjust a record.
SELECT count(*) FROM journal_entries
 WHERE company_id = %(company)s AND corrects = %(id)s AND source_id <> %(id)s

-- line --
-- Whether a journal line is there.
SELECT 1 FROM journal_lines
 WHERE company_id = %(company)s AND source_id = %(source)s AND step = %(step)s AND line_no = %(line_no)s

-- cost_entries --
-- What a record took from and brought to pools, what later adjusted it, or what a re-costing's entry carries. total: how
-- many there are.
SELECT c.movement_id, c.step, c.pool_id, p.site_id, s.code AS site, i.code AS item, i.unit, p.account_id,
       a.number AS account_number, a.name_zh AS account_name_zh, a.name_en AS account_name_en, p.dimension_id,
       d.code AS dimension, p.method, c.qty, c.value, c.posted, c.corrects, c.posting_date, c.counter_account,
       o.number AS counter_number, c.counter_dimension, c.journal_id, count(*) OVER () AS total
  FROM (SELECT movement_id, step FROM cost_entries WHERE company_id = %(company)s AND movement_id = %(id)s
         UNION
        SELECT movement_id, step FROM cost_entries WHERE company_id = %(company)s AND corrects = %(id)s
         UNION
        SELECT movement_id, step FROM cost_entries WHERE company_id = %(company)s AND journal_id = %(id)s) w
  JOIN cost_entries c ON c.company_id = %(company)s AND c.movement_id = w.movement_id AND c.step = w.step
  JOIN cost_pools p ON p.company_id = c.company_id AND p.pool_id = c.pool_id
  LEFT JOIN items i ON i.company_id = p.company_id AND i.item_id = p.item_id
  LEFT JOIN accounts a ON a.company_id = p.company_id AND a.account_id = p.account_id
  LEFT JOIN accounts o ON o.company_id = c.company_id AND o.account_id = c.counter_account
  LEFT JOIN locations s ON s.company_id = p.company_id AND s.location_id = p.site_id
  LEFT JOIN dimension_sets d ON d.company_id = p.company_id AND d.dimension_id = p.dimension_id
 ORDER BY c.movement_id <> %(id)s, c.movement_id, c.step LIMIT %(limit)s

-- allowances --
-- What a record did to the allowances of pools; or, of a re-costing's batch, what it changed them by on a day.
SELECT w.movement_id, w.step, w.pool_id, s.code AS site, i.code AS item, w.value, w.posted, w.posting_date, w.lane,
       w.batch_no
  FROM (SELECT movement_id, step FROM allowance_entries WHERE company_id = %(company)s AND movement_id = %(id)s
         UNION
        SELECT movement_id, step FROM allowance_entries
         WHERE company_id = %(company)s AND lane = %(lane)s AND batch_no = %(batch_no)s AND posting_date = %(day)s) x
  JOIN allowance_entries w ON w.company_id = %(company)s AND w.movement_id = x.movement_id AND w.step = x.step
  LEFT JOIN cost_pools p ON p.company_id = w.company_id AND p.pool_id = w.pool_id
  LEFT JOIN items i ON i.company_id = p.company_id AND i.item_id = p.item_id
  LEFT JOIN locations s ON s.company_id = p.company_id AND s.location_id = p.site_id
 ORDER BY w.movement_id, w.step

-- consumed --
-- Which layers a record's cost entries took from. total: how many links there are.
SELECT movement_id, step, link_no, pool_id, layer_no, source_id, qty, value, count(*) OVER () AS total
  FROM consumption_links
 WHERE company_id = %(company)s AND movement_id = %(id)s ORDER BY step, link_no LIMIT %(limit)s

-- consumed_by --
-- Who took from the layers that a movement made. total: how many links there are.
SELECT movement_id, step, link_no, pool_id, layer_no, source_id, qty, value, count(*) OVER () AS total
  FROM consumption_links
 WHERE company_id = %(company)s AND source_id = %(id)s ORDER BY pool_id, layer_no, movement_id, step, link_no
 LIMIT %(limit)s

-- layers --
-- What is left of the layers that a movement made.
SELECT pool_id, layer_no, step, qty_left, value_left, uncosted FROM cost_layers
 WHERE company_id = %(company)s AND pool_id = ANY(%(pools)s) AND movement_id = %(id)s ORDER BY pool_id, layer_no
