-- periods --
-- Promise 4: entries whose date does not lie in the period they name.
SELECT count(*) FROM journal_entries e LEFT JOIN periods p USING (company_id, period_id)
 WHERE p.period_id IS NULL OR e.posting_date NOT BETWEEN p.first_day AND p.last_day
