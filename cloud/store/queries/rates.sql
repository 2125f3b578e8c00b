-- lock --
-- One recorder of a company's rates at a time: what is known already is asked before it is added to.
SELECT pg_advisory_xact_lock(%(company)s, hashtext('exchange_rates'))

-- record --
-- Append the rates that are not what the newest row of their day and source says, in the order given.
INSERT INTO exchange_rates (company_id, currency, day, source, rate_nano, recorded_by)
SELECT %(company)s, w.currency, w.day, w.source, w.rate_nano, %(by)s
  FROM unnest(%(currency)s::smallint[], %(day)s::date[], %(source)s::text[], %(rate)s::bigint[])
       WITH ORDINALITY w (currency, day, source, rate_nano, n)
 WHERE w.rate_nano IS DISTINCT FROM (
       SELECT r.rate_nano FROM exchange_rates r
        WHERE r.company_id = %(company)s AND r.currency = w.currency AND r.day = w.day AND r.source = w.source
        ORDER BY r.link_no DESC LIMIT 1)
 ORDER BY w.n
RETURNING currency, day, source, rate_nano, recorded_at, recorded_by, link_no

-- on_days --
-- For each currency and day the last rate known on or before it that is not too old: of the newest day, what was
-- recorded last. Of the source that is asked for, else of the company's own, else of any.
SELECT w.currency, w.day, r.currency, r.day, r.source, r.rate_nano, r.recorded_at, r.recorded_by, r.link_no
  FROM companies c
 CROSS JOIN unnest(%(currency)s::smallint[], %(day)s::date[]) w (currency, day)
 CROSS JOIN LATERAL (
       SELECT x.* FROM exchange_rates x
        WHERE x.company_id = c.company_id AND x.currency = w.currency
          AND x.day BETWEEN w.day - %(age_days)s::integer AND w.day
          AND coalesce(%(source)s::text, nullif(c.rate_source, ''), x.source) = x.source
          AND (%(recorded)s::timestamptz IS NULL OR x.recorded_at <= %(recorded)s)
        ORDER BY x.day DESC, x.link_no DESC LIMIT 1) r
 WHERE c.company_id = %(company)s

-- rates --
-- In the order in which they were recorded. Unless all are asked for, those that count: the newest of their day and
-- source.
SELECT r.currency, r.day, r.source, r.rate_nano, r.recorded_at, r.recorded_by, r.link_no
  FROM exchange_rates r
 WHERE r.company_id = %(company)s AND r.link_no > %(after)s
   AND (%(currency)s::smallint IS NULL OR r.currency = %(currency)s)
   AND (%(source)s::text IS NULL OR r.source = %(source)s)
   AND (%(first_day)s::date IS NULL OR r.day >= %(first_day)s)
   AND (%(last_day)s::date IS NULL OR r.day <= %(last_day)s)
   AND (%(superseded)s OR NOT EXISTS (
       SELECT 1 FROM exchange_rates n
        WHERE n.company_id = r.company_id AND n.currency = r.currency AND n.day = r.day AND n.source = r.source
          AND n.link_no > r.link_no))
 ORDER BY r.link_no LIMIT %(limit)s

-- time_zone --
-- In which a company's days begin.
SELECT time_zone FROM companies WHERE company_id = %(company)s

-- own_source --
-- Whose rates a company goes by; empty: anybody's.
SELECT rate_source FROM companies WHERE company_id = %(company)s

-- set_own_source --
-- From now on. What was priced before keeps its rate.
UPDATE companies SET rate_source = %(source)s WHERE company_id = %(company)s
