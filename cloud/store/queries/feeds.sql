-- incarnation --
-- How often this database was restored: cursors of an earlier life point into another history.
SELECT coalesce(max(incarnation), 0) FROM incarnations

-- window --
-- Batches from a place on, in the order of their transactions. {{settled}} keeps to those below the oldest
-- transaction that may still commit: a later read can then never find a row in front of its cursor. {{reach}} is one
-- of >, >=, < and <=, {{way}} ASC or DESC. `before` is how many rows the earlier batches of the window hold at most.
SELECT xid::text, lane, batch_no, recorded_at,
       coalesce(sum(greatest(observed, moved, 1)) OVER (
           ORDER BY xid {way}, lane {way}, batch_no {way} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
       ), 0)::bigint AS before
  FROM (SELECT xid, lane, batch_no, recorded_at, observed, moved FROM batches
         WHERE company_id = %(company)s
           AND {settled}
           AND (xid, lane, batch_no) {reach} (%(xid)s::xid8, %(lane)s::smallint, %(batch_no)s::bigint)
         ORDER BY xid {way}, lane {way}, batch_no {way} LIMIT %(batches)s) later
 ORDER BY xid {way}, lane {way}, batch_no {way}

-- movements --
-- A window's movements after a place, with the names people know things by.
SELECT w.xid::text, m.lane, m.batch_no, m.row_no, m.movement_id, m.recorded_at, m.kind, m.qty_micro, m.document,
       m.corrects, m.tags, m.occurred_us, m.epoch, m.seq, i.code AS item, i.name_zh AS item_zh, i.name_en AS item_en,
       i.unit, f.code AS from_code, f.name AS from_name, t.code AS to_code, t.name AS to_name, p.code AS party, k.code AS lot,
       m.original_id AS returns,
       g.site AS gateway_site, g.code AS gateway,
       m.reason, coalesce(d.code, '') AS dimensions, m.price_micro, c.code::text AS currency
  FROM unnest(%(xids)s::xid8[], %(lanes)s::smallint[], %(numbers)s::bigint[]) w (xid, lane, batch_no)
  JOIN movements m ON m.company_id = %(company)s AND m.lane = w.lane AND m.batch_no = w.batch_no
                  AND m.recorded_at BETWEEN %(first)s AND %(last)s
  LEFT JOIN items i ON i.company_id = m.company_id AND i.item_id = m.item_id
  LEFT JOIN locations f ON f.company_id = m.company_id AND f.location_id = m.from_id
  LEFT JOIN locations t ON t.company_id = m.company_id AND t.location_id = m.to_id
  LEFT JOIN parties p ON p.company_id = m.company_id AND p.party_id = m.party_id
  LEFT JOIN lots k ON k.company_id = m.company_id AND k.lot_id = m.lot_id
  LEFT JOIN gateways g ON g.company_id = m.company_id AND g.gateway_id = m.gateway_id
  LEFT JOIN dimension_sets d ON d.company_id = m.company_id AND d.dimension_id = m.dimension_id
  LEFT JOIN currencies c ON c.currency = m.currency
 WHERE (w.xid, w.lane, w.batch_no, m.row_no)
       {beyond} (%(xid)s::xid8, %(lane)s::smallint, %(batch_no)s::bigint, %(row_no)s::integer)
   AND (%(item)s::text IS NULL OR i.code = %(item)s)
   AND (%(kind)s::smallint IS NULL OR m.kind = %(kind)s)
   AND (%(document)s::text IS NULL OR m.document = %(document)s)
   AND (%(location)s::text IS NULL OR %(location)s IN (f.code, t.code))
 ORDER BY w.xid {way}, w.lane {way}, w.batch_no {way}, m.row_no {way} LIMIT %(limit)s

-- passages --
-- A window's sightings after a place: what the gateways said, and what became of it.
SELECT w.xid::text, o.lane, o.batch_no, o.row_no, o.movement_id, o.recorded_at, g.site AS gateway_site,
       g.code AS gateway, o.epoch, o.seq, a.code AS gate, o.epc, o.direction, o.confidence, o.occurred_us,
       o.claimed_us, o.outcome, o.winner, o.evidence, i.code AS item, i.name_zh AS item_zh, i.name_en AS item_en
  FROM unnest(%(xids)s::xid8[], %(lanes)s::smallint[], %(numbers)s::bigint[]) w (xid, lane, batch_no)
  JOIN observations o ON o.company_id = %(company)s AND o.lane = w.lane AND o.batch_no = w.batch_no
                     AND o.recorded_at BETWEEN %(first)s AND %(last)s
  LEFT JOIN gates a ON a.company_id = o.company_id AND a.gate_id = o.gate_id
  LEFT JOIN gateways g ON g.company_id = o.company_id AND g.gateway_id = o.gateway_id
  LEFT JOIN tags e ON e.company_id = o.company_id AND e.epc = o.epc
  -- A tag that carries its GTIN needs no registration: then its movement, of the same batch, knows the item.
  LEFT JOIN LATERAL (SELECT m.item_id FROM movements m
                      WHERE e.item_id IS NULL AND m.company_id = o.company_id AND m.movement_id = o.movement_id
                        AND m.recorded_at = o.recorded_at LIMIT 1) v ON true
  LEFT JOIN items i ON i.company_id = o.company_id AND i.item_id = coalesce(e.item_id, v.item_id)
 WHERE (w.xid, w.lane, w.batch_no, o.row_no)
       {beyond} (%(xid)s::xid8, %(lane)s::smallint, %(batch_no)s::bigint, %(row_no)s::integer)
   AND (%(gate)s::text IS NULL OR a.code = %(gate)s)
   AND (%(epc)s::text IS NULL OR o.epc = %(epc)s)
   AND (%(direction)s::smallint IS NULL OR o.direction = %(direction)s)
   AND (%(outcome)s::smallint IS NULL OR o.outcome = %(outcome)s)
   AND (%(from_us)s::bigint IS NULL OR o.occurred_us >= %(from_us)s)
   AND (%(before_us)s::bigint IS NULL OR o.occurred_us < %(before_us)s)
 ORDER BY w.xid {way}, w.lane {way}, w.batch_no {way}, o.row_no {way} LIMIT %(limit)s

