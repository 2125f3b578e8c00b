-- hold --
-- What this request is about, held against other requests to the end of the transaction; in the order given, so that
-- none waits for another that waits for it. The same key as that of corrections of a receipt.
SELECT pg_advisory_xact_lock(%(company)s, hashtext(name)) FROM unnest(%(names)s::text[]) WITH ORDINALITY n (name, no)
 ORDER BY no

-- items --
-- What is open of these items, by account and dimension set: each way in which a line belongs to an item has its own
-- index, which the view item_amounts, asked for single items, could not use.
WITH wanted AS (SELECT unnest(%(ids)s::uuid[]) AS item),
lines AS (
    SELECT w.item, l.account_id, l.dimension_id, l.amount, l.currency, l.currency_amount, e.posting_date
      FROM wanted w
      JOIN journal_lines l ON l.company_id = %(company)s AND l.open_item = w.item
      JOIN journal_entries e USING (company_id, source_id, step)
     WHERE e.kind <> 38
     UNION ALL
    SELECT w.item, l.account_id, l.dimension_id, l.amount, l.currency, l.currency_amount, e.posting_date
      FROM wanted w
      JOIN journal_entries e ON e.company_id = %(company)s
                            AND ((e.source_id = w.item AND e.corrects IS NULL) OR e.corrects = w.item)
      JOIN journal_lines l USING (company_id, source_id, step)
     WHERE l.open_item IS NULL AND e.kind <> 38
     UNION ALL
    SELECT w.item, c.counter_account, c.counter_dimension, -c.posted, 0::smallint, 0::bigint, c.posting_date
      FROM wanted w
      JOIN cost_entries c ON c.company_id = %(company)s
                         AND ((c.movement_id = w.item AND c.corrects IS NULL) OR c.corrects = w.item)
     WHERE c.journal_id IS NOT NULL AND c.posted <> 0 AND c.counter_account IS NOT NULL)
SELECT l.item, a.account_id, a.number, coalesce(a.role, ''), l.dimension_id, sum(l.amount)::bigint, max(l.currency),
       sum(l.currency_amount)::bigint, max(l.posting_date)
  FROM lines l JOIN accounts a ON a.company_id = %(company)s AND a.account_id = l.account_id
 WHERE a.has_items
 GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 3, 5

-- moved_goods --
-- Movements that documents name: what was received or shipped, on what terms, and at which site.
SELECT m.movement_id, m.kind, m.item_id, i.code, m.qty_micro, coalesce(m.party_id, 0), m.document, m.price_micro,
       m.currency, m.rate_nano, m.occurred_us, m.dimension_id,
       coalesce((SELECT min(p.site_id) FROM cost_entries e JOIN cost_pools p USING (company_id, pool_id)
                  WHERE e.company_id = m.company_id AND e.movement_id = m.movement_id AND e.step < 2), 0),
       EXISTS (SELECT 1 FROM movements c WHERE c.company_id = m.company_id AND c.corrects = m.movement_id
                  AND c.movement_id <> m.movement_id),
       EXISTS (SELECT 1 FROM journal_lines l WHERE l.company_id = m.company_id AND l.source_id = m.movement_id)
  FROM movements m JOIN items i USING (company_id, item_id)
 WHERE m.company_id = %(company)s AND m.movement_id = ANY(%(ids)s::uuid[])

-- invoiced --
-- How much of each receipt supplier invoices cover so far, 10⁻⁶ stock units; those taken back count against it.
SELECT (r ->> 'receipt')::uuid, sum((r ->> 'quantity_micro')::bigint)::bigint
  FROM ledger_documents d CROSS JOIN LATERAL json_array_elements(d.details -> 'rows') r
 WHERE d.company_id = %(company)s AND d.kind = 50 AND r ->> 'receipt' = ANY(%(ids)s::text[])
   AND d.document_id IN (SELECT source_id FROM journal_lines WHERE company_id = %(company)s AND open_item = ANY(%(ids)s::uuid[]))
 GROUP BY 1

-- same_number --
-- Documents of a kind under a party's number that nothing took back.
SELECT document_id FROM ledger_documents d
 WHERE company_id = %(company)s AND kind = %(kind)s AND party_id IS NOT DISTINCT FROM %(party)s AND number = %(number)s
   AND NOT EXISTS (SELECT 1 FROM journal_entries e WHERE e.company_id = d.company_id AND e.corrects = d.document_id
                      AND e.kind = d.kind)
   AND NOT EXISTS (SELECT 1 FROM journal_entries e WHERE e.company_id = d.company_id AND e.source_id = d.document_id
                      AND e.corrects IS NOT NULL)
 LIMIT 1

-- numbered_accounts --
-- Accounts by number, with what lines of theirs must heed.
SELECT number, account_id, is_control, is_postable, valid_from, valid_to FROM accounts
 WHERE company_id = %(company)s AND number = ANY(%(numbers)s)

