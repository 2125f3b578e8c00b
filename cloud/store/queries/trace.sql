-- movements --
-- Movements by id, each with the names that people know things by.
SELECT b.xid::text, m.lane, m.batch_no, m.row_no, m.movement_id, m.recorded_at, m.kind, m.qty_micro, m.document,
       m.corrects, m.tags, m.occurred_us, m.epoch, m.seq, i.code AS item, i.name_zh AS item_zh, i.name_en AS item_en,
       i.unit, f.code AS from_code, f.name AS from_name, t.code AS to_code, t.name AS to_name, p.code AS party, k.code AS lot,
       m.original_id AS returns,
       g.site AS gateway_site, g.code AS gateway
  FROM movements m
  JOIN batches b ON b.company_id = m.company_id AND b.lane = m.lane AND b.batch_no = m.batch_no
  LEFT JOIN items i ON i.company_id = m.company_id AND i.item_id = m.item_id
  LEFT JOIN locations f ON f.company_id = m.company_id AND f.location_id = m.from_id
  LEFT JOIN locations t ON t.company_id = m.company_id AND t.location_id = m.to_id
  LEFT JOIN parties p ON p.company_id = m.company_id AND p.party_id = m.party_id
  LEFT JOIN lots k ON k.company_id = m.company_id AND k.lot_id = m.lot_id
  LEFT JOIN gateways g ON g.company_id = m.company_id AND g.gateway_id = m.gateway_id
 WHERE m.company_id = %(company)s AND m.movement_id = ANY(%(ids)s)
 ORDER BY m.occurred_us, m.recorded_at, m.row_no

-- corrections --
-- The movements that correct this one.
SELECT movement_id FROM movements WHERE company_id = %(company)s AND corrects = %(id)s AND movement_id <> %(id)s
 ORDER BY recorded_at, row_no LIMIT %(limit)s

-- batch --
-- The transaction that wrote a movement, and its link in the lane's chain.
SELECT recorded_at, worker, observed, moved, encode(head, 'hex') AS head, encode(previous, 'hex') AS previous
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

-- gateway_of --
-- Where in which log a movement was born; gateway 0 is the cloud's own log.
SELECT gateway_id, epoch, seq FROM movements WHERE company_id = %(company)s AND movement_id = %(id)s LIMIT 1

-- moved_by --
-- Movements that bear the ids of these observations, or correct them.
SELECT movement_id FROM movements WHERE company_id = %(company)s AND movement_id = ANY(%(ids)s)
 UNION
SELECT movement_id FROM movements WHERE company_id = %(company)s AND corrects = ANY(%(ids)s)

-- entries --
-- The journal entries of a movement, then those that adjust it.
SELECT b.xid::text, e.lane, e.batch_no, e.row_no, e.source_id, e.step, e.origin, e.kind, e.posting_date,
       e.period_id, e.tags, e.corrects, e.document, e.recorded_at, v.word || '-' || v.number AS voucher,
       d.narration, d.recorded_by, p.code AS party
  FROM journal_entries e
  JOIN batches b ON b.company_id = e.company_id AND b.lane = e.lane AND b.batch_no = e.batch_no
  LEFT JOIN voucher_numbers v ON v.company_id = e.company_id AND v.source_id = e.source_id AND v.step = e.step
  LEFT JOIN ledger_documents d ON d.company_id = e.company_id AND d.document_id = e.source_id AND e.origin <> 1
  LEFT JOIN parties p ON p.company_id = d.company_id AND p.party_id = d.party_id
 WHERE e.company_id = %(company)s AND (e.source_id = %(id)s OR e.corrects = %(id)s)
 ORDER BY e.source_id <> %(id)s, e.recorded_at, e.source_id, e.step LIMIT %(limit)s

-- line --
-- Whether a journal line is there.
SELECT 1 FROM journal_lines
 WHERE company_id = %(company)s AND source_id = %(source)s AND step = %(step)s AND line_no = %(line_no)s

-- cost_entries --
-- What a movement took from and brought to its pools, and what later adjusted it.
SELECT c.movement_id, c.step, c.pool_id, p.site_id, s.code AS site, i.code AS item, a.number AS account_number,
       a.name_zh AS account_name_zh, a.name_en AS account_name_en, p.method, c.qty, c.value, c.posted, c.corrects,
       c.posting_date
  FROM cost_entries c
  JOIN cost_pools p ON p.company_id = c.company_id AND p.pool_id = c.pool_id
  LEFT JOIN items i ON i.company_id = p.company_id AND i.item_id = p.item_id
  LEFT JOIN accounts a ON a.company_id = p.company_id AND a.account_id = p.account_id
  LEFT JOIN locations s ON s.company_id = p.company_id AND s.location_id = p.site_id
 WHERE c.company_id = %(company)s AND (c.movement_id = %(id)s OR c.corrects = %(id)s)
 ORDER BY c.movement_id <> %(id)s, c.movement_id, c.step LIMIT %(limit)s

-- consumed --
-- Which layers a movement's cost entries took from.
SELECT movement_id, step, link_no, pool_id, layer_no, source_id, qty, value FROM consumption_links
 WHERE company_id = %(company)s AND movement_id = %(id)s ORDER BY step, link_no LIMIT %(limit)s

-- consumed_by --
-- Who took from the layers that a movement made.
SELECT movement_id, step, link_no, pool_id, layer_no, source_id, qty, value FROM consumption_links
 WHERE company_id = %(company)s AND source_id = %(id)s ORDER BY pool_id, layer_no, movement_id, step, link_no
 LIMIT %(limit)s

-- layers --
-- What is left of the layers that a movement made.
SELECT pool_id, layer_no, step, qty_left, value_left, uncosted FROM cost_layers
 WHERE company_id = %(company)s AND pool_id = ANY(%(pools)s) AND movement_id = %(id)s ORDER BY pool_id, layer_no
