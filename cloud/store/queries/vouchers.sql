-- number --
-- Give numbers to entries that have none: see the function in migration 0008. `period` null: of every period.
SELECT number_vouchers(%(company)s, %(period)s::integer)

-- companies_that_wait --
-- Companies with batches behind their mark that no transaction can come before any more.
SELECT c.company_id FROM companies c LEFT JOIN voucher_marks m ON m.company_id = c.company_id AND m.period_id = 0
 WHERE EXISTS (SELECT FROM batches b WHERE b.company_id = c.company_id AND b.xid >= coalesce(m.xid, '0')
                  AND b.xid < pg_snapshot_xmin(pg_current_snapshot()))
 ORDER BY 1

-- unnumbered --
-- Entries of a period that have no number yet.
SELECT count(*) FROM periods p JOIN journal_entries e ON e.company_id = p.company_id
   AND e.posting_date BETWEEN p.first_day AND p.last_day
  LEFT JOIN voucher_numbers v ON v.company_id = e.company_id AND v.source_id = e.source_id AND v.step = e.step
 WHERE p.company_id = %(company)s AND p.period_id = %(period)s AND v.number IS NULL

-- in_order --
-- A period's numbered entries behind a word and number, in the order of their numbers.
SELECT e.xid::text, e.lane, e.batch_no, e.row_no, e.source_id, e.step, e.origin, e.kind, e.posting_date,
       e.period_id, e.tags, e.corrects, e.document, e.recorded_at, d.narration, d.recorded_by, p.code AS party,
       v.word || '-' || v.number AS voucher
  FROM voucher_numbers v JOIN journal_entries e USING (company_id, source_id, step)
  LEFT JOIN ledger_documents d ON d.company_id = e.company_id AND d.document_id = e.source_id AND e.origin <> 1
  LEFT JOIN parties p ON p.company_id = d.company_id AND p.party_id = d.party_id
 WHERE v.company_id = %(company)s AND v.period_id = %(period)s
   AND (%(only)s::text IS NULL OR v.word = %(only)s)
   AND (v.word, v.number) > (%(word)s, %(number)s)
 ORDER BY v.word, v.number LIMIT %(limit)s

-- check --
-- Promise 3: numbers of each period and word that are not 1, 2, 3 … in recorded order, that stand for no entry or one
-- of another period, are not its only one, or under the wrong word; and entries without a number that are behind their mark or in a period
-- that is locked. Numbers of before a company used three words keep the one word.
SELECT (SELECT count(*) FROM (
            SELECT v.number, e.xid IS NOT NULL AS is_there,
                   row_number() OVER (PARTITION BY v.company_id, v.period_id, v.word
                                      ORDER BY e.xid, e.lane, e.batch_no, e.row_no, e.source_id, e.step) AS place,
                   count(*) OVER (PARTITION BY v.company_id, v.source_id, v.step) = 1 AS is_only,
                   v.word = '记' OR v.word = coalesce(
                       (SELECT CASE WHEN bool_or(l.amount < 0) THEN '付' WHEN bool_or(l.amount > 0) THEN '收' END
                          FROM journal_lines l JOIN cash_accounts c USING (company_id, account_id)
                         WHERE v.word <> '记' AND l.company_id = v.company_id AND l.source_id = v.source_id
                           AND l.step = v.step), '转') AS is_worded
              FROM voucher_numbers v LEFT JOIN journal_entries e USING (company_id, source_id, step, period_id)) n
         WHERE number <> place OR NOT is_there OR NOT is_only OR NOT is_worded)
     + (SELECT count(*) FROM journal_entries e
          LEFT JOIN voucher_numbers v USING (company_id, source_id, step)
         WHERE v.number IS NULL
           AND (e.xid < greatest((SELECT xid FROM voucher_marks m WHERE m.company_id = e.company_id AND m.period_id = 0),
                                 (SELECT xid FROM voucher_marks m WHERE m.company_id = e.company_id
                                                                    AND m.period_id = e.period_id))
                OR EXISTS (SELECT FROM periods p WHERE p.company_id = e.company_id AND p.period_id = e.period_id
                                                   AND p.state = 'locked')))
