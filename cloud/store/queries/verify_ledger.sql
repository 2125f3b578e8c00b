-- currencies_balance --
-- Promise 2: entries whose lines in one currency do not balance.
SELECT count(*) FROM (
    SELECT 1 FROM journal_lines WHERE currency <> 0
     GROUP BY company_id, source_id, step, currency HAVING sum(currency_amount) <> 0) bad

-- foreign --
-- Promise 2: what receipts, returns and value events in another currency come to in it, worked out again, against the
-- legs opposite the goods (which the legs of goods balance). Goods that go out are owed less, and a crossing that is
-- taken back is of its kind but goes the other way.
SELECT count(*), coalesce(sum(abs(coalesce(l.amount, 0) - coalesce(x.amount, 0))), 0)
  FROM (SELECT m.company_id, m.movement_id AS source_id, m.currency,
               CASE coalesce((SELECT min(e.step) FROM cost_entries e
                               WHERE e.company_id = m.company_id AND e.movement_id = m.movement_id AND e.step < 2),
                             CASE m.kind WHEN 2 THEN 0 ELSE 1 END) WHEN 0 THEN 1 ELSE -1 END *
               round(m.qty_micro::numeric * m.price_micro / (1000000 * 10::numeric ^ (6 - n.minor_digits))) AS amount
          FROM movements m JOIN currencies n USING (currency)
         WHERE m.price_micro IS NOT NULL AND m.kind IN (1, 2, 7, 19)) x
  FULL JOIN (SELECT l.company_id, l.source_id, l.currency, sum(l.currency_amount) AS amount
               FROM journal_lines l JOIN journal_entries e USING (company_id, source_id, step)
              WHERE l.currency <> 0 AND l.cost_step IS NULL AND e.origin = 1 AND e.kind < 30 AND l.step = 0
              GROUP BY 1, 2, 3) l USING (company_id, source_id, currency)
 WHERE coalesce(l.amount, 0) <> coalesce(x.amount, 0)

-- documents_rounding --
-- Promise 2: documents that round by more than one minor unit a line.
SELECT count(*) FROM (
    SELECT 1 FROM journal_entries e JOIN journal_lines l USING (company_id, source_id, step)
      JOIN accounts a USING (company_id, account_id)
     WHERE e.origin = 3 AND e.kind NOT IN (55, 57)
     GROUP BY e.company_id, e.source_id, e.step
    HAVING abs(coalesce(sum(l.amount) FILTER (WHERE a.role = 'rounding'), 0)) > count(*)) bad

-- accounts_of_lines --
-- Promise 5: lines on accounts that take none of them: those that sum others, are not valid in their period, or are
-- written by their movements and documents only. The year's end also empties accounts that have ended.
SELECT count(*) FROM journal_lines l
  JOIN accounts a USING (company_id, account_id)
  JOIN journal_entries e USING (company_id, source_id, step)
  LEFT JOIN periods p ON p.company_id = e.company_id AND p.period_id = e.period_id
 WHERE NOT a.is_postable OR a.valid_from > coalesce(p.last_day, e.posting_date)
    OR (a.valid_to < coalesce(p.first_day, e.posting_date) AND e.kind <> 55)
    OR (a.is_control AND e.origin <> 1
        AND NOT EXISTS (SELECT FROM control_writers w WHERE w.role = a.role AND w.kind = e.kind))

-- names --
-- Promise 5: dimension sets and currencies that are not there, by those who name them.
WITH sets (company_id, dimension_id) AS (
    SELECT DISTINCT company_id, dimension_id FROM (
        SELECT company_id, dimension_id FROM journal_lines UNION ALL SELECT company_id, dimension_id FROM movements
         UNION ALL SELECT company_id, dimension_id FROM value_events
         UNION ALL SELECT company_id, counter_dimension FROM cost_entries
         UNION ALL SELECT company_id, counter_dimension FROM cost_layers
         UNION ALL SELECT company_id, dimension_id FROM cost_pools UNION ALL SELECT company_id, dimension_id FROM turnovers) d),
named (currency) AS (
    SELECT DISTINCT currency FROM (
        SELECT currency FROM journal_lines UNION ALL SELECT currency FROM movements
         UNION ALL SELECT currency FROM value_events UNION ALL SELECT currency FROM ledger_documents
         UNION ALL SELECT currency FROM journal_drafts) c)
SELECT (SELECT count(*) FROM sets s LEFT JOIN dimension_sets d USING (company_id, dimension_id)
         WHERE s.dimension_id <> 0 AND d.dimension_id IS NULL)
     + (SELECT count(*) FROM named n LEFT JOIN currencies c USING (currency) WHERE n.currency <> 0 AND c.currency IS NULL)

-- documents --
-- Promise 5: documents without their entry in the same batch, entries of documents without one, documents of parties
-- that are not there, and entries and lines that name an entry, document, movement or value event that is not there.
SELECT (SELECT count(*) FROM ledger_documents d
          FULL JOIN (SELECT * FROM journal_entries WHERE origin <> 1) e
               ON e.company_id = d.company_id AND e.source_id = d.document_id AND e.step = 0 AND e.kind = d.kind
              AND e.lane = d.lane AND e.batch_no = d.batch_no
         WHERE d.document_id IS NULL OR e.source_id IS NULL)
     + (SELECT count(*) FROM ledger_documents d LEFT JOIN parties p USING (company_id, party_id)
         WHERE d.party_id IS NOT NULL AND p.party_id IS NULL)
     + (SELECT count(*) FROM journal_entries e WHERE e.origin <> 1 AND e.corrects IS NOT NULL AND NOT EXISTS (
            SELECT FROM journal_entries o WHERE o.company_id = e.company_id AND o.source_id = e.corrects))
     + (SELECT count(*) FROM journal_lines l WHERE l.open_item IS NOT NULL
           AND NOT EXISTS (SELECT FROM journal_entries o WHERE o.company_id = l.company_id AND o.source_id = l.open_item)
           AND NOT EXISTS (SELECT FROM movements m WHERE m.company_id = l.company_id AND m.movement_id = l.open_item)
           AND NOT EXISTS (SELECT FROM value_events v WHERE v.company_id = l.company_id AND v.event_id = l.open_item))

-- transactions --
-- Promise 3: entries that name another transaction than their batch, or none.
SELECT count(*) FROM journal_entries e LEFT JOIN batches b USING (company_id, lane, batch_no)
 WHERE e.xid IS DISTINCT FROM b.xid
