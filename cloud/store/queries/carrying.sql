-- periods --
-- The calendar, in order.
SELECT period_id, first_day, last_day, state FROM periods WHERE company_id = %(company)s ORDER BY first_day

-- year_begins --
-- The first month of the company's fiscal year.
SELECT fiscal_year_month FROM companies WHERE company_id = %(company)s

-- results --
-- What revenues and expenses stand at when a day is over, by account and dimension set, and into what they close: the
-- year's profit, but under ASBE 6901 (以前年度损益调整), what is put right of earlier years, into retained earnings.
SELECT t.account_id, t.dimension_id, a.account_type, c.profile = 'ASBE' AND a.number LIKE '6901%%' AS of_earlier_years,
       sum(t.debit - t.credit)::bigint AS amount
  FROM turnovers t
  JOIN periods p USING (company_id, period_id)
  JOIN accounts a USING (company_id, account_id)
  JOIN companies c USING (company_id)
 WHERE t.company_id = %(company)s AND p.last_day <= %(day)s AND a.account_type IN ('revenue', 'expense')
 GROUP BY t.account_id, t.dimension_id, a.account_type, a.number, c.profile
HAVING sum(t.debit - t.credit) <> 0
 ORDER BY a.number, t.dimension_id

-- standing --
-- What the account of a role stands at when a day is over, by dimension set.
SELECT a.account_id, t.dimension_id, coalesce(sum(t.debit - t.credit) FILTER (WHERE p.last_day <= %(day)s), 0)::bigint
  FROM accounts a
  LEFT JOIN turnovers t USING (company_id, account_id)
  LEFT JOIN periods p USING (company_id, period_id)
 WHERE a.company_id = %(company)s AND a.role = %(role)s AND a.site_id IS NULL
 GROUP BY a.account_id, t.dimension_id ORDER BY t.dimension_id
