-- accounts --
-- Accounts with items: all, or those at and below one. Named one by one they tell the planner how many lines they have.
WITH RECURSIVE below AS (
    SELECT account_id FROM accounts
     WHERE company_id = %(company)s AND (number = %(account)s OR %(account)s::text IS NULL)
     UNION
    SELECT a.account_id FROM below b JOIN accounts a ON a.company_id = %(company)s AND a.parent_id = b.account_id)
SELECT account_id FROM below JOIN accounts a USING (account_id) WHERE a.company_id = %(company)s AND a.has_items

-- items --
-- What is open on accounts with items at the end of a day, oldest first within each account, with the words of what
-- opened it. The sums come first and alone: what they are of is asked for the items of the page only. The two halves are
-- those of the view item_amounts without its join to accounts: with it the planner expects few lines of any account, and
-- looks up the entry of each of a million.
WITH opened AS MATERIALIZED (
    SELECT account_id, item, max(currency) AS currency, min(posting_date) AS opened_on, sum(amount)::bigint AS amount,
           sum(currency_amount)::bigint AS currency_amount
      FROM (SELECT l.account_id, coalesce(l.open_item, e.corrects, e.source_id) AS item, e.posting_date, l.amount,
                   l.currency, l.currency_amount
              FROM journal_lines l JOIN journal_entries e USING (company_id, source_id, step)
             WHERE l.company_id = %(company)s AND l.account_id = ANY(%(accounts)s) AND e.kind <> 38
               AND e.posting_date <= %(as_of)s
             UNION ALL
            SELECT c.counter_account, coalesce(c.corrects, c.movement_id), c.posting_date, -c.posted, 0, 0
              FROM cost_entries c
             WHERE c.company_id = %(company)s AND c.counter_account = ANY(%(accounts)s) AND c.journal_id IS NOT NULL
               AND c.posted <> 0 AND c.posting_date <= %(as_of)s) amounts
     GROUP BY account_id, item HAVING sum(amount) <> 0 OR sum(currency_amount) <> 0),
page AS MATERIALIZED (
    SELECT a.number, a.name_zh, a.name_en, o.*
      FROM opened o JOIN accounts a ON a.company_id = %(company)s AND a.account_id = o.account_id
      -- Whose it is, only where that is asked for.
      LEFT JOIN movements m ON %(party)s::text IS NOT NULL AND m.company_id = %(company)s AND m.movement_id = o.item
      LEFT JOIN value_events v ON %(party)s::text IS NOT NULL AND v.company_id = %(company)s AND v.event_id = o.item
      LEFT JOIN ledger_documents d
             ON %(party)s::text IS NOT NULL AND d.company_id = %(company)s AND d.document_id = o.item
     WHERE (a.number, o.opened_on, o.item) > (%(after_account)s::text, %(after_day)s::date, %(after_item)s::uuid)
       AND (%(party)s::text IS NULL OR coalesce(m.party_id, v.party_id, d.party_id) IN (
            SELECT party_id FROM parties WHERE company_id = %(company)s AND code = %(party)s))
     ORDER BY a.number, o.opened_on, o.item LIMIT %(limit)s)
SELECT o.number AS account, o.name_zh AS account_zh, o.name_en AS account_en, o.opened_on, o.item, o.amount,
       c.code AS currency, c.minor_digits AS currency_digits, o.currency_amount,
       coalesce(m.kind, v.kind, d.kind) AS kind, coalesce(m.document, v.document, d.number) AS document,
       p.code AS party, p.name AS party_name, m.qty_micro, i.unit, i.code AS goods, i.name_zh AS goods_zh,
       i.name_en AS goods_en, d.narration
  FROM page o
  LEFT JOIN currencies c ON c.currency = o.currency
  LEFT JOIN movements m ON m.company_id = %(company)s AND m.movement_id = o.item
  LEFT JOIN value_events v ON v.company_id = %(company)s AND v.event_id = o.item
  LEFT JOIN ledger_documents d ON d.company_id = %(company)s AND d.document_id = o.item
  LEFT JOIN items i ON i.company_id = %(company)s AND i.item_id = coalesce(m.item_id, v.item_id)
  LEFT JOIN parties p ON p.company_id = %(company)s AND p.party_id = coalesce(m.party_id, v.party_id, d.party_id)
 ORDER BY o.number, o.opened_on, o.item