-- document_roles --
-- Accounts by role: role, site or 0, account_id.
SELECT role, coalesce(site_id, 0), account_id FROM accounts
 WHERE company_id = %(company)s AND role IS NOT NULL AND is_postable

-- document_needs --
-- Every account, with the types of dimension that it asks for or allows.
SELECT a.account_id, a.number, d.type_id, t.code, d.need = 'required'
  FROM accounts a
  LEFT JOIN account_dimensions d USING (company_id, account_id)
  LEFT JOIN dimension_types t USING (company_id, type_id)
 WHERE a.company_id = %(company)s

-- set_types --
-- The types that dimension sets name.
SELECT v.dimension_id, v.type_id, t.code
  FROM dimension_set_values v JOIN dimension_types t USING (company_id, type_id)
 WHERE v.company_id = %(company)s AND v.dimension_id = ANY(%(ids)s)

-- entry --
-- The first entry of a source, for who wants to take it back; corrected_by: an entry of its kind that did.
SELECT e.origin, e.kind, e.posting_date, e.corrects,
       (SELECT min(c.source_id::text) FROM journal_entries c
         WHERE c.company_id = e.company_id AND c.corrects = e.source_id AND c.kind = e.kind)
  FROM journal_entries e WHERE e.company_id = %(company)s AND e.source_id = %(id)s AND e.step = %(step)s

-- document --
-- A document as it was recorded.
SELECT document_id, kind, coalesce(party_id, 0), number, day, currency, rate_nano, narration, details
  FROM ledger_documents WHERE company_id = %(company)s AND document_id = %(id)s

-- lines --
-- The lines of a document's entry.
SELECT l.account_id, l.amount, l.dimension_id, l.currency, l.currency_amount, l.open_item, a.has_items
  FROM journal_lines l JOIN accounts a USING (company_id, account_id)
 WHERE l.company_id = %(company)s AND l.source_id = %(id)s AND l.step = 0 ORDER BY l.line_no

-- settled --
-- What other entries have done to the items that a document opened, by account.
SELECT a.number, sum(l.amount)::bigint, sum(l.currency_amount)::bigint, max(l.currency), min(l.source_id::text)
  FROM journal_lines l JOIN accounts a USING (company_id, account_id)
  JOIN journal_entries e USING (company_id, source_id, step)
 WHERE l.company_id = %(company)s AND l.open_item = %(id)s AND l.source_id <> %(id)s AND e.kind <> 54
 GROUP BY 1 HAVING sum(l.amount) <> 0 OR sum(l.currency_amount) <> 0

-- moved_to_cost --
-- What documents have moved of these shipments from goods shipped to cost of goods sold, by account.
SELECT l.open_item, l.account_id, l.dimension_id, sum(l.amount)::bigint
  FROM journal_lines l JOIN accounts a USING (company_id, account_id)
  JOIN journal_entries e USING (company_id, source_id, step)
 WHERE l.company_id = %(company)s AND l.open_item = ANY(%(ids)s::uuid[]) AND a.role = 'shipped' AND e.kind = 51
 GROUP BY 1, 2, 3 HAVING sum(l.amount) <> 0

-- drafts --
-- Drafts in the order of their shipments, a page.
SELECT d.movement_id, d.party_id, d.document, d.item_id, d.qty_micro, d.price_micro, d.currency, d.rate_nano,
       d.net_amount, d.occurred_us, d.state, d.posted_as, d.changed_by, d.reason, i.code, p.code
  FROM journal_drafts d JOIN items i USING (company_id, item_id) LEFT JOIN parties p USING (company_id, party_id)
 WHERE d.company_id = %(company)s AND (%(state)s::text IS NULL OR d.state = %(state)s)
   AND (d.occurred_us, d.movement_id) > (%(after_us)s, %(after_id)s::uuid)
 ORDER BY d.occurred_us, d.movement_id LIMIT %(limit)s

-- lock_drafts --
-- The drafts of these shipments, locked in order.
SELECT movement_id, coalesce(party_id, 0), document, price_micro, currency, rate_nano, net_amount, state, posted_as
  FROM journal_drafts WHERE company_id = %(company)s AND movement_id = ANY(%(ids)s::uuid[])
 ORDER BY movement_id FOR UPDATE

-- make_drafts --
-- Shipments that an invoice speaks of and that had no draft.
INSERT INTO journal_drafts (company_id, movement_id, party_id, document, item_id, qty_micro, price_micro, currency,
                            rate_nano, net_amount, occurred_us)
SELECT m.company_id, m.movement_id, m.party_id, m.document, m.item_id, m.qty_micro, coalesce(m.price_micro, 0),
       %(currency)s, %(rate)s, w.net, m.occurred_us
  FROM unnest(%(ids)s::uuid[], %(nets)s::bigint[]) w (id, net)
  JOIN movements m ON m.company_id = %(company)s AND m.movement_id = w.id
