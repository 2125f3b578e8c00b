-- items --
-- Items by code.
SELECT item_id, code, name_zh, name_en, unit, gtin, item_class, method, provenance, tracking,
       weight_mg, volume_mm3
  FROM items
 WHERE company_id = %(company)s AND code > %(after)s AND (%(gtin)s::text IS NULL OR gtin = %(gtin)s)
 ORDER BY code LIMIT %(limit)s

-- item --
-- One item by its code.
SELECT item_id, code, name_zh, name_en, unit, gtin, item_class, method, provenance, tracking,
       weight_mg, volume_mm3
  FROM items
 WHERE company_id = %(company)s AND code = %(code)s

-- add_item --
-- A code or GTIN that is taken raises a unique violation, which names the constraint.
INSERT INTO items (company_id, code, name_zh, name_en, unit, gtin, item_class, method, provenance, tracking,
                   weight_mg, volume_mm3)
VALUES (%(company)s, %(code)s, %(name_zh)s, %(name_en)s, %(unit)s, %(gtin)s, %(item_class)s, %(method)s,
        %(provenance)s, %(tracking)s, %(weight)s, %(volume)s)
RETURNING item_id, code, name_zh, name_en, unit, gtin, item_class, method, provenance, tracking, weight_mg, volume_mm3

-- locations --
-- Locations by code, with the codes of the site and the parent.
SELECT l.location_id, l.code, l.name, l.kind, s.code AS site, p.code AS parent
  FROM locations l
  LEFT JOIN locations s ON s.company_id = l.company_id AND s.location_id = l.site_id
  LEFT JOIN locations p ON p.company_id = l.company_id AND p.location_id = l.parent_id
 WHERE l.company_id = %(company)s AND l.code > %(after)s AND (%(kind)s::text IS NULL OR l.kind = %(kind)s)
 ORDER BY l.code LIMIT %(limit)s

-- location --
-- One location by its code.
SELECT l.location_id, l.code, l.name, l.kind, s.code AS site, p.code AS parent
  FROM locations l
  LEFT JOIN locations s ON s.company_id = l.company_id AND s.location_id = l.site_id
  LEFT JOIN locations p ON p.company_id = l.company_id AND p.location_id = l.parent_id
 WHERE l.company_id = %(company)s AND l.code = %(code)s

-- add_location --
-- A zone or bin belongs to the site of its parent; a site belongs to itself, which `own_site` does.
INSERT INTO locations (company_id, code, name, kind, site_id, parent_id)
VALUES (%(company)s, %(code)s, %(name)s, %(kind)s, %(site)s, %(parent)s) RETURNING location_id

-- own_site --
-- A site names itself as its site.
UPDATE locations SET site_id = location_id WHERE company_id = %(company)s AND location_id = %(location)s

-- site_of --
-- The site and kind of a parent-to-be.
SELECT location_id, kind, site_id FROM locations WHERE company_id = %(company)s AND code = %(code)s

-- parties --
-- Suppliers and customers by id.
SELECT party_id, code, name, kind, party_class FROM parties
 WHERE company_id = %(company)s AND party_id > %(after)s AND (%(kind)s::text IS NULL OR kind = %(kind)s)
 ORDER BY party_id LIMIT %(limit)s

-- add_party --
-- A code that is taken among its kind raises a unique violation.
INSERT INTO parties (company_id, code, name, kind, party_class)
VALUES (%(company)s, %(code)s, %(name)s, %(kind)s, %(party_class)s)
RETURNING party_id, code, name, kind, party_class

-- set_party_class --
-- By which posting rules tell it apart from now on.
UPDATE parties SET party_class = %(party_class)s
 WHERE company_id = %(company)s AND kind = %(kind)s AND code = %(code)s
RETURNING party_id, code, name, kind, party_class

-- tags --
-- Registered tags by EPC, and where each is.
SELECT t.epc, i.code AS item, t.qty_micro, o.code AS lot, t.bound_at, l.code AS location,
       p.occurred_us AS since_us
  FROM tags t JOIN items i USING (company_id, item_id)
  LEFT JOIN places p USING (company_id, epc)
  LEFT JOIN locations l ON l.company_id = p.company_id AND l.location_id = p.location_id
  LEFT JOIN lots o ON o.company_id = t.company_id AND o.lot_id = t.lot_id
 WHERE t.company_id = %(company)s AND t.epc > %(after)s AND (%(item)s::text IS NULL OR i.code = %(item)s)
 ORDER BY t.epc LIMIT %(limit)s

-- tag --
-- One tag by its EPC, and where it is.
SELECT t.epc, i.code AS item, t.qty_micro, o.code AS lot, t.bound_at, l.code AS location,
       p.occurred_us AS since_us
  FROM tags t JOIN items i USING (company_id, item_id)
  LEFT JOIN places p USING (company_id, epc)
  LEFT JOIN locations l ON l.company_id = p.company_id AND l.location_id = p.location_id
  LEFT JOIN lots o ON o.company_id = t.company_id AND o.lot_id = t.lot_id
 WHERE t.company_id = %(company)s AND t.epc = %(epc)s

