-- company_by_code --
-- Who this is, and how its books are kept.
SELECT company_id, code, name, currency, minor_digits, time_zone, profile, default_method, late_policy, soft_close_roles,
       clarification_days, fiscal_year_month, rate_source, voucher_words
  FROM companies WHERE code = %(code)s

-- add_company --
-- Nothing of it may change afterwards: the books depend on it.
INSERT INTO companies (code, name, currency, minor_digits, time_zone, profile, default_method)
VALUES (%(code)s, %(name)s, %(currency)s, %(minor_digits)s, %(time_zone)s, %(profile)s, %(default_method)s)
RETURNING company_id

-- set_closing --
-- How periods are closed; the books that are there stay as they are.
UPDATE companies SET late_policy = %(late_policy)s, soft_close_roles = %(soft_close_roles)s,
       clarification_days = %(clarification_days)s, fiscal_year_month = %(fiscal_year_month)s,
       rate_source = %(rate_source)s, voucher_words = %(voucher_words)s
 WHERE company_id = %(company)s

-- set_default_method --
-- For items that come later; those that are there keep theirs.
UPDATE companies SET default_method = %(method)s WHERE company_id = %(company)s

-- methods_of --
-- What decides the methods of items: the company's default and profile, and what its items have now.
SELECT c.default_method, c.profile, i.code, i.method, i.tracking
  FROM companies c
  LEFT JOIN items i ON i.company_id = c.company_id AND i.code = ANY(%(codes)s)
 WHERE c.company_id = %(company)s

-- add_accounts --
-- The chart, in the order of its numbers.
INSERT INTO accounts (company_id, number, name_zh, name_en, role, account_type, is_postable, is_control, is_monetary,
                      has_items)
SELECT %(company)s, * FROM unnest(%(number)s::text[], %(name_zh)s::text[], %(name_en)s::text[], %(role)s::text[],
                                  %(type)s::text[], %(postable)s::boolean[], %(control)s::boolean[],
                                  %(monetary)s::boolean[], %(items)s::boolean[])

-- set_parents --
-- Which account sums which: by number, since ids come with the rows.
UPDATE accounts a SET parent_id = p.account_id
  FROM unnest(%(number)s::text[], %(parent)s::text[]) s (number, parent)
  JOIN accounts p ON p.company_id = %(company)s AND p.number = s.parent
 WHERE a.company_id = %(company)s AND a.number = s.number AND a.parent_id IS DISTINCT FROM p.account_id

-- add_dimension_types --
-- What costs can be kept apart by; those that are there keep their names.
INSERT INTO dimension_types (company_id, code, name_zh, name_en)
SELECT %(company)s, * FROM unnest(%(code)s::text[], %(name_zh)s::text[], %(name_en)s::text[])
ON CONFLICT (company_id, code) DO NOTHING

-- add_account_dimensions --
-- What lines on an account must or may name.
INSERT INTO account_dimensions (company_id, account_id, type_id, need)
SELECT a.company_id, a.account_id, t.type_id, s.need
  FROM unnest(%(number)s::text[], %(type)s::text[], %(need)s::text[]) s (number, type, need)
  JOIN accounts a ON a.company_id = %(company)s AND a.number = s.number
  JOIN dimension_types t ON t.company_id = a.company_id AND t.code = s.type

-- add_posting_rules --
-- The rules that ship; a company's own come later with a higher priority.
INSERT INTO posting_rules (company_id, kind, item_class, debit_role, credit_role, priority, reason)
SELECT %(company)s, * FROM unnest(%(kind)s::smallint[], %(item_class)s::text[], %(debit_role)s::text[],
                                  %(credit_role)s::text[], %(priority)s::integer[], %(reason)s::text[])

-- is_begun --
-- Whether the first period is closed.
SELECT 1 FROM periods WHERE company_id = %(company)s AND state <> 'open' LIMIT 1

-- period_span --
-- First and last day of the company's calendar; no row's days where it has none.
SELECT min(first_day), max(last_day) FROM periods WHERE company_id = %(company)s

-- add_periods --
-- Months that are there already keep their state.
INSERT INTO periods (company_id, period_id, first_day, last_day)
SELECT %(company)s, * FROM unnest(%(period_id)s::integer[], %(first_day)s::date[], %(last_day)s::date[])
ON CONFLICT (company_id, period_id) DO NOTHING

