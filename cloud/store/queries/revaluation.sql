-- period --
-- A period, its state, and the first day of the one behind it, where the calendar goes on.
SELECT p.first_day, p.last_day, p.state,
       (SELECT min(n.first_day) FROM periods n WHERE n.company_id = p.company_id AND n.first_day > p.last_day)
  FROM periods p WHERE p.company_id = %(company)s AND p.period_id = %(period)s

-- balances --
-- What monetary accounts hold in other currencies at a period's end, and what that stands at in the books.
SELECT a.account_id, a.number, t.dimension_id, t.currency,
       sum(t.currency_debit - t.currency_credit)::bigint, sum(t.debit - t.credit)::bigint
  FROM turnovers t JOIN accounts a USING (company_id, account_id)
 WHERE t.company_id = %(company)s AND a.is_monetary AND t.currency <> 0 AND t.period_id <= %(period)s
 GROUP BY a.account_id, a.number, t.dimension_id, t.currency
HAVING sum(t.currency_debit - t.currency_credit) <> 0 OR sum(t.debit - t.credit) <> 0
 ORDER BY t.currency, a.number, t.dimension_id

-- exchange_accounts --
-- The accounts that take gains and losses by rate, by role.
SELECT role, account_id FROM accounts
 WHERE company_id = %(company)s AND role IN ('exchange_gain', 'exchange_loss') AND site_id IS NULL

-- before --
-- How often the period was revalued before.
SELECT count(*) FROM ledger_documents
 WHERE company_id = %(company)s AND kind = %(kind)s AND details ->> 'period' = %(period)s::text
   AND details ->> 'reverses' IS NULL
