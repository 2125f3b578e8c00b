-- period --
-- A period and how its company closes; its instants in the company's time zone, and that zone's own today.
SELECT p.period_id, p.first_day, p.last_day, p.state,
       (extract(epoch FROM p.first_day::timestamp AT TIME ZONE c.time_zone) * 1000000)::bigint,
       (extract(epoch FROM (p.last_day + 1)::timestamp AT TIME ZONE c.time_zone) * 1000000)::bigint,
       (now() AT TIME ZONE c.time_zone)::date, c.company_id, c.code, c.name, c.currency, c.minor_digits, c.time_zone,
       c.profile, c.clarification_days, c.fiscal_year_month
  FROM periods p JOIN companies c USING (company_id)
 WHERE p.company_id = %(company)s AND p.period_id = %(period)s

-- periods --
-- The calendar, newest last: each state, since when, and by whose word; and whether there is a close report.
SELECT p.period_id, p.first_day, p.last_day, p.state, e.recorded_at, e.recorded_by, e.reason, r.recorded_at, r.passed
  FROM periods p
  LEFT JOIN LATERAL (SELECT x.recorded_at, x.recorded_by, x.reason FROM period_events x
                      WHERE x.company_id = p.company_id AND x.period_id = p.period_id
                      ORDER BY x.link_no DESC LIMIT 1) e ON true
  LEFT JOIN LATERAL (SELECT x.recorded_at, x.passed FROM close_reports x
                      WHERE x.company_id = p.company_id AND x.period_id = p.period_id
                      ORDER BY x.link_no DESC LIMIT 1) r ON true
 WHERE p.company_id = %(company)s AND p.period_id > %(after)s ORDER BY p.period_id LIMIT %(limit)s

-- whole_periods --
-- Until this transaction ends: the checklist asks of whole periods, where a plan made for a few rows is quadratic. So
-- it would be made while a table has no statistics yet, as behind an import. And what they sum fits into memory.
SELECT set_config('enable_nestloop', 'off', true), set_config('work_mem', '128MB', true)

-- hold_alone --
-- Nobody posts from here until the transaction ends.
SELECT hold_calendar_alone(%(company)s)

-- earlier --
-- Periods before one that are not locked, and whether anything is posted in them.
SELECT p.period_id, p.state, EXISTS (SELECT 1 FROM journal_entries e WHERE e.company_id = p.company_id
                                        AND e.posting_date BETWEEN p.first_day AND p.last_day)
  FROM periods p
 WHERE p.company_id = %(company)s AND p.period_id < %(period)s AND p.state <> 'locked' ORDER BY p.period_id

-- change --
-- The only way by which a period changes its state.
SELECT change_period(%(company)s, %(period)s, %(state)s, %(by)s, %(why)s)

-- may_close --
-- Whether a person has one of the roles that close periods here.
SELECT EXISTS (SELECT 1 FROM person_roles r JOIN people p USING (person_id) JOIN companies c USING (company_id)
                WHERE p.person_id = %(person)s AND c.company_id = %(company)s AND p.active
                  AND (r.role = 'admin' OR r.role = ANY(c.soft_close_roles)))

-- stands --
-- What every change of a period up to its end moves: while it stands, a checklist stands.
SELECT (SELECT (count(*), coalesce(sum(debit), 0), coalesce(sum(credit), 0))::text FROM turnovers
         WHERE company_id = %(company)s AND period_id <= %(period)s),
       (SELECT count(*) FROM cost_pools WHERE company_id = %(company)s AND late_from_us < %(end_us)s),
       (SELECT count(*) FROM journal_drafts
         WHERE company_id = %(company)s AND state = 'waiting' AND occurred_us < %(end_us)s),
       (SELECT count(*) FROM quarantine WHERE company_id = %(company)s),
       (SELECT count(*) FROM quarantine_resolutions WHERE company_id = %(company)s),
       (SELECT count(*) FROM exchange_rates WHERE company_id = %(company)s)

