-- settings --
-- Promise 3: what the chains' trigger fixes, so that JSON is written as it was.
SELECT set_config('TimeZone', 'UTC', true), set_config('extra_float_digits', '1', true),
       set_config('bytea_output', 'hex', true)

-- heads --
-- Where each table's chain ends.
SELECT name, link_no, head FROM chain_heads

-- links --
-- The rows of one table as they were hashed, in the order of its chain.
SELECT t.link_no, t.digest,
       (SELECT coalesce(jsonb_object_agg(e.key, e.value), jsonb_build_object())::text
          FROM jsonb_each(to_jsonb(t) - 'digest') e WHERE e.value <> 'null')
  FROM {table} t ORDER BY t.link_no
