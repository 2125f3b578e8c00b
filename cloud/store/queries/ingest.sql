-- companies --
-- Every company has its own sixteen lanes.
SELECT company_id, code FROM companies ORDER BY company_id

-- announce --
-- This worker is there; those that have not been heard of for a lease's length are forgotten.
WITH gone AS (DELETE FROM ingest_workers WHERE seen_at < now() - make_interval(secs => %(seconds)s))
INSERT INTO ingest_workers (token, worker, seen_at) VALUES (%(token)s, %(worker)s, now())
ON CONFLICT (token) DO UPDATE SET seen_at = excluded.seen_at

-- share --
-- How many workers there are, and which of them we are, counted from 0.
SELECT count(*), count(*) FILTER (WHERE token < %(token)s) FROM ingest_workers
 WHERE seen_at >= now() - make_interval(secs => %(seconds)s)

-- withdraw --
-- A worker that stops in peace leaves its share to the others.
DELETE FROM ingest_workers WHERE token = %(token)s

-- take_lanes --
-- Of our share the lanes that nobody holds any more, and those we hold already; the row lock makes it one winner.
INSERT INTO lane_leases (company_id, lane, worker, token, expires_at)
SELECT company, lane, %(worker)s, %(token)s, now() + make_interval(secs => %(seconds)s)
  FROM unnest(%(companies)s::integer[]) company CROSS JOIN generate_series(0, 15) lane
 WHERE (lane + company) %% %(workers)s = %(rank)s
 ORDER BY company, lane
ON CONFLICT (company_id, lane) DO UPDATE
   SET worker = excluded.worker, token = excluded.token, expires_at = excluded.expires_at
 WHERE lane_leases.token = excluded.token OR lane_leases.expires_at < now()
RETURNING company_id, lane

-- give_lanes --
-- A worker hands back at once what is not of its share: all of it when it stops in peace (rank −1).
UPDATE lane_leases SET expires_at = now()
 WHERE worker = %(worker)s AND token = %(token)s AND (lane + company_id) %% %(workers)s <> %(rank)s
   AND expires_at > now()

-- gateways_of_lanes --
-- Who is told how far the cloud is when lanes change hands.
SELECT g.company_id, g.gateway_id, c.code, g.site, g.code
  FROM gateways g JOIN companies c USING (company_id)
  JOIN unnest(%(companies)s::integer[], %(lanes)s::smallint[]) l (company_id, lane)
    ON l.company_id = g.company_id AND l.lane = g.lane

-- incarnation --
-- The newest life of this database.
SELECT incarnation, cluster FROM incarnations ORDER BY incarnation DESC LIMIT 1

-- cluster --
-- Changes when the database is another one or was recovered to a moment: system identifier, timeline. The timeline is
-- that of the WAL being written: the control file of a promoted standby tells the one before until its next checkpoint.
SELECT (SELECT system_identifier FROM pg_control_system()) || '/' ||
       ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::integer || '/' ||
       (SELECT oid FROM pg_database WHERE datname = current_database())

-- hold_incarnations --
-- One worker at a time begins a life.
SELECT pg_advisory_xact_lock(hashtext('tallygate incarnations'))

-- add_incarnation --
-- One more life; two workers that see it at once write one row.
INSERT INTO incarnations (incarnation, cluster, reason)
SELECT %(incarnation)s, %(cluster)s, %(reason)s
 WHERE NOT EXISTS (SELECT FROM incarnations WHERE incarnation = %(incarnation)s)

-- put_status --
-- A gateway's newest word about itself.
INSERT INTO gateway_status (company_id, gateway_id, received_at, online, clock_us, status)
VALUES (%(company)s, %(gateway)s, %(received_at)s, %(online)s, %(clock_us)s, %(status)s)
ON CONFLICT (company_id, gateway_id) DO UPDATE
   SET received_at = excluded.received_at, online = excluded.online, clock_us = excluded.clock_us,
       status = CASE WHEN excluded.online THEN excluded.status ELSE gateway_status.status END

-- put_readings --
-- The newest picture of a gate; reads are added up.
INSERT INTO gate_readings (company_id, gate, received_at, summary, reads_total)
VALUES (%(company)s, %(gate)s, %(received_at)s, %(summary)s, %(reads)s)
ON CONFLICT (company_id, gate) DO UPDATE
   SET received_at = excluded.received_at, summary = excluded.summary,
       reads_total = gate_readings.reads_total + excluded.reads_total

-- asked_epochs --
-- How far epochs are applied that a gateway still asks about, finished ones included.
SELECT l.gateway_id, l.epoch, l.applied_seq, coalesce(encode(h.head, 'hex'), ''), l.stopped
  FROM unnest(%(gateway)s::integer[], %(epoch)s::uuid[]) q (gateway_id, epoch)
  JOIN gateway_logs l ON l.company_id = %(company)s AND l.gateway_id = q.gateway_id AND l.epoch = q.epoch
  JOIN gateways g ON g.company_id = l.company_id AND g.gateway_id = l.gateway_id
  LEFT JOIN lane_heads h ON h.company_id = l.company_id AND h.lane = g.lane

-- name_session --
-- What the session is called in pg_stat_activity, where everybody may read it.
SELECT set_config('application_name', %(name)s, false)

-- lock_holders --
-- Who may be in the way: other sessions of this database that have written without an end yet, or locked a table
-- against writers. No more is shown of them to a role without rights.
SELECT a.pid, a.usename, a.application_name
  FROM pg_stat_activity a
 WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
   AND EXISTS (SELECT FROM pg_locks l
                WHERE l.pid = a.pid AND l.granted
                  AND (l.locktype = 'transactionid'
                       OR l.locktype = 'relation' AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
                                                                 'AccessExclusiveLock')))
 ORDER BY a.pid LIMIT 5