-- add_report --
-- Append-only, and a link of its table's chain.
INSERT INTO close_reports (company_id, period_id, passed, report, recorded_by)
VALUES (%(company)s, %(period)s, %(passed)s, %(report)s, %(by)s)

-- report --
-- The newest of a period.
SELECT passed, report, recorded_at, recorded_by, link_no, digest FROM close_reports
 WHERE company_id = %(company)s AND period_id = %(period)s ORDER BY link_no DESC LIMIT 1

-- stock_and_ledger --
-- Each account of stock at the period's end: its cost entries against its turnovers; and now: its pools against all
-- turnovers. Accounts of allowances count together, as pools do not say at which of them theirs stands.
WITH costs AS MATERIALIZED (
    SELECT p.account_id, sum(e.posted) AS at_end
      FROM (SELECT pool_id, sum(posted) AS posted FROM cost_entries
             WHERE company_id = %(company)s AND posting_date <= %(last_day)s GROUP BY 1) e
      JOIN cost_pools p ON p.company_id = %(company)s AND p.pool_id = e.pool_id GROUP BY 1),
pools AS (
    SELECT account_id, sum(posted) AS now FROM cost_pools WHERE company_id = %(company)s GROUP BY 1),
ledger AS (
    SELECT account_id, sum(debit - credit) FILTER (WHERE period_id <= %(period)s) AS at_end, sum(debit - credit) AS now
      FROM turnovers WHERE company_id = %(company)s GROUP BY 1)
SELECT a.number, a.name_zh, a.name_en, coalesce(c.at_end, 0)::bigint, coalesce(l.at_end, 0)::bigint,
       coalesce(p.now, 0)::bigint, coalesce(l.now, 0)::bigint
  FROM accounts a
  LEFT JOIN costs c USING (account_id) LEFT JOIN pools p USING (account_id) LEFT JOIN ledger l USING (account_id)
 WHERE a.company_id = %(company)s AND a.is_postable
   AND a.role IN ('raw_material', 'goods', 'in_transit', 'clarification_stock', 'wip')
 UNION ALL
SELECT coalesce(string_agg(a.number, ', ' ORDER BY a.number), ''), coalesce(min(a.name_zh), ''),
       coalesce(min(a.name_en), ''),
       -coalesce((SELECT sum(posted) FROM allowance_entries
                   WHERE company_id = %(company)s AND posting_date <= %(last_day)s), 0)::bigint,
       coalesce(sum(l.at_end), 0)::bigint,
       -coalesce((SELECT sum(allowance_posted) FROM cost_pools WHERE company_id = %(company)s), 0)::bigint,
       coalesce(sum(l.now), 0)::bigint
  FROM accounts a LEFT JOIN ledger l USING (account_id)
 WHERE a.company_id = %(company)s AND a.is_postable AND a.role = 'allowance'
 ORDER BY 1

-- stock_by_class --
-- What stock was worth at the period's end, by account and class of item. Pools are summed first: they are few.
WITH held AS MATERIALIZED (
    SELECT pool_id, sum(posted) AS posted FROM cost_entries
     WHERE company_id = %(company)s AND posting_date <= %(last_day)s GROUP BY 1)
SELECT a.number, a.name_zh, a.name_en, i.item_class, sum(h.posted)::bigint, count(DISTINCT i.item_id)
  FROM held h
  JOIN cost_pools p ON p.company_id = %(company)s AND p.pool_id = h.pool_id
  JOIN accounts a ON a.company_id = p.company_id AND a.account_id = p.account_id
  JOIN items i ON i.company_id = p.company_id AND i.item_id = p.item_id
 GROUP BY 1, 2, 3, 4 ORDER BY 1, 4

