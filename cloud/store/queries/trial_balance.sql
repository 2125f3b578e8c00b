-- accounts --
-- The chart: a few hundred rows.
SELECT account_id, number, name_zh, name_en, account_type, NOT is_postable AS is_header, coalesce(parent_id, 0) AS parent_id
  FROM accounts WHERE company_id = %(company)s

-- sums --
-- Turnovers of all lanes, before and within some periods; apart by dimension set and currency where asked for.
SELECT t.account_id, coalesce(d.code, '') AS dimension, coalesce(c.code::text, '') AS currency,
       coalesce(c.minor_digits, 0) AS digits,
       coalesce(sum(t.debit - t.credit) FILTER (WHERE t.period_id < %(first)s), 0)::bigint AS opening,
       coalesce(sum(t.debit) FILTER (WHERE t.period_id >= %(first)s), 0)::bigint AS debit,
       coalesce(sum(t.credit) FILTER (WHERE t.period_id >= %(first)s), 0)::bigint AS credit,
       coalesce(sum(t.currency_debit - t.currency_credit) FILTER (WHERE t.period_id < %(first)s), 0)::bigint
           AS currency_opening,
       coalesce(sum(t.currency_debit) FILTER (WHERE t.period_id >= %(first)s), 0)::bigint AS currency_debit,
       coalesce(sum(t.currency_credit) FILTER (WHERE t.period_id >= %(first)s), 0)::bigint AS currency_credit
  FROM turnovers t
  LEFT JOIN dimension_sets d ON %(by_dimension)s AND d.company_id = t.company_id AND d.dimension_id = t.dimension_id
  LEFT JOIN currencies c ON %(by_currency)s AND c.currency = t.currency
 WHERE t.company_id = %(company)s AND t.period_id <= %(last)s
 GROUP BY t.account_id, d.code, c.code, c.minor_digits

-- days --
-- The first and the last day of a run of periods; nothing where an end of it is not in the calendar.
SELECT a.first_day, b.last_day FROM periods a JOIN periods b USING (company_id)
 WHERE company_id = %(company)s AND a.period_id = %(first)s AND b.period_id = %(last)s

-- stock_at --
-- What stock was worth at the end of a day by the cost entries, in ledger amounts; allowances stand against it on an
-- account of their own.
SELECT a.account_id, coalesce(s.posted, 0)::bigint AS valuation
  FROM accounts a
  LEFT JOIN (SELECT p.account_id, sum(c.posted) AS posted
               FROM cost_pools p JOIN cost_entries c USING (company_id, pool_id)
              WHERE p.company_id = %(company)s AND c.posting_date <= %(day)s GROUP BY 1
              UNION ALL
             SELECT o.account_id, -sum(w.posted)
               FROM allowance_entries w JOIN accounts o ON o.company_id = w.company_id AND o.role = 'allowance'
              WHERE w.company_id = %(company)s AND w.posting_date <= %(day)s GROUP BY 1) s USING (account_id)
 WHERE a.company_id = %(company)s
   AND a.role IN ('raw_material', 'goods', 'in_transit', 'clarification_stock', 'wip', 'allowance')
