-- place_in_log --
-- Under which number of which log a movement was born: a correction has the place of the passage that it corrects.
SELECT gateway_id, epoch, seq FROM movements WHERE company_id = %(company)s AND movement_id = %(id)s

-- times_moved --
-- How many movements stand under each of these passages: made, undone, made again. Odd: the books say it moved.
SELECT q.id, (SELECT count(*) FROM movements m WHERE m.company_id = %(company)s AND m.movement_id = q.id)
           + (SELECT count(*) FROM movements c WHERE c.company_id = %(company)s AND c.corrects = q.id)
  FROM unnest(%(ids)s::uuid[]) q (id)

-- vouchers --
-- The journal entries of these movements with their voucher numbers, where they have one yet.
SELECT e.source_id, e.step, e.period_id, n.word || '-' || n.number
  FROM journal_entries e
  LEFT JOIN voucher_numbers n ON n.company_id = e.company_id AND n.source_id = e.source_id AND n.step = e.step
 WHERE e.company_id = %(company)s AND e.source_id = ANY(%(ids)s) ORDER BY e.source_id, e.step

-- sides --
-- What lies on the two sides of a gate.
SELECT i.code, i.name, o.code, o.name
  FROM gates g
  JOIN locations i ON i.company_id = g.company_id AND i.location_id = g.inside_id
  JOIN locations o ON o.company_id = g.company_id AND o.location_id = g.outside_id
 WHERE g.company_id = %(company)s AND g.code = %(gate)s
