-- company --
-- What a batch must know of its company.
SELECT company_id, code, currency, minor_digits, time_zone, late_policy = 'post_back' FROM companies WHERE company_id = %(company)s

-- locations --
-- Kind and site decide the inventory account of the goods that lie there.
SELECT location_id, kind, coalesce(site_id, 0) FROM locations
 WHERE company_id = %(company)s AND location_id = ANY(%(ids)s)

-- items --
-- Class and costing method of the items of a batch.
SELECT item_id, item_class, method FROM items WHERE company_id = %(company)s AND item_id = ANY(%(ids)s)

-- work_orders --
-- What is made at places of work orders, and by which dimension set its cost is kept apart.
SELECT location_id, item_id, dimension_id FROM work_orders
 WHERE company_id = %(company)s AND location_id = ANY(%(ids)s)

-- accounts --
-- The chart by role; 0: everywhere, else the one site where another account stands for the role.
SELECT role, coalesce(site_id, 0), account_id FROM accounts WHERE company_id = %(company)s AND role IS NOT NULL

-- account_needs --
-- Which types of dimension accounts ask for; those that they merely allow where anything names a dimension set.
SELECT d.account_id, a.number, d.type_id, t.code, d.need = 'required'
  FROM account_dimensions d
  JOIN accounts a USING (company_id, account_id)
  JOIN dimension_types t USING (company_id, type_id)
 WHERE d.company_id = %(company)s AND (d.need = 'required' OR %(allowed)s)

-- set_types --
-- Which types the dimension sets of a batch have a value of.
SELECT v.dimension_id, v.type_id, t.code
  FROM dimension_set_values v JOIN dimension_types t USING (company_id, type_id)
 WHERE v.company_id = %(company)s AND v.dimension_id = ANY(%(ids)s)

-- party_classes --
-- Classes of the parties of a batch, for rules that ask for them.
SELECT party_id, party_class FROM parties WHERE company_id = %(company)s AND party_id = ANY(%(ids)s)

-- rules --
-- The posting rules in force, a few dozen rows, in the order in which they count (cloud.domain.ledger.rules.in_order).
SELECT kind, item_class, site_id, debit_role, credit_role, priority, reason, party_class, dimension_id
  FROM posting_rules WHERE company_id = %(company)s AND ended_at IS NULL
 ORDER BY priority DESC, num_nonnulls(item_class, site_id, reason, party_class) DESC, rule_id

-- hold_periods --
-- Share-locked before dates are chosen, so that no lock falls between.
SELECT period_id, first_day, last_day, state FROM hold_periods(%(company)s)

-- settled_periods --
-- Periods in which periodic methods have taken their price: what comes into one later is for re-costing to place.
SELECT period_id FROM periods WHERE company_id = %(company)s AND settled_at IS NOT NULL

-- originals --
-- Movements that returns and value events name, with the pools of their legs.
SELECT m.movement_id, m.item_id, m.occurred_us, m.tags & 4 <> 0, e.step, e.qty, p.site_id, p.item_id, p.account_id,
       p.dimension_id, p.owner_id, p.lot_id
  FROM movements m
  LEFT JOIN cost_entries e ON e.company_id = m.company_id AND e.movement_id = m.movement_id AND e.step IN (0, 1)
  LEFT JOIN cost_pools p ON p.company_id = e.company_id AND p.pool_id = e.pool_id
 WHERE m.company_id = %(company)s AND m.movement_id = ANY(%(ids)s::uuid[])

-- issue_costs --
-- What issues cost by now, with what corrected them since, and how much of them came back.
SELECT e.movement_id, -(e.value + coalesce(c.value, 0))::bigint, coalesce(r.qty, 0)::bigint
  FROM cost_entries e
  LEFT JOIN LATERAL (SELECT sum(x.value) AS value FROM cost_entries x
                      WHERE x.company_id = e.company_id AND x.corrects = e.movement_id AND x.pool_id = e.pool_id) c ON true
  LEFT JOIN LATERAL (SELECT sum(m.qty_micro) AS qty FROM movements m
                      WHERE m.company_id = e.company_id AND m.original_id = e.movement_id) r ON true
 WHERE e.company_id = %(company)s AND e.movement_id = ANY(%(ids)s::uuid[]) AND e.step = 0

-- returned --
-- Which of these movements something came back of.
SELECT DISTINCT original_id FROM movements WHERE company_id = %(company)s AND original_id = ANY(%(ids)s::uuid[])

-- pool_keys --
-- What pools are kept apart by.
SELECT pool_id, site_id, item_id, account_id, dimension_id, owner_id, lot_id FROM cost_pools
 WHERE company_id = %(company)s AND pool_id = ANY(%(pool)s)

-- make_pools --
-- Pools are made when goods first reach them; in order of id, so that two batches cannot deadlock.
INSERT INTO cost_pools (company_id, pool_id, site_id, item_id, account_id, dimension_id, owner_id, lot_id, method,
                        minor_unit)