-- layers --
-- The items of goods in transit and in clarification are the layers of their pools, as they are now.
WITH RECURSIVE below AS (
    SELECT account_id FROM accounts WHERE company_id = %(company)s AND number = %(account)s
     UNION
    SELECT a.account_id FROM below b JOIN accounts a ON a.company_id = %(company)s AND a.parent_id = b.account_id)
SELECT a.number AS account, a.name_zh AS account_zh, a.name_en AS account_en, l.posting_date AS opened_on,
       l.movement_id AS item, l.pool_id, l.layer_no, l.qty_left, l.value_left, l.uncosted, l.occurred_us, m.kind,
       m.document, p.code AS party, p.name AS party_name, i.unit, i.code AS goods, i.name_zh AS goods_zh,
       i.name_en AS goods_en
  FROM accounts a
  JOIN cost_pools k ON k.company_id = a.company_id AND k.account_id = a.account_id
  JOIN cost_layers l ON l.company_id = k.company_id AND l.pool_id = k.pool_id
  LEFT JOIN items i ON i.company_id = k.company_id AND i.item_id = k.item_id
  LEFT JOIN movements m ON m.company_id = l.company_id AND m.movement_id = l.movement_id
  LEFT JOIN parties p ON p.company_id = m.company_id AND p.party_id = m.party_id
 WHERE a.company_id = %(company)s AND a.role IN ('in_transit', 'clarification_stock')
   AND (%(account)s::text IS NULL OR a.account_id IN (SELECT account_id FROM below))
   AND (%(party)s::text IS NULL OR p.code = %(party)s)
   AND (a.number, l.posting_date, l.movement_id, l.pool_id, l.layer_no)
       > (%(after_account)s::text, %(after_day)s::date, %(after_item)s::uuid, %(after_pool)s, %(after_layer)s)
 ORDER BY a.number, l.posting_date, l.movement_id, l.pool_id, l.layer_no LIMIT %(limit)s

-- kept_by_layers --
-- Whether an account's items are layers, or may be among those below it.
SELECT EXISTS (SELECT FROM accounts WHERE company_id = %(company)s AND number = %(account)s) AS is_there,
       EXISTS (SELECT FROM accounts WHERE company_id = %(company)s AND number = %(account)s
                  AND role IN ('in_transit', 'clarification_stock')) AS by_layers

-- differences --
-- Accounts whose balance is not the sum of their items, in the company's currency or another, and accounts of goods
-- in transit and in clarification whose balance is not what the layers of their pools come to.
SELECT coalesce(count(*), 0), coalesce(sum(difference), 0) FROM (
    SELECT abs(coalesce(t.amount, 0) - coalesce(i.amount, 0))
           + abs(coalesce(t.currency_amount, 0) - coalesce(i.currency_amount, 0)) AS difference
      FROM (SELECT t.company_id, t.account_id, t.currency, sum(t.debit - t.credit) AS amount,
                   sum(t.currency_debit - t.currency_credit) AS currency_amount
              FROM turnovers t JOIN accounts a USING (company_id, account_id) WHERE a.has_items GROUP BY 1, 2, 3) t
      FULL JOIN (SELECT company_id, account_id, currency, sum(amount) AS amount,
                        sum(currency_amount) AS currency_amount
                   FROM item_amounts GROUP BY 1, 2, 3) i USING (company_id, account_id, currency)
     UNION ALL
    SELECT abs(coalesce(b.amount, 0) - coalesce(l.amount, 0))
      FROM accounts a
      LEFT JOIN (SELECT company_id, account_id, sum(debit - credit) AS amount FROM turnovers GROUP BY 1, 2) b
           USING (company_id, account_id)
      LEFT JOIN (SELECT k.company_id, k.account_id, sum(round(l.value / k.minor_unit)) AS amount
                   FROM cost_pools k
                   JOIN (SELECT company_id, pool_id, sum(value_left) AS value FROM cost_layers GROUP BY 1, 2) l
                        USING (company_id, pool_id)
                  GROUP BY 1, 2) l USING (company_id, account_id)
     WHERE a.role IN ('in_transit', 'clarification_stock')) found
 WHERE difference <> 0
