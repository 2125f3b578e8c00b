-- lock --
-- Who adds or ends rules of a company is alone with them: two that are ambiguous beside each other never both get in.
SELECT pg_advisory_xact_lock(hashtextextended('posting rules/' || %(company)s::text, 0))

-- rules --
-- Posting rules as they were written; all of them, or those in force.
SELECT r.rule_id, r.kind, r.item_class, r.site_id, r.debit_role, r.credit_role, r.priority, r.reason, r.party_class,
       r.dimension_id, l.code AS site, coalesce(d.code, '') AS dimensions, r.made_at, r.made_by, r.ended_at, r.ended_by
  FROM posting_rules r
  LEFT JOIN locations l ON l.company_id = r.company_id AND l.location_id = r.site_id
  LEFT JOIN dimension_sets d ON d.company_id = r.company_id AND d.dimension_id = r.dimension_id
 WHERE r.company_id = %(company)s AND r.rule_id > %(after)s
   AND (%(ended)s OR r.ended_at IS NULL)
   AND (%(kind)s::smallint IS NULL OR r.kind = %(kind)s)
   AND (%(one)s::integer IS NULL OR r.rule_id = %(one)s)
 ORDER BY r.rule_id LIMIT %(limit)s

-- add --
-- Each rule in the order of the request, so that its number is its age.
INSERT INTO posting_rules (company_id, kind, item_class, site_id, debit_role, credit_role, priority, reason,
                           party_class, dimension_id, made_by)
SELECT %(company)s, n.kind, n.item_class, n.site, n.debit, n.credit, n.priority, n.reason, n.party_class, n.dimension,
       %(by)s
  FROM unnest(%(kind)s::smallint[], %(item_class)s::text[], %(site)s::integer[], %(debit)s::text[],
              %(credit)s::text[], %(priority)s::integer[], %(reason)s::text[], %(party_class)s::text[],
              %(dimension)s::integer[])
       WITH ORDINALITY n (kind, item_class, site, debit, credit, priority, reason, party_class, dimension, number)
 ORDER BY n.number
RETURNING rule_id

-- end --
-- A rule that has ended stays as it is.
UPDATE posting_rules SET ended_at = clock_timestamp(), ended_by = %(by)s
 WHERE company_id = %(company)s AND rule_id = ANY(%(ids)s) AND ended_at IS NULL
RETURNING rule_id

-- accounts --
-- What stands for each role, everywhere (site 0) or at one site, and whether it takes lines on a day.
SELECT account_id, number, name_zh, name_en, role, coalesce(site_id, 0) AS site, is_postable,
       %(day)s BETWEEN valid_from AND valid_to AS is_valid, valid_from, valid_to
  FROM accounts WHERE company_id = %(company)s AND role IS NOT NULL

-- needs --
-- Which types of dimension accounts ask for or allow.
SELECT d.account_id, t.code, d.need = 'required'
  FROM account_dimensions d JOIN dimension_types t USING (company_id, type_id) WHERE d.company_id = %(company)s

-- set_types --
-- Which types dimension sets have a value of.
SELECT v.dimension_id, t.code
  FROM dimension_set_values v JOIN dimension_types t USING (company_id, type_id)
 WHERE v.company_id = %(company)s AND v.dimension_id = ANY(%(ids)s)

-- sites --
-- The company's sites by code.
SELECT code, location_id FROM locations WHERE company_id = %(company)s AND kind = 'site'

-- today --
-- The company's own date.
SELECT (now() AT TIME ZONE time_zone)::date FROM companies WHERE company_id = %(company)s

-- in_use --
-- What movements of this company can differ by: classes of items, and classes of parties by their kind.
SELECT 'item' AS what, item_class AS class FROM items WHERE company_id = %(company)s GROUP BY item_class
 UNION ALL
SELECT kind, party_class FROM parties WHERE company_id = %(company)s AND party_class <> '' GROUP BY kind, party_class

-- expectations --
-- What gates still expect, gathered by what decides on its rule.
SELECT e.kind, i.item_class, coalesce(l.site_id, 0) AS site, e.reason, coalesce(p.party_class, '') AS party_class,
       e.dimension_id, count(*), min(e.expectation_id)
  FROM expectations e
  JOIN gates g USING (company_id, gate_id)
  JOIN locations l ON l.company_id = g.company_id AND l.location_id = g.inside_id
  LEFT JOIN tags t ON t.company_id = e.company_id AND t.epc = e.epc
  JOIN items i ON i.company_id = e.company_id AND i.item_id = coalesce(e.item_id, t.item_id)
  LEFT JOIN parties p ON p.company_id = e.company_id AND p.party_id = e.party_id
 WHERE e.company_id = %(company)s AND NOT e.is_filled AND e.open_until > now()
 GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 8

-- observations --
-- What gates saw of tags that no item is bound to yet, by site; once bound, goods of any class come or go there.
SELECT coalesce(l.site_id, 0) AS site, count(*)
  FROM open_observations w
  JOIN observations o USING (company_id, epc, movement_id)
  JOIN gates g USING (company_id, gate_id)
  JOIN locations l ON l.company_id = g.company_id AND l.location_id = g.inside_id
 WHERE w.company_id = %(company)s
 GROUP BY 1

-- entries --
-- The entries that this transaction wrote for some sources, line by line.
SELECT e.source_id, e.step, e.kind, e.posting_date, e.period_id, e.tags, e.document, l.line_no, a.number, a.name_zh,
       a.name_en, a.role, coalesce(d.code, ''), l.amount, l.currency, l.currency_amount
  FROM journal_entries e
  JOIN journal_lines l USING (company_id, source_id, step)
  JOIN accounts a ON a.company_id = l.company_id AND a.account_id = l.account_id
  LEFT JOIN dimension_sets d ON d.company_id = l.company_id AND d.dimension_id = l.dimension_id
 WHERE e.company_id = %(company)s AND e.source_id = ANY(%(ids)s::uuid[]) AND e.xid = pg_current_xact_id()
 ORDER BY e.row_no, l.line_no

-- legs --
-- What decided on the rule of movements and value events of this transaction: kind, class of the item, site, reason,
-- class of the party. Movements inside one pool have no cost, and no rule.
SELECT m.movement_id, m.kind, i.item_class, p.site_id, m.reason, coalesce(y.party_class, '')
  FROM movements m
  JOIN items i USING (company_id, item_id)
  LEFT JOIN parties y USING (company_id, party_id)
  JOIN LATERAL (SELECT pool_id FROM cost_entries c
                 WHERE c.company_id = m.company_id AND c.movement_id = m.movement_id AND c.step IN (0, 1)
                 ORDER BY c.step LIMIT 1) c ON true
  JOIN cost_pools p ON p.company_id = m.company_id AND p.pool_id = c.pool_id
 WHERE m.company_id = %(company)s AND m.movement_id = ANY(%(ids)s::uuid[])
 UNION ALL
SELECT v.event_id, v.kind, i.item_class, p.site_id, v.reason, ''
  FROM value_events v
  JOIN cost_pools p ON p.company_id = v.company_id AND p.pool_id = v.pool_id
  JOIN items i ON i.company_id = p.company_id AND i.item_id = p.item_id
 WHERE v.company_id = %(company)s AND v.event_id = ANY(%(ids)s::uuid[])