-- gates --
-- Gates by code, with their two sides.
SELECT g.gate_id, g.code, i.code AS inside, o.code AS outside, g.crossing_group, g.same_crossing_us
  FROM gates g
  JOIN locations i ON i.company_id = g.company_id AND i.location_id = g.inside_id
  JOIN locations o ON o.company_id = g.company_id AND o.location_id = g.outside_id
 WHERE g.company_id = %(company)s AND g.code > %(after)s ORDER BY g.code LIMIT %(limit)s

-- gateways --
-- Gateways by id with what they last said and how far their logs are applied.
SELECT g.gateway_id, g.site, g.code, g.lane, s.online, s.received_at, s.clock_us,
       coalesce(s.status->'counters', '{}') AS counters,
       coalesce((SELECT jsonb_agg(jsonb_build_object('epoch', l.epoch, 'applied_seq', l.applied_seq,
                                                     'end_seq', l.end_seq, 'stopped', l.stopped)
                                  ORDER BY l.begun_at, l.epoch)
                   FROM gateway_logs l
                  WHERE l.company_id = g.company_id AND l.gateway_id = g.gateway_id
                    AND (l.end_seq IS NULL OR l.applied_seq < l.end_seq)), '[]') AS logs
  FROM gateways g LEFT JOIN gateway_status s USING (company_id, gateway_id)
 WHERE g.company_id = %(company)s AND g.gateway_id > %(after)s ORDER BY g.gateway_id LIMIT %(limit)s

-- balances --
-- What is not zero, item by item.
SELECT b.item_id, b.location_id, b.lot_id, b.status, i.code AS item, i.name_zh, i.name_en, i.unit,
       l.code AS location, l.name AS location_name, l.kind AS location_kind, b.qty_micro, o.code AS lot
  FROM balances b
  JOIN items i USING (company_id, item_id)
  JOIN locations l ON l.company_id = b.company_id AND l.location_id = b.location_id
  LEFT JOIN lots o ON o.company_id = b.company_id AND o.lot_id = b.lot_id
  LEFT JOIN locations t ON t.company_id = l.company_id AND t.location_id = l.site_id
 WHERE b.company_id = %(company)s AND b.qty_micro <> 0
   AND (b.item_id, b.location_id, b.lot_id, b.status)
       > (%(item_id)s::integer, %(location_id)s::integer, %(lot_id)s::integer, %(status)s::smallint)
   AND (%(item)s::text IS NULL OR i.code = %(item)s)
   AND (%(location)s::text IS NULL OR l.code = %(location)s)
   AND (%(site)s::text IS NULL OR t.code = %(site)s)
   AND (%(lot)s::text IS NULL OR o.code = %(lot)s)
 ORDER BY b.item_id, b.location_id, b.lot_id, b.status LIMIT %(limit)s

-- expectations --
-- What gates may expect; open ones only where asked for.
SELECT e.expectation_id, g.code AS gate, e.direction, e.epc, i.code AS item, e.kind, p.code AS party, e.document,
       e.price_micro, e.currency, e.rate_nano, e.qty_micro, e.done_micro, e.open_until, e.note,
       e.reason, coalesce(d.code, '') AS dimensions
  FROM expectations e
  JOIN gates g USING (company_id, gate_id)
  LEFT JOIN items i ON i.company_id = e.company_id AND i.item_id = e.item_id
  LEFT JOIN parties p ON p.company_id = e.company_id AND p.party_id = e.party_id
  LEFT JOIN dimension_sets d ON d.company_id = e.company_id AND d.dimension_id = e.dimension_id
 WHERE e.company_id = %(company)s AND e.expectation_id > %(after)s
   AND (NOT %(only_open)s OR (NOT e.is_filled AND e.open_until > now()))
   AND (%(gate)s::text IS NULL OR g.code = %(gate)s)
   AND (%(document)s::text IS NULL OR e.document = %(document)s)
   AND (%(one)s::bigint IS NULL OR e.expectation_id = %(one)s)
 ORDER BY e.expectation_id LIMIT %(limit)s

-- quarantine --
-- What could not be read or booked, with what was decided about it; the payload's first bytes only.
SELECT q.quarantine_id, g.site AS gateway_site, g.code AS gateway, q.epoch, q.first_seq, q.last_seq,
       q.recorded_at, q.reason, substring(q.payload FOR %(bytes)s) AS payload,
       octet_length(q.payload) AS payload_bytes, r.resolution, r.resolved_at, r.resolved_by, r.note
  FROM quarantine q
  LEFT JOIN quarantine_resolutions r USING (company_id, quarantine_id)
  LEFT JOIN gateways g ON g.company_id = q.company_id AND g.gateway_id = q.gateway_id
 WHERE q.company_id = %(company)s AND q.quarantine_id > %(after)s
   AND (NOT %(only_open)s OR r.quarantine_id IS NULL)
 ORDER BY q.quarantine_id LIMIT %(limit)s
