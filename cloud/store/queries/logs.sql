-- registered_gateway --
-- Who may write a log here.
SELECT g.company_id, g.gateway_id, g.lane FROM gateways g JOIN companies c USING (company_id)
 WHERE c.code = %(company)s AND g.site = %(site)s AND g.code = %(gateway)s

-- unknown_gateway --
-- A gateway that nobody registered: counted, so that a person can see it; its log stays with it.
INSERT INTO unknown_gateways (address, messages) VALUES (%(address)s, %(messages)s)
ON CONFLICT (address) DO UPDATE
   SET messages = unknown_gateways.messages + excluded.messages, last_seen = now()

-- make_logs --
-- An epoch begins with the first message of it.
INSERT INTO gateway_logs (company_id, gateway_id, epoch)
SELECT %(company)s, * FROM unnest(%(gateway)s::integer[], %(epoch)s::uuid[]) ORDER BY 2, 3
ON CONFLICT DO NOTHING

-- lock_logs --
-- How far each log is applied; locked in order.
SELECT l.gateway_id, l.epoch, l.applied_seq, l.end_seq, l.stopped
  FROM gateway_logs l
  JOIN (SELECT DISTINCT * FROM unnest(%(gateway)s::integer[], %(epoch)s::uuid[])) q (gateway_id, epoch)
       USING (gateway_id, epoch)
 WHERE l.company_id = %(company)s ORDER BY l.gateway_id, l.epoch FOR UPDATE OF l

-- losses --
-- Numbers that a person has declared lost.
SELECT gateway_id, epoch, first_seq, last_seq FROM log_losses WHERE company_id = %(company)s

-- advance_logs --
-- Moved in the transaction of the effects, never apart from them.
UPDATE gateway_logs l SET applied_seq = n.applied, end_seq = coalesce(l.end_seq, nullif(n.end_seq, -1)),
                          stopped = nullif(n.stopped, '')
  FROM unnest(%(gateway)s::integer[], %(epoch)s::uuid[], %(applied)s::bigint[], %(end_seq)s::bigint[],
              %(stopped)s::text[]) n (gateway_id, epoch, applied, end_seq, stopped)
 WHERE l.company_id = %(company)s AND l.gateway_id = n.gateway_id AND l.epoch = n.epoch

-- close_epoch --
-- A gateway's status names the end of an epoch that has nothing left to send.
UPDATE gateway_logs SET end_seq = %(end_seq)s
 WHERE company_id = %(company)s AND gateway_id = %(gateway)s AND epoch = %(epoch)s AND end_seq IS NULL
   AND applied_seq <= %(end_seq)s

-- unfinished --
-- What `applied` tells a gateway: every epoch that may still grow or is not applied to its end, with the
-- chain head of the gateway's lane.
SELECT l.gateway_id, l.epoch, l.applied_seq, coalesce(encode(h.head, 'hex'), ''), l.stopped
  FROM gateway_logs l
  JOIN gateways g USING (company_id, gateway_id)
  LEFT JOIN lane_heads h ON h.company_id = l.company_id AND h.lane = g.lane
 WHERE l.company_id = %(company)s AND l.gateway_id = ANY(%(gateway)s)
   AND (l.end_seq IS NULL OR l.applied_seq < l.end_seq OR l.stopped IS NOT NULL)
 ORDER BY l.gateway_id, l.begun_at, l.epoch

-- quarantine --
-- Set aside with its bytes and its reason; it counts as applied.
INSERT INTO quarantine (company_id, gateway_id, epoch, first_seq, last_seq, recorded_at, reason, payload)
VALUES (%(company)s, %(gateway)s, %(epoch)s, %(first)s, %(last)s, %(recorded_at)s, %(reason)s, %(payload)s)

-- record_loss --
-- A person's word that numbers are gone; the log goes on behind them.
INSERT INTO log_losses (company_id, gateway_id, epoch, first_seq, last_seq, reason, recorded_by)
VALUES (%(company)s, %(gateway)s, %(epoch)s, %(first)s, %(last)s, %(reason)s, %(recorded_by)s)

-- check_leases --
-- The fence: locked for the length of the batch, so that the lanes cannot change hands under it.
SELECT lane FROM lane_leases
 WHERE company_id = %(company)s AND lane = ANY(%(lanes)s) AND worker = %(worker)s AND token = %(token)s
 ORDER BY lane FOR SHARE

-- stopped_log --
-- Where a log stands that waits for a person.
SELECT applied_seq, stopped FROM gateway_logs
 WHERE company_id = %(company)s AND gateway_id = %(gateway)s AND epoch = %(epoch)s AND stopped IS NOT NULL

-- waiting --
-- What waits in quarantine, oldest first.
SELECT q.company_id, q.quarantine_id, c.code, g.site, g.code, q.epoch, q.first_seq, q.last_seq, q.recorded_at, q.reason
  FROM quarantine q JOIN companies c USING (company_id)
  LEFT JOIN gateways g ON g.company_id = q.company_id AND g.gateway_id = q.gateway_id
 WHERE NOT EXISTS (SELECT 1 FROM quarantine_resolutions r
                    WHERE r.company_id = q.company_id AND r.quarantine_id = q.quarantine_id)
 ORDER BY q.recorded_at, q.quarantine_id

-- quarantined --
-- One of them, with its bytes; none when it is resolved. Two persons who resolve it at once come one after
-- the other, and the second finds it resolved.
SELECT q.gateway_id, q.epoch, q.first_seq, q.last_seq, q.recorded_at, q.payload, g.lane
  FROM quarantine q LEFT JOIN gateways g ON g.company_id = q.company_id AND g.gateway_id = q.gateway_id
 WHERE q.company_id = %(company)s AND q.quarantine_id = %(id)s
   AND NOT EXISTS (SELECT 1 FROM quarantine_resolutions r
                    WHERE r.company_id = q.company_id AND r.quarantine_id = q.quarantine_id)

-- resolve --
-- A person's word, kept beside what it resolves.
INSERT INTO quarantine_resolutions (company_id, quarantine_id, resolved_by, resolution, note)
VALUES (%(company)s, %(id)s, %(by)s, %(resolution)s, %(note)s)