-- open_items --
-- Each account that is cleared item by item, at the period's end: its balance, its open items, and the oldest of
-- them, each with the paper or kind that it began with.
WITH found AS MATERIALIZED (
    SELECT account_id, item, max(currency) AS currency, min(posting_date) AS opened_on, sum(amount) AS amount,
           sum(currency_amount) AS currency_amount
      FROM item_amounts WHERE company_id = %(company)s AND posting_date <= %(last_day)s
     GROUP BY 1, 2 HAVING sum(amount) <> 0 OR sum(currency_amount) <> 0),
summed AS (
    SELECT account_id, count(*) AS n, sum(amount) AS amount,
           count(*) FILTER (WHERE opened_on < %(last_day)s::date - %(days)s::integer) AS old
      FROM found GROUP BY 1),
first AS (
    SELECT account_id, item, currency, opened_on, amount, currency_amount FROM (
        SELECT *, row_number() OVER (PARTITION BY account_id ORDER BY opened_on, item) AS place FROM found) f
     WHERE place <= %(limit)s),
ledger AS (
    SELECT account_id, sum(debit - credit) AS balance FROM turnovers
     WHERE company_id = %(company)s AND period_id <= %(period)s GROUP BY 1)
SELECT a.role, a.number, a.name_zh, a.name_en, coalesce(l.balance, 0)::bigint, coalesce(s.amount, 0)::bigint,
       coalesce(s.n, 0)::bigint, coalesce(s.old, 0)::bigint, f.item, coalesce(k.name, ''), coalesce(e.document, ''),
       f.opened_on, %(last_day)s::date - f.opened_on, f.amount::bigint, coalesce(c.code::text, ''),
       f.currency_amount::bigint
  FROM accounts a
  LEFT JOIN ledger l USING (account_id)
  LEFT JOIN summed s USING (account_id)
  LEFT JOIN first f USING (account_id)
  LEFT JOIN journal_entries e ON e.company_id = a.company_id AND e.source_id = f.item AND e.step = 0
  LEFT JOIN movement_kinds k USING (kind)
  LEFT JOIN currencies c ON c.currency = f.currency
 WHERE a.company_id = %(company)s AND a.has_items
 ORDER BY a.number, f.opened_on, f.item

-- layers --
-- Goods in transit and in clarification: what their pools hold, the layers that explain it, and the oldest of those
-- that were there at the period's end.
WITH pools AS (
    SELECT a.account_id, p.pool_id, p.item_id, p.site_id, p.value
      FROM accounts a JOIN cost_pools p USING (company_id, account_id)
     WHERE a.company_id = %(company)s AND a.role IN ('in_transit', 'clarification_stock')),
found AS (
    SELECT p.account_id, p.item_id, p.site_id, l.movement_id, l.qty_left, l.value_left, l.posting_date,
           row_number() OVER (PARTITION BY p.account_id ORDER BY l.posting_date, l.movement_id) AS place
      FROM pools p JOIN cost_layers l ON l.company_id = %(company)s AND l.pool_id = p.pool_id),
summed AS (
    SELECT account_id, sum(value_left) AS value, count(*) FILTER (WHERE posting_date <= %(last_day)s) AS n,
           count(*) FILTER (WHERE posting_date < %(last_day)s::date - %(days)s::integer) AS old
      FROM found GROUP BY 1)
SELECT a.role, a.number, a.name_zh, a.name_en,
       coalesce((SELECT sum(p.value) FROM pools p WHERE p.account_id = a.account_id), 0)::bigint,
       coalesce(s.value, 0)::bigint, coalesce(s.n, 0)::bigint, coalesce(s.old, 0)::bigint, f.movement_id,
       coalesce(i.code, ''), coalesce(t.code, ''), f.posting_date, %(last_day)s::date - f.posting_date, f.qty_left,
       f.value_left
  FROM accounts a
  LEFT JOIN summed s USING (account_id)
  LEFT JOIN found f ON f.account_id = a.account_id AND f.place <= %(limit)s AND f.posting_date <= %(last_day)s
  LEFT JOIN items i ON i.company_id = a.company_id AND i.item_id = f.item_id
  LEFT JOIN locations t ON t.company_id = a.company_id AND t.location_id = f.site_id
 WHERE a.company_id = %(company)s AND a.role IN ('in_transit', 'clarification_stock') AND a.is_postable
 ORDER BY a.number, f.posting_date, f.movement_id

