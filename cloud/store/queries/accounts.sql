-- standing --
-- The chart, and what the books have on each account: first days of its first and last period with lines, the sites
-- whose cost pools stand on it. Held, so that two changes of a chart wait for each other.
SELECT a.account_id, a.number, a.name_zh, a.name_en, a.account_type, a.role, s.code AS site, p.number AS parent,
       a.is_postable, a.is_monetary, a.has_items, a.valid_from, a.valid_to,
       (SELECT json_object_agg(t.code, d.need) FROM account_dimensions d JOIN dimension_types t USING (company_id, type_id)
         WHERE d.company_id = a.company_id AND d.account_id = a.account_id) AS dimensions,
       u.first_day, u.last_day,
       ARRAY(SELECT DISTINCT coalesce(l.code, '') FROM cost_pools c
               LEFT JOIN locations l ON l.company_id = c.company_id AND l.location_id = c.site_id
              WHERE c.company_id = a.company_id AND c.account_id = a.account_id) AS pool_sites
  FROM accounts a
  LEFT JOIN locations s ON s.company_id = a.company_id AND s.location_id = a.site_id
  LEFT JOIN accounts p ON p.company_id = a.company_id AND p.account_id = a.parent_id
  LEFT JOIN LATERAL (SELECT min(d.first_day) AS first_day, max(d.first_day) AS last_day
                       FROM (SELECT DISTINCT period_id FROM turnovers t
                              WHERE t.company_id = a.company_id AND t.account_id = a.account_id) t
                       JOIN periods d ON d.company_id = a.company_id AND d.period_id = t.period_id) u ON true
 WHERE a.company_id = %(company)s
 ORDER BY a.number
   FOR UPDATE OF a

-- with_open_items --
-- Which of these accounts have items that are not cleared. Asked only of those whose role would move.
SELECT account_id FROM unnest(%(accounts)s::integer[]) w (account_id)
 WHERE EXISTS (SELECT FROM open_items o WHERE o.company_id = %(company)s AND o.account_id = w.account_id)

-- surroundings --
-- What a chart must fit: the codes of sites and dimension types, and the first day that can still be posted to.
SELECT ARRAY(SELECT code FROM locations WHERE company_id = %(company)s AND kind = 'site'),
       ARRAY(SELECT code FROM dimension_types WHERE company_id = %(company)s),
       (SELECT min(first_day) FROM periods WHERE company_id = %(company)s AND state <> 'locked')

-- hold_chart --
-- No batch writes while roles and headers change.
SELECT hold_chart()

-- rules_naming --
-- Roles that posting rules in force name.
SELECT DISTINCT role FROM posting_rules, unnest(ARRAY[debit_role, credit_role]) role
 WHERE company_id = %(company)s AND ended_at IS NULL

-- make_room --
-- Roles and numbers are unique row by row, so what takes another one lets go of its own first.
UPDATE accounts SET role = CASE WHEN account_id = ANY(%(roles)s::integer[]) THEN NULL ELSE role END,
                    site_id = CASE WHEN account_id = ANY(%(roles)s::integer[]) THEN NULL ELSE site_id END,
                    number = CASE WHEN account_id = ANY(%(numbers)s::integer[]) THEN '~' || account_id ELSE number END
 WHERE company_id = %(company)s AND account_id = ANY(%(roles)s::integer[] || %(numbers)s::integer[])

-- remove --
-- Accounts that the books never spoke of; their dimensions are gone already.
DELETE FROM accounts WHERE company_id = %(company)s AND account_id = ANY(%(accounts)s::integer[])

-- change --
-- All that an account says but its parent and dimensions.
UPDATE accounts a
   SET number = s.number, name_zh = s.name_zh, name_en = s.name_en, account_type = s.account_type, role = s.role,
       site_id = (SELECT location_id FROM locations l WHERE l.company_id = %(company)s AND l.code = s.site),
       is_postable = s.is_postable, is_control = s.is_control, is_monetary = s.is_monetary, has_items = s.has_items,
       valid_from = s.valid_from, valid_to = s.valid_to
  FROM unnest(%(account)s::integer[], %(number)s::text[], %(name_zh)s::text[], %(name_en)s::text[], %(type)s::text[],
              %(role)s::text[], %(site)s::text[], %(postable)s::boolean[], %(control)s::boolean[],
              %(monetary)s::boolean[], %(items)s::boolean[], %(valid_from)s::date[], %(valid_to)s::date[])
       s (account_id, number, name_zh, name_en, account_type, role, site, is_postable, is_control, is_monetary,
          has_items, valid_from, valid_to)
 WHERE a.company_id = %(company)s AND a.account_id = s.account_id

