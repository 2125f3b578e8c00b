-- first_wrong --
-- Promise 3: the first number that is not its place in recorded order, or stands for no entry of its period; else the
-- first entry that should have one.
SELECT format('voucher %%s %%s of period %%s, company %%s (%%s.%%s)', word, number, period_id, company_id, source_id, step)
  FROM (SELECT v.*, e.xid IS NOT NULL AS is_there,
               row_number() OVER (PARTITION BY v.company_id, v.period_id, v.word
                                  ORDER BY e.xid, e.lane, e.batch_no, e.row_no, e.source_id, e.step) AS place,
               count(*) OVER (PARTITION BY v.company_id, v.source_id, v.step) = 1 AS is_only
          FROM voucher_numbers v LEFT JOIN journal_entries e USING (company_id, source_id, step, period_id)) n
 WHERE number <> place OR NOT is_there OR NOT is_only OR word NOT IN ('记', '收', '付', '转')
 ORDER BY is_there AND is_only AND word IN ('记', '收', '付', '转'), company_id, period_id, word, number LIMIT 1

-- first_without --
-- Promise 3: the first entry without a number, of those recorded before the newest one that has.
SELECT format('entry %%s.%%s of period %%s, company %%s has no number', e.source_id, e.step, e.period_id, e.company_id)
  FROM journal_entries e LEFT JOIN voucher_numbers v USING (company_id, source_id, step)
 WHERE v.number IS NULL ORDER BY e.xid, e.lane, e.batch_no, e.row_no LIMIT 1