SELECT %(company)s, * FROM unnest(%(pool)s::bigint[], %(site)s::integer[], %(item)s::integer[],
                                  %(account)s::integer[], %(dimension)s::integer[], %(owner)s::integer[],
                                  %(lot)s::integer[], %(method)s::smallint[], %(unit)s::bigint[])
 ORDER BY 2
ON CONFLICT (company_id, pool_id) DO NOTHING

-- lock_pools --
-- The state a batch is costed against, locked in order of id.
SELECT pool_id, item_id, account_id | (dimension_id::bigint << 32), method, minor_unit, qty, value, last_value, last_qty, next_layer, standard,
       settled_value, settled_qty, allowance, newest_us, late_from_us
  FROM cost_pools WHERE company_id = %(company)s AND pool_id = ANY(%(pool)s) ORDER BY pool_id FOR UPDATE

-- hold_first_costs --
-- Items that no cost is known for have no row that could be locked: one of 64 locks of the company stands for theirs,
-- in order, so that two batches that bring first costs come one after the other.
SELECT pg_advisory_xact_lock(hashtext('tallygate first costs ' || %(company)s::text), n.bucket)
  FROM (SELECT DISTINCT i.item_id %% 64 AS bucket FROM unnest(%(item)s::integer[]) i (item_id)
         WHERE NOT EXISTS (SELECT FROM item_costs c WHERE c.company_id = %(company)s AND c.item_id = i.item_id)
         ORDER BY 1) n

-- lock_item_costs --
-- The items' last known costs, locked in order.
SELECT item_id, last_value, last_qty FROM item_costs
 WHERE company_id = %(company)s AND item_id = ANY(%(item)s) ORDER BY item_id FOR UPDATE

-- layers --
-- Of each pool the layers that give first and can cover what the batch takes, every shortage, every layer without a
-- cost, and those of the receipts that the batch names.
SELECT pool_id, layer_no, movement_id, step, qty_left, value_left, uncosted,
       counter_account | (counter_dimension::bigint << 32), posting_date, occurred_us
  FROM (SELECT l.*, d.demand,
               sum(l.qty_left) OVER (PARTITION BY l.pool_id
                                     ORDER BY CASE WHEN d.is_lifo THEN -l.layer_no ELSE l.layer_no END) - l.qty_left AS before
          FROM unnest(%(pool)s::bigint[], %(demand)s::bigint[], %(is_lifo)s::boolean[]) d (pool_id, demand, is_lifo)
          JOIN cost_layers l ON l.company_id = %(company)s AND l.pool_id = d.pool_id) l
 WHERE before < demand OR qty_left < 0 OR uncosted OR movement_id = ANY(%(named)s::uuid[])
 ORDER BY pool_id, layer_no

-- update_pools --
-- The CHECKs of the table hold promise 2: posted is the rounded value. A pool whose method changes keeps in mind
-- the one it began with.
UPDATE cost_pools p
   SET method = n.method, first_method = CASE WHEN p.method <> n.method THEN coalesce(p.first_method, p.method)
                                              ELSE p.first_method END, qty = n.qty, value = n.value, posted = n.posted, last_value = n.last_value,
       last_qty = n.last_qty, next_layer = n.next_layer, standard = nullif(n.standard, -1),
       settled_value = n.settled_value, settled_qty = n.settled_qty, allowance = n.allowance,
       allowance_posted = n.allowance_posted, newest_us = n.newest_us, late_from_us = nullif(n.late_from_us, -1)
  FROM unnest(%(pool)s::bigint[], %(method)s::smallint[], %(qty)s::bigint[], %(value)s::bigint[], %(posted)s::bigint[],
              %(last_value)s::bigint[], %(last_qty)s::bigint[], %(next_layer)s::bigint[], %(standard)s::bigint[],
              %(settled_value)s::bigint[], %(settled_qty)s::bigint[], %(allowance)s::bigint[],
              %(allowance_posted)s::bigint[], %(newest_us)s::bigint[], %(late_from_us)s::bigint[])
       n (pool_id, method, qty, value, posted, last_value, last_qty, next_layer, standard, settled_value, settled_qty,
          allowance, allowance_posted, newest_us, late_from_us)
 WHERE p.company_id = %(company)s AND p.pool_id = n.pool_id

-- borrow --
-- Until when pools without a cost of their own were costed by what their item cost elsewhere.
UPDATE cost_pools p SET borrowed_us = n.borrowed_us
  FROM unnest(%(pool)s::bigint[], %(until)s::bigint[]) n (pool_id, borrowed_us)
 WHERE p.company_id = %(company)s AND p.pool_id = n.pool_id AND coalesce(p.borrowed_us, n.borrowed_us) <= n.borrowed_us