-- locations --
-- Every place of the company by code.
SELECT code, location_id, name, kind, site_id, parent_id FROM locations WHERE company_id = %(company)s

-- put_location --
-- A second description may rename a place. Its kind and site decide where its goods' cost stands, so another
-- kind or site changes nothing and returns no row.
INSERT INTO locations (company_id, code, name, kind, site_id, parent_id)
VALUES (%(company)s, %(code)s, %(name)s, %(kind)s, %(site)s, %(parent)s)
ON CONFLICT (company_id, code) DO UPDATE SET name = excluded.name
      WHERE locations.kind = excluded.kind
        AND (excluded.kind = 'site' OR locations.site_id IS NOT DISTINCT FROM excluded.site_id)
RETURNING location_id

-- site_names_itself --
-- A site's number is known only after it is there.
UPDATE locations SET site_id = location_id
 WHERE company_id = %(company)s AND location_id = %(location)s AND site_id IS NULL

-- put_gate --
-- Without a crossing group a new gate gets one of its own, an old one keeps what it has.
INSERT INTO gates (company_id, code, inside_id, outside_id, crossing_group, same_crossing_us)
VALUES (%(company)s, %(code)s, %(inside)s, %(outside)s,
        coalesce(%(crossing_group)s::integer, (SELECT coalesce(max(crossing_group), 0) + 1 FROM gates
                                                WHERE company_id = %(company)s)),
        %(same_crossing_us)s)
ON CONFLICT (company_id, code) DO UPDATE
   SET inside_id = excluded.inside_id, outside_id = excluded.outside_id,
       crossing_group = coalesce(%(crossing_group)s::integer, gates.crossing_group),
       same_crossing_us = excluded.same_crossing_us
RETURNING gate_id

-- gates --
-- Gates by code.
SELECT code, gate_id FROM gates WHERE company_id = %(company)s

-- put_gateway --
-- The lane follows from the address and never changes.
INSERT INTO gateways (company_id, site, code, lane)
VALUES (%(company)s, %(site)s, %(code)s, %(lane)s)
ON CONFLICT (company_id, site, code) DO UPDATE SET lane = gateways.lane
RETURNING gateway_id

-- put_parties --
-- In order of the key, so that two imports cannot deadlock. A party that is there keeps its name.
INSERT INTO parties (company_id, kind, code, name)
SELECT %(company)s, * FROM unnest(%(kind)s::text[], %(code)s::text[], %(name)s::text[]) ORDER BY 2, 3
ON CONFLICT (company_id, kind, code) DO NOTHING

-- parties --
-- Suppliers and customers by kind and code.
SELECT kind, code, party_id FROM parties WHERE company_id = %(company)s

-- items --
-- Items by code.
SELECT code, item_id FROM items WHERE company_id = %(company)s

-- item_conflicts --
-- What an import must not change silently: unit, class, method or tracking of an item that has moved, and a GTIN
-- that is another item's. One row a conflict, oldest code first.
SELECT n.code, c.column_name, c.old, c.new
  FROM unnest(%(code)s::text[], %(unit)s::text[], %(gtin)s::text[], %(item_class)s::text[], %(method)s::text[],
              %(tracking)s::text[]) n (code, unit, gtin, item_class, method, tracking)
  LEFT JOIN items i ON i.company_id = %(company)s AND i.code = n.code
  LEFT JOIN items g ON g.company_id = %(company)s AND g.gtin = n.gtin AND g.code <> n.code
       AND g.code <> ALL(%(code)s::text[])
 CROSS JOIN LATERAL (VALUES ('unit', i.unit, n.unit), ('item_class', i.item_class, n.item_class),
                            ('method', i.method, n.method), ('tracking', i.tracking, n.tracking),
                            ('gtin', g.code, n.gtin))
       c (column_name, old, new)
 WHERE c.old <> c.new
   AND (c.column_name = 'gtin' OR EXISTS (SELECT 1 FROM movements m
                                           WHERE m.company_id = %(company)s AND m.item_id = i.item_id))
 ORDER BY n.code, c.column_name

-- release_gtins --
-- Items of one import may exchange their GTINs; each is free before it is given anew.
UPDATE items i SET gtin = NULL
  FROM unnest(%(code)s::text[], %(gtin)s::text[]) n (code, gtin)
 WHERE i.company_id = %(company)s AND i.code = n.code AND i.gtin <> n.gtin

