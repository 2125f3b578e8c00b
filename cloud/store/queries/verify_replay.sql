-- late_pools --
-- Promise 6: pools that wait for re-costing.
SELECT count(*) FROM cost_pools WHERE late_from_us IS NOT NULL

-- pool_costs --
-- Promise 6: what pools remember of costs.
SELECT pool_id, method, last_value, last_qty, coalesce(standard, -1), settled_value, settled_qty
  FROM cost_pools WHERE company_id = %(company)s AND item_id = ANY(%(items)s) ORDER BY pool_id

-- item_costs --
-- Promise 6: what items last cost anywhere.
SELECT item_id, last_value, last_qty FROM item_costs WHERE company_id = %(company)s AND item_id = ANY(%(items)s)
