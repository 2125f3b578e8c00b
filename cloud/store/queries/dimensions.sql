-- types --
-- What costs can be kept apart by, in the order in which they came.
SELECT code, name_zh, name_en FROM dimension_types WHERE company_id = %(company)s ORDER BY type_id

-- values --
-- The values of all types, or of one; of all days, or of one.
SELECT t.code, v.code, v.name, v.valid_from, v.valid_to
  FROM dimension_values v JOIN dimension_types t USING (company_id, type_id)
 WHERE v.company_id = %(company)s AND (t.code, v.code) > (%(after_type)s, %(after_code)s)
   AND (%(type)s::text IS NULL OR t.code = %(type)s)
   AND (%(valid_on)s::date IS NULL OR %(valid_on)s::date BETWEEN v.valid_from AND v.valid_to)
 ORDER BY t.code, v.code LIMIT %(limit)s

-- one_value --
-- A value by the codes of its type and itself.
SELECT t.code, v.code, v.name, v.valid_from, v.valid_to
  FROM dimension_values v JOIN dimension_types t USING (company_id, type_id)
 WHERE v.company_id = %(company)s AND t.code = %(type)s AND v.code = %(code)s

-- put_types --
-- New types, and other names of those that are there.
INSERT INTO dimension_types (company_id, code, name_zh, name_en)
SELECT %(company)s, * FROM unnest(%(code)s::text[], %(name_zh)s::text[], %(name_en)s::text[])
ON CONFLICT (company_id, code) DO UPDATE SET name_zh = excluded.name_zh, name_en = excluded.name_en

-- put_values --
-- New values, and other names and days of those that are there. Their codes never change: sets spell them.
INSERT INTO dimension_values (company_id, type_id, code, name, valid_from, valid_to)
SELECT %(company)s, t.type_id, s.code, s.name, s.valid_from, s.valid_to
  FROM unnest(%(type)s::text[], %(code)s::text[], %(name)s::text[], %(valid_from)s::date[], %(valid_to)s::date[])
       s (type, code, name, valid_from, valid_to)
  JOIN dimension_types t ON t.company_id = %(company)s AND t.code = s.type
ON CONFLICT (company_id, type_id, code) DO UPDATE
   SET name = excluded.name, valid_from = excluded.valid_from, valid_to = excluded.valid_to

-- sets --
-- Sets that lines can name, with the values in them; those of work orders have none.
SELECT d.code, coalesce((SELECT json_object_agg(t.code, v.code ORDER BY t.code)
                           FROM dimension_set_values s
                           JOIN dimension_types t USING (company_id, type_id)
                           JOIN dimension_values v USING (company_id, value_id)
                          WHERE s.company_id = d.company_id AND s.dimension_id = d.dimension_id), '{}') AS named
  FROM dimension_sets d
 WHERE d.company_id = %(company)s AND d.code > %(after)s
   AND (%(type)s::text IS NULL OR EXISTS
        (SELECT FROM dimension_set_values s
           JOIN dimension_types t USING (company_id, type_id)
           JOIN dimension_values v USING (company_id, value_id)
          WHERE s.company_id = d.company_id AND s.dimension_id = d.dimension_id AND t.code = %(type)s
            AND (%(value)s::text IS NULL OR v.code = %(value)s)))
 ORDER BY d.code LIMIT %(limit)s