-- lent --
-- From when these items' last known costs are, and until when any pool was costed by them.
SELECT i.item_id, coalesce(c.priced_us, -1),
       coalesce((SELECT max(p.borrowed_us) FROM cost_pools p
                  WHERE p.company_id = %(company)s AND p.item_id = i.item_id AND p.borrowed_us IS NOT NULL), -1)
  FROM unnest(%(items)s::integer[]) i (item_id)
  LEFT JOIN item_costs c ON c.company_id = %(company)s AND c.item_id = i.item_id

-- price_items --
-- The newest moment at which something was paid for these items.
UPDATE item_costs c SET priced_us = n.priced_us
  FROM unnest(%(items)s::integer[], %(priced)s::bigint[]) n (item_id, priced_us)
 WHERE c.company_id = %(company)s AND c.item_id = n.item_id AND c.priced_us < n.priced_us

-- update_layers --
-- What is left of layers that were there before.
UPDATE cost_layers l SET qty_left = n.qty, value_left = n.value, uncosted = n.uncosted
  FROM unnest(%(pool)s::bigint[], %(layer)s::bigint[], %(qty)s::bigint[], %(value)s::bigint[],
              %(uncosted)s::boolean[]) n (pool_id, layer_no, qty, value, uncosted)
 WHERE l.company_id = %(company)s AND l.pool_id = n.pool_id AND l.layer_no = n.layer_no

-- delete_layers --
-- A layer that is used up; the consumption links keep its history.
DELETE FROM cost_layers l USING unnest(%(pool)s::bigint[], %(layer)s::bigint[]) n (pool_id, layer_no)
 WHERE l.company_id = %(company)s AND l.pool_id = n.pool_id AND l.layer_no = n.layer_no

-- upsert_item_costs --
-- Kept for pools that get goods before they get a cost.
INSERT INTO item_costs (company_id, item_id, last_value, last_qty)
SELECT %(company)s, * FROM unnest(%(item)s::integer[], %(value)s::bigint[], %(qty)s::bigint[]) ORDER BY 2
ON CONFLICT (company_id, item_id)
DO UPDATE SET last_value = excluded.last_value, last_qty = excluded.last_qty

-- add_balances --
-- Quantities by item, location and lot, in key order so that two batches cannot deadlock.
INSERT INTO balances (company_id, item_id, location_id, lot_id, qty_micro)
SELECT %(company)s, * FROM unnest(%(item)s::integer[], %(location)s::integer[], %(lot)s::integer[], %(qty)s::bigint[])
 ORDER BY 2, 3, 4
ON CONFLICT (company_id, item_id, location_id, lot_id, status)
DO UPDATE SET qty_micro = balances.qty_micro + excluded.qty_micro

-- add_turnovers --
-- Debits and credits by account, dimension set, currency, period and lane; written last but one.
INSERT INTO turnovers (company_id, account_id, dimension_id, currency, period_id, lane, debit, credit,
                       currency_debit, currency_credit)
SELECT %(company)s, account, dimension, currency, period, %(lane)s, debit, credit, currency_debit, currency_credit
  FROM unnest(%(account)s::integer[], %(dimension)s::integer[], %(currency)s::smallint[], %(period)s::integer[],
              %(debit)s::bigint[], %(credit)s::bigint[], %(currency_debit)s::bigint[], %(currency_credit)s::bigint[])
       n (account, dimension, currency, period, debit, credit, currency_debit, currency_credit)
 ORDER BY account, dimension, currency, period
ON CONFLICT (company_id, account_id, dimension_id, currency, period_id, lane)
DO UPDATE SET debit = turnovers.debit + excluded.debit, credit = turnovers.credit + excluded.credit,
              currency_debit = turnovers.currency_debit + excluded.currency_debit,
              currency_credit = turnovers.currency_credit + excluded.currency_credit

-- post_soft_closed --
-- Tell the database that who asked may post into soft-closed periods, until this transaction ends.
SELECT set_config('tallygate.posts_soft_closed', 'on', true)

-- make_lane_head --
-- Before the first batch of a lane.
INSERT INTO lane_heads (company_id, lane, batch_no, head)
VALUES (%(company)s, %(lane)s, 0, decode(repeat('00', 32), 'hex'))
ON CONFLICT (company_id, lane) DO NOTHING

-- lock_lane_head --
-- One writer at a time extends a lane's chain.
SELECT batch_no, head FROM lane_heads WHERE company_id = %(company)s AND lane = %(lane)s FOR UPDATE

-- advance_lane_head --
-- The newest link.
UPDATE lane_heads SET batch_no = %(batch_no)s, head = %(head)s WHERE company_id = %(company)s AND lane = %(lane)s

-- insert_batch --
-- The batch itself: when, by whom, how much, and its link.
INSERT INTO batches (company_id, lane, batch_no, recorded_at, worker, observed, moved, previous, head)
VALUES (%(company)s, %(lane)s, %(batch_no)s, %(recorded_at)s, %(worker)s, %(observed)s, %(moved)s,
        %(previous)s, %(head)s)

-- notify --
-- A hint for listeners, once a transaction.
SELECT pg_notify('tallygate_commits', %(payload)s)
