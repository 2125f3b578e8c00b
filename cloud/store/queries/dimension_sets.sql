-- values --
-- Values by the codes of their types and themselves.
SELECT t.code, v.code, v.type_id, v.value_id, v.valid_from, v.valid_to
  FROM unnest(%(types)s::text[], %(values)s::text[]) w (type, value)
  JOIN dimension_types t ON t.company_id = %(company)s AND t.code = w.type
  JOIN dimension_values v ON v.company_id = t.company_id AND v.type_id = t.type_id AND v.code = w.value

-- find --
-- Sets that somebody named before.
SELECT code, dimension_id FROM dimension_sets WHERE company_id = %(company)s AND code = ANY(%(codes)s)

-- put --
-- A set by its code; two requests that make the same one wait for each other.
INSERT INTO dimension_sets (company_id, code) VALUES (%(company)s, %(code)s)
ON CONFLICT (company_id, code) DO UPDATE SET code = excluded.code RETURNING dimension_id

-- fill --
-- Its values, once.
INSERT INTO dimension_set_values (company_id, dimension_id, type_id, value_id)
SELECT %(company)s, %(dimension)s, * FROM unnest(%(types)s::integer[], %(values)s::integer[])
ON CONFLICT DO NOTHING