-- put_items --
-- In order of code, so that two imports cannot deadlock.
INSERT INTO items (company_id, code, name_zh, name_en, unit, gtin, item_class, method, provenance, tracking,
                   weight_mg, volume_mm3)
SELECT %(company)s, * FROM unnest(%(code)s::text[], %(name_zh)s::text[], %(name_en)s::text[], %(unit)s::text[],
                                  %(gtin)s::text[], %(item_class)s::text[], %(method)s::text[],
                                  %(provenance)s::text[], %(tracking)s::text[], %(weight)s::bigint[],
                                  %(volume)s::bigint[]) ORDER BY 2
ON CONFLICT (company_id, code) DO UPDATE
   SET name_zh = excluded.name_zh, name_en = excluded.name_en, unit = excluded.unit, gtin = excluded.gtin,
       item_class = excluded.item_class, method = excluded.method, provenance = excluded.provenance,
       tracking = excluded.tracking, weight_mg = excluded.weight_mg, volume_mm3 = excluded.volume_mm3

-- add_allocation_rules --
-- Rules that a company has keep what it made of them.
INSERT INTO allocation_rules (company_id, industry, cost_type, basis, dimension)
SELECT %(company)s, * FROM unnest(%(industry)s::text[], %(cost_type)s::text[], %(basis)s::text[],
                                  %(dimension)s::text[])
ON CONFLICT (company_id, industry, cost_type, priority) DO NOTHING

-- put_lots --
-- In order of the key, so that two writers cannot deadlock.
INSERT INTO lots (company_id, item_id, code)
SELECT DISTINCT %(company)s::integer, item, lot FROM unnest(%(item)s::integer[], %(code)s::text[]) n (item, lot)
 ORDER BY 2, 3
ON CONFLICT (company_id, item_id, code) DO NOTHING

-- lots --
-- The numbers of these lots.
SELECT l.item_id, l.code, l.lot_id
  FROM (SELECT DISTINCT item, lot FROM unnest(%(item)s::integer[], %(code)s::text[]) n (item, lot)) n
  JOIN lots l ON l.company_id = %(company)s AND l.item_id = n.item AND l.code = n.lot

-- trackings --
-- How closely items are told apart.
SELECT code, item_id, tracking, method FROM items WHERE company_id = %(company)s AND code = ANY(%(codes)s)

-- put_tags --
-- Binding a tag again to the same item may change its quantity; another item or lot changes nothing, and the
-- caller sees it by the missing row.
INSERT INTO tags (company_id, epc, item_id, qty_micro, lot_id)
SELECT %(company)s, * FROM unnest(%(epc)s::text[], %(item)s::integer[], %(qty)s::bigint[], %(lot)s::integer[])
 ORDER BY 2
ON CONFLICT (company_id, epc) DO UPDATE SET qty_micro = excluded.qty_micro
 WHERE tags.item_id = excluded.item_id AND tags.lot_id IS NOT DISTINCT FROM excluded.lot_id
RETURNING epc

-- add_expectations --
-- Each call adds; callers that may come twice take a request key first.
INSERT INTO expectations (company_id, gate_id, direction, epc, item_id, kind, party_id, document, price_micro,
                          currency, rate_nano, qty_micro, open_until, note, reason, dimension_id)
SELECT %(company)s, * FROM unnest(%(gate)s::integer[], %(direction)s::smallint[], %(epc)s::text[],
    %(item)s::integer[], %(kind)s::smallint[], %(party)s::integer[], %(document)s::text[], %(price)s::bigint[],
    %(currency)s::text[], %(rate)s::bigint[], %(qty)s::bigint[], %(open_until)s::timestamptz[], %(note)s::text[],
    %(reason)s::text[], %(dimension)s::integer[])
RETURNING expectation_id

-- reopen_expectations --
-- Expectations of one origin, told by their note, are open again until the new time.
UPDATE expectations SET open_until = %(open_until)s
 WHERE company_id = %(company)s AND note = %(note)s
RETURNING expectation_id

-- newest_numbered_note --
-- The greatest number that ends a note with this beginning; 0 where there is none.
SELECT coalesce(max(substr(note, length(%(beginning)s) + 1)::bigint), 0)
  FROM expectations
 WHERE company_id = %(company)s AND starts_with(note, %(beginning)s)
   AND substr(note, length(%(beginning)s) + 1) ~ '^[0-9]{1,18}$'