-- drafts --
-- Shipments up to the period's end that wait for their invoice; every row tells of how many.
SELECT count(*) OVER (), d.movement_id, coalesce(p.code, ''), d.document, i.code, d.net_amount, c.code, c.minor_digits,
       to_timestamp(d.occurred_us / 1e6)
  FROM journal_drafts d
  JOIN items i USING (company_id, item_id)
  JOIN companies o USING (company_id)
  LEFT JOIN parties p USING (company_id, party_id)
  LEFT JOIN currencies c ON CASE d.currency WHEN 0 THEN c.code = o.currency ELSE c.currency = d.currency END
 WHERE d.company_id = %(company)s AND d.state = 'waiting' AND d.occurred_us < %(end_us)s
 ORDER BY d.occurred_us, d.movement_id LIMIT %(limit)s

-- waiting_pools --
-- Pools that wait for re-costing from before the period's end.
SELECT count(*) OVER (), i.code, coalesce(l.code, ''), a.number, to_timestamp(p.late_from_us / 1e6)
  FROM cost_pools p
  JOIN items i USING (company_id, item_id)
  JOIN accounts a USING (company_id, account_id)
  LEFT JOIN locations l ON l.company_id = p.company_id AND l.location_id = p.site_id
 WHERE p.company_id = %(company)s AND p.late_from_us < %(end_us)s
 ORDER BY p.late_from_us, p.pool_id LIMIT %(limit)s

-- next_period --
-- Whether an open period follows.
SELECT EXISTS (SELECT 1 FROM periods WHERE company_id = %(company)s AND period_id > %(period)s AND state = 'open')

-- quarantine --
-- What waits in quarantine; nobody can tell of which period it is.
SELECT count(*) OVER (), q.quarantine_id, g.site || '/' || g.code, q.first_seq, q.last_seq, q.reason, q.recorded_at
  FROM quarantine q JOIN gateways g USING (company_id, gateway_id)
 WHERE q.company_id = %(company)s
   AND NOT EXISTS (SELECT 1 FROM quarantine_resolutions r
                    WHERE r.company_id = q.company_id AND r.quarantine_id = q.quarantine_id)
 ORDER BY q.quarantine_id LIMIT %(limit)s

-- open_observations --
-- Sightings up to the period's end of tags without an item.
SELECT count(*) OVER (), w.epc, o.direction, t.code, to_timestamp(o.occurred_us / 1e6)
  FROM open_observations w
  JOIN observations o ON o.company_id = w.company_id AND o.epc = w.epc AND o.movement_id = w.movement_id
  LEFT JOIN gates t ON t.company_id = o.company_id AND t.gate_id = o.gate_id
 WHERE w.company_id = %(company)s AND o.occurred_us < %(end_us)s
 ORDER BY o.occurred_us, w.epc LIMIT %(limit)s

-- stopped_logs --
-- Logs of which nothing more is applied.
SELECT count(*) OVER (), g.site || '/' || g.code, l.epoch, l.applied_seq, l.stopped
  FROM gateway_logs l JOIN gateways g USING (company_id, gateway_id)
 WHERE l.company_id = %(company)s AND l.stopped IS NOT NULL ORDER BY 2, l.epoch LIMIT %(limit)s

-- silent_gateways --
-- Gateways that were not heard online since the period ended: what they saw in it may still come.
SELECT count(*) OVER (), g.site || '/' || g.code, s.received_at, coalesce(s.online, false)
  FROM gateways g LEFT JOIN gateway_status s USING (company_id, gateway_id)
 WHERE g.company_id = %(company)s
   AND (s.received_at IS NULL OR NOT s.online OR s.received_at < to_timestamp(%(end_us)s / 1e6))
 ORDER BY 2 LIMIT %(limit)s