ON CONFLICT (company_id, movement_id) DO NOTHING

-- post_drafts --
-- Their invoice is posted.
UPDATE journal_drafts SET state = 'posted', posted_as = %(invoice)s, changed_by = %(by)s
 WHERE company_id = %(company)s AND movement_id = ANY(%(ids)s::uuid[])

-- reopen_drafts --
-- The invoice was taken back: its shipments wait for another.
UPDATE journal_drafts SET state = 'waiting', posted_as = NULL, changed_by = %(by)s
 WHERE company_id = %(company)s AND posted_as = %(invoice)s

-- dismiss_draft --
-- No invoice will come; said once more it is as it was.
UPDATE journal_drafts SET state = 'dismissed', reason = %(reason)s, changed_by = %(by)s
 WHERE company_id = %(company)s AND movement_id = %(id)s AND state <> 'posted' RETURNING movement_id

-- shipped_left --
-- Shipments whose invoice was posted by a day, or for which none will come, with what is left of their cost on goods
-- shipped at the end of that day.
SELECT x.item, x.account_id, x.dimension_id, sum(x.amount)::bigint, max(x.posting_date), coalesce(min(p.site_id), 0)
  FROM item_amounts x
  JOIN accounts a USING (company_id, account_id)
  JOIN journal_drafts d ON d.company_id = x.company_id AND d.movement_id = x.item AND d.state <> 'waiting'
  LEFT JOIN journal_entries i ON i.company_id = d.company_id AND i.source_id = d.posted_as AND i.step = 0
  LEFT JOIN LATERAL (SELECT min(o.site_id) AS site_id FROM cost_entries e JOIN cost_pools o USING (company_id, pool_id)
                      WHERE e.company_id = x.company_id AND e.movement_id = x.item AND e.step < 2) p ON true
 WHERE x.company_id = %(company)s AND a.role = 'shipped'
   AND (%(until)s::date IS NULL OR (x.posting_date <= %(until)s AND coalesce(i.posting_date, %(until)s) <= %(until)s))
 GROUP BY 1, 2, 3 HAVING sum(x.amount) <> 0 ORDER BY 5, 1, 2, 3

-- documents --
-- Documents of some kinds in the order in which they were recorded, a page; who recorded them.
SELECT d.document_id, d.kind, p.code, d.number, d.day, d.currency, d.rate_nano, d.narration, d.recorded_by, d.details,
       d.recorded_at, e.posting_date, e.period_id, e.corrects,
       (SELECT c.source_id FROM journal_entries c WHERE c.company_id = d.company_id AND c.corrects = d.document_id
           AND c.kind = d.kind LIMIT 1)
  FROM ledger_documents d
  JOIN journal_entries e ON e.company_id = d.company_id AND e.source_id = d.document_id AND e.step = 0
  LEFT JOIN parties p ON p.company_id = d.company_id AND p.party_id = d.party_id
 WHERE d.company_id = %(company)s AND d.kind = ANY(%(kinds)s) AND (%(id)s::uuid IS NULL OR d.document_id = %(id)s)
   AND (d.recorded_at, d.document_id) > (%(after_at)s, %(after_id)s::uuid)
 ORDER BY d.recorded_at, d.document_id LIMIT %(limit)s

-- document_lines --
-- Lines of documents as they are shown.
SELECT l.source_id, l.line_no, a.number, a.name_zh, a.name_en, coalesce(s.code, ''), l.amount, l.currency,
       l.currency_amount, l.open_item
  FROM journal_lines l JOIN accounts a USING (company_id, account_id)
  LEFT JOIN dimension_sets s ON s.company_id = l.company_id AND s.dimension_id = l.dimension_id
 WHERE l.company_id = %(company)s AND l.source_id = ANY(%(ids)s::uuid[]) AND l.step = 0
 ORDER BY l.source_id, l.line_no

-- group_trade --
-- What another company of the group shipped to this one under a number.
SELECT d.document_id, d.currency, d.details FROM ledger_documents d JOIN companies c USING (company_id)
 WHERE c.code = %(seller)s AND d.kind = 58 AND d.number = %(number)s AND d.details ->> 'buyer' = %(buyer)s

-- company_code --
-- A company by its code.
SELECT company_id, code, currency, minor_digits FROM companies WHERE code = %(code)s

-- item_codes --
-- The codes of items by id.
SELECT item_id, code FROM items WHERE company_id = %(company)s AND item_id = ANY(%(ids)s)

-- is_received --
-- Whether goods of a trade in the group are on these books, by the id of a movement that only its receipt makes.
SELECT EXISTS (SELECT 1 FROM movements WHERE company_id = %(company)s AND movement_id = %(id)s)
