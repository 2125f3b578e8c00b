-- periods --
-- Promise 4: entries whose date does not lie in the period they name.
SELECT count(*) FROM journal_entries e LEFT JOIN periods p USING (company_id, period_id)
 WHERE p.period_id IS NULL OR e.posting_date NOT BETWEEN p.first_day AND p.last_day

-- states --
-- Promise 4: periods whose state is not where their recorded changes led, changes that no period may make, changes of
-- periods that are not there, days that two periods have, and a locked period behind one that is not.
WITH walked AS (
    SELECT company_id, period_id, from_state, to_state,
           lag(to_state, 1, 'open') OVER before AS stood_at, lead(link_no) OVER before AS next_link
      FROM period_events WINDOW before AS (PARTITION BY company_id, period_id ORDER BY link_no))
SELECT (SELECT count(*) FROM periods p
          FULL JOIN (SELECT * FROM walked WHERE next_link IS NULL) w USING (company_id, period_id)
         WHERE p.state IS DISTINCT FROM coalesce(w.to_state, 'open'))
     + (SELECT count(*) FROM walked
         WHERE from_state <> stood_at OR (from_state, to_state) NOT IN (('open', 'soft_closed'), ('soft_closed', 'open'),
                                                                        ('soft_closed', 'locked')))
     + (SELECT count(*) FROM periods p JOIN periods q ON q.company_id = p.company_id AND q.period_id > p.period_id
         WHERE q.first_day <= p.last_day OR (q.state = 'locked' AND p.state <> 'locked'))

-- after_lock --
-- Promise 4: entries, costs and allowances of a locked period in batches behind the ends that the lanes had when it
-- was locked; and ends of lanes that no lane has reached.
WITH locks AS (
    SELECT DISTINCT ON (company_id, period_id) company_id, period_id, to_state, heads
      FROM period_events ORDER BY company_id, period_id, link_no DESC),
ends AS (
    SELECT k.company_id, k.period_id, p.first_day, p.last_day, lane, coalesce((k.heads ->> lane::text)::bigint, 0) AS last
      FROM locks k JOIN periods p USING (company_id, period_id) CROSS JOIN generate_series(0, 15) lane
     WHERE k.to_state = 'locked')
SELECT (SELECT count(*) FROM ends x JOIN journal_entries e USING (company_id, period_id, lane) WHERE e.batch_no > x.last)
     + (SELECT count(*) FROM ends x JOIN cost_entries c USING (company_id, lane)
         WHERE c.batch_no > x.last AND c.posting_date BETWEEN x.first_day AND x.last_day)
     + (SELECT count(*) FROM ends x JOIN allowance_entries w USING (company_id, lane)
         WHERE w.batch_no > x.last AND w.posting_date BETWEEN x.first_day AND x.last_day)
     + (SELECT count(*) FROM period_events v CROSS JOIN LATERAL jsonb_each_text(v.heads) t (lane, batch_no)
          LEFT JOIN lane_heads h ON h.company_id = v.company_id AND h.lane = t.lane::integer
         WHERE t.batch_no::bigint > coalesce(h.batch_no, 0)),
       (SELECT count(*) FROM locks WHERE to_state = 'locked')
