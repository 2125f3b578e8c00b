-- logs --
-- Promise 1: of each log, the numbers that are on the books, in quarantine or named as lost, against how far
-- it is applied; and numbers that stand there twice.
SELECT c.code || '/' || g.site || '/' || g.code || ' ' || left(l.epoch::text, 8) AS log, l.applied_seq,
       coalesce(o.numbers, 0), coalesce(o.rows, 0) - coalesce(o.numbers, 0), coalesce(q.numbers, 0),
       coalesce(s.numbers, 0), coalesce(o.highest, 0), l.stopped
  FROM gateway_logs l JOIN companies c USING (company_id) JOIN gateways g USING (company_id, gateway_id)
  LEFT JOIN (SELECT company_id, gateway_id, epoch, count(*) AS rows, count(DISTINCT seq) AS numbers, max(seq) AS highest
               FROM observations GROUP BY 1, 2, 3) o USING (company_id, gateway_id, epoch)
  LEFT JOIN (SELECT company_id, gateway_id, epoch, sum(last_seq - first_seq + 1)::bigint AS numbers
               FROM quarantine q
              WHERE first_seq > 0
                AND NOT EXISTS (SELECT 1 FROM quarantine_resolutions r WHERE r.company_id = q.company_id
                                   AND r.quarantine_id = q.quarantine_id AND r.resolution = 'booked')
              GROUP BY 1, 2, 3) q USING (company_id, gateway_id, epoch)
  LEFT JOIN LATERAL (SELECT sum(least(x.last_seq, l.applied_seq) - x.first_seq + 1)::bigint AS numbers
               FROM log_losses x
              WHERE x.company_id = l.company_id AND x.gateway_id = l.gateway_id AND x.epoch = l.epoch
                AND x.first_seq <= l.applied_seq) s ON true
 ORDER BY 1

-- requests --
-- Promise 1: movements, value events and documents that a request was promised and that are not on the books; and
-- expectations, whose ids are numbers. Told apart before any is read as what it is not.
WITH promised AS MATERIALIZED (
    SELECT r.company_id, a.id #>> '{}' AS id, jsonb_typeof(a.id) AS type
      FROM cloud_requests r CROSS JOIN LATERAL jsonb_array_elements(r.answer) a (id)),
ids AS MATERIALIZED (SELECT company_id, id::uuid FROM promised WHERE type = 'string'),
numbers AS MATERIALIZED (SELECT company_id, id::bigint FROM promised WHERE type = 'number')
SELECT (SELECT count(*) FROM ids a
         WHERE NOT EXISTS (SELECT 1 FROM movements m WHERE m.company_id = a.company_id AND m.movement_id = a.id)
           AND NOT EXISTS (SELECT 1 FROM value_events v WHERE v.company_id = a.company_id AND v.event_id = a.id)
           AND NOT EXISTS (SELECT 1 FROM ledger_documents d WHERE d.company_id = a.company_id AND d.document_id = a.id))
     + (SELECT count(*) FROM numbers a WHERE NOT EXISTS (
           SELECT 1 FROM expectations e WHERE e.company_id = a.company_id AND e.expectation_id = a.id))

-- logs_unknown --
-- Promise 1: logs of which there are numbers on the books or in quarantine, but which nobody keeps account of.
SELECT count(*)
  FROM (SELECT company_id, gateway_id, epoch FROM observations
         UNION SELECT company_id, gateway_id, epoch FROM quarantine WHERE first_seq > 0) o
  LEFT JOIN gateway_logs l USING (company_id, gateway_id, epoch)
  LEFT JOIN gateways g USING (company_id, gateway_id)
 WHERE l.epoch IS NULL OR g.gateway_id IS NULL

-- twice --
-- Promise 1: movements that stand on the books twice.
SELECT count(*) FROM (SELECT 1 FROM movements GROUP BY company_id, movement_id HAVING count(*) > 1) twice

-- losses --
-- What persons have declared lost: shown every time.
SELECT c.code || '/' || g.site || '/' || g.code || ' ' || left(l.epoch::text, 8) || ': ' || l.first_seq || ' … ' ||
       l.last_seq || ' (' || l.reason || ', ' || l.recorded_by || ')'
  FROM log_losses l JOIN companies c USING (company_id) JOIN gateways g USING (company_id, gateway_id)
 ORDER BY l.recorded_at
