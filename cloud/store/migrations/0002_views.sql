-- Views that people, boards and the API read: names beside numbers, minor units beside currencies.

CREATE VIEW stock_value AS
SELECT p.company_id, p.account_id, a.number, a.name_zh, a.name_en,
       sum(p.value)::bigint AS value_micro, sum(p.posted)::bigint AS posted
  FROM cost_pools p JOIN accounts a USING (company_id, account_id)
 GROUP BY p.company_id, p.account_id, a.number, a.name_zh, a.name_en;

-- The ledger's side of the same accounts, from the turnovers of all lanes.
CREATE VIEW account_balances AS
SELECT a.company_id, a.account_id, a.number, a.name_zh, a.name_en, a.role, a.is_control,
       coalesce(sum(t.debit), 0)::bigint AS debit, coalesce(sum(t.credit), 0)::bigint AS credit,
       coalesce(sum(t.debit - t.credit), 0)::bigint AS balance
  FROM accounts a LEFT JOIN turnovers t USING (company_id, account_id)
 GROUP BY a.company_id, a.account_id;

CREATE VIEW stock_ledger_difference AS
SELECT b.company_id, coalesce(sum(s.posted), 0)::bigint AS stock_value,
       sum(b.balance)::bigint AS ledger,
       (coalesce(sum(s.posted), 0) - sum(b.balance))::bigint AS difference
  FROM account_balances b LEFT JOIN stock_value s USING (company_id, account_id)
 WHERE b.role IN ('raw_material', 'goods', 'in_transit', 'clarification_stock')
 GROUP BY b.company_id;