-- journal_entries --
-- A window's journal entries after a place, with what their documents say; their lines come by `lines`. An account
-- stands for those below it, too; a dimension for every set that names all of its values.
WITH RECURSIVE below AS (
    SELECT account_id FROM accounts WHERE company_id = %(company)s AND number = %(account)s
     UNION
    SELECT a.account_id FROM below b JOIN accounts a ON a.company_id = %(company)s AND a.parent_id = b.account_id),
named AS (
    SELECT s.dimension_id FROM dimension_sets s
     WHERE s.company_id = %(company)s
       AND (s.code = %(dimension)s OR NOT EXISTS (
            SELECT FROM string_to_table(%(dimension)s::text, ';') wanted (part)
             WHERE NOT EXISTS (
                   SELECT FROM dimension_set_values v
                     JOIN dimension_types t ON t.company_id = v.company_id AND t.type_id = v.type_id
                     JOIN dimension_values d ON d.company_id = v.company_id AND d.value_id = v.value_id
                    WHERE v.company_id = s.company_id AND v.dimension_id = s.dimension_id
                      AND t.code || '=' || d.code = wanted.part)))
       AND %(dimension)s::text IS NOT NULL)
SELECT w.xid::text, e.lane, e.batch_no, e.row_no, e.source_id, e.step, e.origin, e.kind, e.posting_date,
       e.period_id, e.tags, e.corrects, e.document, e.recorded_at, d.narration, d.recorded_by, p.code AS party,
       n.word || '-' || n.number AS voucher
  FROM unnest(%(xids)s::xid8[], %(lanes)s::smallint[], %(numbers)s::bigint[]) w (xid, lane, batch_no)
  JOIN journal_entries e ON e.company_id = %(company)s AND e.lane = w.lane AND e.batch_no = w.batch_no
                        AND e.recorded_at BETWEEN %(first)s AND %(last)s
  LEFT JOIN ledger_documents d ON d.company_id = e.company_id AND d.document_id = e.source_id AND e.origin <> 1
  LEFT JOIN parties p ON p.company_id = d.company_id AND p.party_id = d.party_id
  LEFT JOIN voucher_numbers n ON n.company_id = e.company_id AND n.source_id = e.source_id AND n.step = e.step
 WHERE (w.xid, w.lane, w.batch_no, e.row_no)
       {beyond} (%(xid)s::xid8, %(lane)s::smallint, %(batch_no)s::bigint, %(row_no)s::integer)
   AND (%(period)s::integer IS NULL OR e.period_id = %(period)s)
   AND (%(document)s::text IS NULL OR e.document = %(document)s)
   AND (%(kind)s::smallint IS NULL OR e.kind = %(kind)s)
   AND (coalesce(%(account)s::text, %(dimension)s::text) IS NULL OR EXISTS (
            SELECT FROM journal_lines l
             WHERE l.company_id = e.company_id AND l.source_id = e.source_id AND l.step = e.step
               AND (%(account)s::text IS NULL OR l.account_id IN (SELECT account_id FROM below))
               AND (%(dimension)s::text IS NULL OR l.dimension_id IN (SELECT dimension_id FROM named))))
 ORDER BY w.xid {way}, w.lane {way}, w.batch_no {way}, e.row_no {way} LIMIT %(limit)s

-- lines --
-- All lines of some entries, in the order in which accountants read them.
SELECT l.source_id, l.step, l.line_no, l.account_id, a.number, a.name_zh, a.name_en, a.role, a.has_items, l.amount,
       l.cost_step, l.dimension_id, d.code AS dimension, c.code AS currency, c.minor_digits AS currency_digits,
       l.currency_amount, l.open_item
  FROM unnest(%(sources)s::uuid[], %(steps)s::smallint[]) w (source_id, step)
  JOIN journal_lines l ON l.company_id = %(company)s AND l.source_id = w.source_id AND l.step = w.step
  JOIN accounts a ON a.company_id = l.company_id AND a.account_id = l.account_id
  LEFT JOIN dimension_sets d ON d.company_id = l.company_id AND d.dimension_id = l.dimension_id
  LEFT JOIN currencies c ON c.currency = l.currency
 ORDER BY l.source_id, l.step, l.line_no
