-- heads --
-- Promise 3: every head that a gateway says it was told, or that a kept message tells, and whether a batch of that
-- gateway's lane has it. What was told before a restore may be lost; what nobody was told by this database is not its.
-- Zeros are what stands before the first link of every chain: a gateway is told them when its first message was a gap.
WITH life AS (SELECT coalesce(max(incarnation), 0) AS incarnation FROM incarnations),
said AS (
    SELECT s.company_id, s.gateway_id, coalesce((s.status ->> 'incarnation')::bigint, 0) AS incarnation,
           e ->> 'epoch' AS epoch, e ->> 'head' AS head
      FROM gateway_status s CROSS JOIN LATERAL jsonb_array_elements(s.status -> 'epochs') e
     UNION ALL
    SELECT l.company_id, l.gateway_id, k.incarnation, k.epoch, k.head
      FROM unnest(%(incarnation)s::bigint[], %(epoch)s::text[], %(head)s::text[]) k (incarnation, epoch, head)
      LEFT JOIN gateway_logs l ON l.epoch = k.epoch::uuid)
SELECT coalesce(g.site || '/' || g.code, 'a gateway that is not known') || ' (' || left(d.epoch, 8) || ')', d.head,
       CASE WHEN b.head IS NOT NULL OR d.head = repeat('0', 64) THEN 'there' WHEN d.incarnation < life.incarnation THEN 'before'
            ELSE 'missing' END
  FROM said d CROSS JOIN life
  LEFT JOIN gateways g ON g.company_id = d.company_id AND g.gateway_id = d.gateway_id
  LEFT JOIN (SELECT DISTINCT company_id, lane, encode(head, 'hex') AS head FROM batches) b
       ON b.company_id = g.company_id AND b.lane = g.lane AND b.head = d.head
 WHERE d.head <> ''
 ORDER BY d.company_id, d.gateway_id, d.epoch