-- foreign_balances --
-- Currencies in which monetary accounts have a balance at the period's end.
SELECT t.currency, string_agg(DISTINCT a.number, ', '), sum(abs(t.balance))::bigint
  FROM (SELECT account_id, currency, sum(currency_debit - currency_credit) AS balance FROM turnovers
         WHERE company_id = %(company)s AND period_id <= %(period)s AND currency <> 0
         GROUP BY 1, 2 HAVING sum(currency_debit - currency_credit) <> 0) t
  JOIN accounts a ON a.company_id = %(company)s AND a.account_id = t.account_id
 WHERE a.is_monetary GROUP BY 1 ORDER BY 1

-- unnumbered --
-- Entries of the period without a voucher number.
SELECT count(*) FROM journal_entries e
  LEFT JOIN voucher_numbers v USING (company_id, source_id, step)
 WHERE e.company_id = %(company)s AND e.posting_date BETWEEN %(first_day)s AND %(last_day)s AND v.number IS NULL

-- turnovers --
-- Every account with a balance or a turnover: opening, debit, credit of the period, closing.
SELECT a.number, a.name_zh, a.name_en, a.account_type, t.opening::bigint, t.debit::bigint, t.credit::bigint,
       (t.opening + t.debit - t.credit)::bigint
  FROM (SELECT account_id, coalesce(sum(debit - credit) FILTER (WHERE period_id < %(period)s), 0) AS opening,
               coalesce(sum(debit) FILTER (WHERE period_id = %(period)s), 0) AS debit,
               coalesce(sum(credit) FILTER (WHERE period_id = %(period)s), 0) AS credit
          FROM turnovers WHERE company_id = %(company)s AND period_id <= %(period)s GROUP BY 1) t
  JOIN accounts a ON a.company_id = %(company)s AND a.account_id = t.account_id
 WHERE t.opening <> 0 OR t.debit <> 0 OR t.credit <> 0 ORDER BY a.number

-- entries_by_kind --
-- How many entries the period has of each kind, how many of them are tagged late, and how many stand for corrections.
SELECT k.name, count(*), count(*) FILTER (WHERE e.tags & 1 = 1), count(*) FILTER (WHERE e.corrects IS NOT NULL)
  FROM journal_entries e JOIN movement_kinds k USING (kind)
 WHERE e.company_id = %(company)s AND e.posting_date BETWEEN %(first_day)s AND %(last_day)s
 GROUP BY k.kind, k.name ORDER BY k.kind

-- late_or_adjusting --
-- The newest entries of the period that came late, or that adjust what others posted, with their amount.
SELECT e.source_id, e.step, k.name, e.posting_date, e.tags & 1 = 1, e.document, e.recorded_at, l.amount::bigint
  FROM journal_entries e
  JOIN movement_kinds k USING (kind)
  CROSS JOIN LATERAL (SELECT sum(greatest(amount, 0)) AS amount FROM journal_lines x
                       WHERE x.company_id = e.company_id AND x.source_id = e.source_id AND x.step = e.step) l
 WHERE e.company_id = %(company)s AND e.posting_date BETWEEN %(first_day)s AND %(last_day)s
   AND CASE WHEN %(late)s THEN e.tags & 1 = 1 ELSE e.kind IN (37, 38, 54, 56, 57) OR e.corrects IS NOT NULL END
 ORDER BY e.recorded_at DESC, e.source_id, e.step LIMIT %(limit)s

-- heads --
-- The newest link of every lane's chain, and of each small table's.
SELECT 'lane ' || lane, batch_no, encode(head, 'hex') FROM lane_heads WHERE company_id = %(company)s
 UNION ALL
SELECT name, link_no, encode(head, 'hex') FROM chain_heads WHERE name IN ('period_events', 'close_reports', 'exchange_rates')
 ORDER BY 1
