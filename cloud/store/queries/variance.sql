-- period --
-- A period with what spreading must know of its company.
SELECT p.first_day, p.last_day, p.state, c.profile
  FROM periods p JOIN companies c USING (company_id)
 WHERE p.company_id = %(company)s AND p.period_id = %(period)s

-- variances --
-- What the accounts of the material cost variance stand at when the period is over, by item class, without what was
-- spread in this period: the opening variance and the period's own. A line belongs to the class of the item that its
-- movement or value event is about; of manual entries nobody knows (class null).
WITH ppv AS (SELECT account_id FROM accounts WHERE company_id = %(company)s AND role = 'ppv'),
written AS (
    SELECT l.account_id, l.amount, l.source_id, e.kind, e.recorded_at
      FROM ppv JOIN journal_lines l ON l.company_id = %(company)s AND l.account_id = ppv.account_id
      JOIN journal_entries e ON e.company_id = l.company_id AND e.source_id = l.source_id AND e.step = l.step
     WHERE e.posting_date <= %(last_day)s AND e.kind <> 38),
told AS (
    SELECT w.account_id, i.item_class, w.amount
      FROM written w
      LEFT JOIN movements m ON m.company_id = %(company)s AND m.movement_id = w.source_id
                           AND m.recorded_at = w.recorded_at
      LEFT JOIN items i ON i.company_id = %(company)s AND i.item_id = m.item_id
     WHERE w.kind < 30
     UNION ALL
    SELECT w.account_id, i.item_class, w.amount
      FROM written w
      LEFT JOIN value_events v ON v.company_id = %(company)s AND v.event_id = w.source_id
      LEFT JOIN cost_pools p ON p.company_id = %(company)s AND p.pool_id = v.pool_id
      LEFT JOIN movements m ON m.company_id = %(company)s AND m.movement_id = v.original_id
      LEFT JOIN items i ON i.company_id = %(company)s AND i.item_id = coalesce(v.item_id, p.item_id, m.item_id)
     WHERE w.kind BETWEEN 30 AND 49
     UNION ALL
    SELECT w.account_id, d.details ->> 'item_class', w.amount
      FROM written w
      LEFT JOIN ledger_documents d ON d.company_id = %(company)s AND d.document_id = w.source_id
     WHERE w.kind >= 50 AND (w.kind <> 57 OR (d.details ->> 'period')::integer <> %(period)s)
     UNION ALL
    -- An entry of re-costing gathers many: its cost entries say whose they are.
    SELECT c.counter_account, i.item_class, -c.posted
      FROM ppv JOIN cost_entries c ON c.company_id = %(company)s AND c.counter_account = ppv.account_id
      JOIN cost_pools p ON p.company_id = c.company_id AND p.pool_id = c.pool_id
      JOIN items i ON i.company_id = p.company_id AND i.item_id = p.item_id
     WHERE c.journal_id IS NOT NULL AND c.posting_date <= %(last_day)s)
SELECT account_id, item_class, sum(amount)::bigint FROM told GROUP BY 1, 2 HAVING sum(amount) <> 0 ORDER BY 1, 2

-- stock --
-- By variance account of their site and item class: pools at standard cost when the period is over.
SELECT v.account_id, i.item_class, sum(c.posted)::bigint
  FROM cost_pools p
  JOIN items i USING (company_id, item_id)
  JOIN cost_entries c USING (company_id, pool_id)
  CROSS JOIN LATERAL (SELECT a.account_id FROM accounts a
                       WHERE a.company_id = p.company_id AND a.role = 'ppv' AND coalesce(a.site_id, p.site_id) = p.site_id
                       ORDER BY a.site_id NULLS LAST LIMIT 1) v
 WHERE p.company_id = %(company)s AND p.method = %(standard)s AND c.posting_date <= %(last_day)s
 GROUP BY 1, 2 ORDER BY 1, 2

-- issues --
-- What the period took out of those pools, by the account and dimension set that the issues went to (null: a pool of
-- work in progress); goods that customers bring back are taken off. `writable`: whether the spread may write there.
SELECT v.account_id, i.item_class, p.site_id, c.counter_account, c.counter_dimension, coalesce(o.role, 'wip') AS role,
       o.account_id IS NOT NULL AND (NOT o.is_control OR EXISTS (
           SELECT FROM control_writers w WHERE w.role = o.role AND w.kind = 57)) AS writable,
       -sum(c.posted)::bigint
  FROM cost_entries c
  JOIN cost_pools p USING (company_id, pool_id)
  JOIN items i USING (company_id, item_id)
  JOIN movements m ON m.company_id = c.company_id AND m.movement_id = c.movement_id
  LEFT JOIN accounts o ON o.company_id = c.company_id AND o.account_id = c.counter_account
  CROSS JOIN LATERAL (SELECT a.account_id FROM accounts a
                       WHERE a.company_id = p.company_id AND a.role = 'ppv' AND coalesce(a.site_id, p.site_id) = p.site_id
                       ORDER BY a.site_id NULLS LAST LIMIT 1) v
 WHERE c.company_id = %(company)s AND p.method = %(standard)s AND m.kind = ANY(%(kinds)s)
   AND c.posting_date BETWEEN %(first_day)s AND %(last_day)s
 GROUP BY v.account_id, i.item_class, p.site_id, c.counter_account, c.counter_dimension, o.role, o.account_id, o.is_control
HAVING sum(c.posted) <> 0
 ORDER BY v.account_id, i.item_class, p.site_id, c.counter_account, c.counter_dimension

-- spread --
-- What was spread in this period so far, by variance account and item class.
SELECT (d.details ->> 'account_id')::integer, d.details ->> 'item_class', l.account_id, l.dimension_id,
       sum(l.amount)::bigint
  FROM ledger_documents d
  JOIN journal_lines l ON l.company_id = d.company_id AND l.source_id = d.document_id
 WHERE d.company_id = %(company)s AND d.kind = 57 AND (d.details ->> 'period')::integer = %(period)s
   AND l.account_id <> (d.details ->> 'account_id')::integer
 GROUP BY 1, 2, 3, 4 HAVING sum(l.amount) <> 0 ORDER BY 1, 2, 3, 4

-- accounts --
-- The accounts that stand for a role, everywhere (site 0) or at a site.
SELECT coalesce(site_id, 0), account_id FROM accounts WHERE company_id = %(company)s AND role = %(role)s