-- add --
-- New accounts.
INSERT INTO accounts (company_id, number, name_zh, name_en, account_type, role, site_id, is_postable, is_control,
                      is_monetary, has_items, valid_from, valid_to)
SELECT %(company)s, s.number, s.name_zh, s.name_en, s.account_type, s.role,
       (SELECT location_id FROM locations l WHERE l.company_id = %(company)s AND l.code = s.site),
       s.is_postable, s.is_control, s.is_monetary, s.has_items, s.valid_from, s.valid_to
  FROM unnest(%(number)s::text[], %(name_zh)s::text[], %(name_en)s::text[], %(type)s::text[], %(role)s::text[],
              %(site)s::text[], %(postable)s::boolean[], %(control)s::boolean[], %(monetary)s::boolean[],
              %(items)s::boolean[], %(valid_from)s::date[], %(valid_to)s::date[])
       s (number, name_zh, name_en, account_type, role, site, is_postable, is_control, is_monetary, has_items,
          valid_from, valid_to)

-- set_parents --
-- By number, when all numbers stand.
UPDATE accounts a
   SET parent_id = (SELECT p.account_id FROM accounts p WHERE p.company_id = a.company_id AND p.number = s.parent)
  FROM unnest(%(number)s::text[], %(parent)s::text[]) s (number, parent)
 WHERE a.company_id = %(company)s AND a.number = s.number

-- clear_dimensions --
-- What lines on these accounts had to name so far.
DELETE FROM account_dimensions WHERE company_id = %(company)s AND account_id = ANY(%(accounts)s::integer[])

-- set_dimensions --
-- What lines on an account must or may name.
INSERT INTO account_dimensions (company_id, account_id, type_id, need)
SELECT a.company_id, a.account_id, t.type_id, s.need
  FROM unnest(%(number)s::text[], %(type)s::text[], %(need)s::text[]) s (number, type, need)
  JOIN accounts a ON a.company_id = %(company)s AND a.number = s.number
  JOIN dimension_types t ON t.company_id = a.company_id AND t.code = s.type

-- page --
-- Accounts by number with their balances; a header's are those of all accounts below it.
WITH RECURSIVE below (account_id, own_id) AS (
    SELECT account_id, account_id FROM accounts WHERE company_id = %(company)s
     UNION
    SELECT b.account_id, a.account_id
      FROM below b JOIN accounts a ON a.company_id = %(company)s AND a.parent_id = b.own_id
), sums AS (
    SELECT b.account_id, sum(t.debit)::bigint AS debit, sum(t.credit)::bigint AS credit
      FROM below b JOIN turnovers t ON t.company_id = %(company)s AND t.account_id = b.own_id
     GROUP BY b.account_id
)
SELECT a.number, a.name_zh, a.name_en, a.account_type, a.role, s.code AS site, p.number AS parent, a.is_postable,
       a.is_control, a.is_monetary, a.has_items, a.valid_from, a.valid_to,
       coalesce((SELECT json_object_agg(t.code, d.need ORDER BY t.code)
                   FROM account_dimensions d JOIN dimension_types t USING (company_id, type_id)
                  WHERE d.company_id = a.company_id AND d.account_id = a.account_id), '{}') AS dimensions,
       coalesce(u.debit, 0) AS debit, coalesce(u.credit, 0) AS credit
  FROM accounts a
  LEFT JOIN sums u USING (account_id)
  LEFT JOIN locations s ON s.company_id = a.company_id AND s.location_id = a.site_id
  LEFT JOIN accounts p ON p.company_id = a.company_id AND p.account_id = a.parent_id
 WHERE a.company_id = %(company)s AND a.number > %(after)s
   AND (%(one)s::text IS NULL OR a.number = %(one)s)
   AND (%(type)s::text IS NULL OR a.account_type = %(type)s)
   AND (%(role)s::text IS NULL OR a.role = %(role)s)
   AND (%(site)s::text IS NULL OR s.code = %(site)s)
   AND (%(parent)s::text IS NULL OR p.number = %(parent)s)
   AND (%(postable)s::boolean IS NULL OR a.is_postable = %(postable)s)
   AND (%(valid_on)s::date IS NULL OR %(valid_on)s::date BETWEEN a.valid_from AND a.valid_to)
 ORDER BY a.number LIMIT %(limit)s
