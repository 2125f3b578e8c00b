-- late_pools --
-- Promise 6: pools that wait for re-costing.
SELECT count(*) FROM cost_pools WHERE late_from_us IS NOT NULL

-- pool_costs --
-- Promise 6: what pools remember of costs.
SELECT pool_id, method, last_value, last_qty, coalesce(standard, -1), settled_value, settled_qty
  FROM cost_pools WHERE company_id = %(company)s AND item_id = ANY(%(items)s) ORDER BY pool_id

-- item_costs --
-- Promise 6: what items last cost. Of goods in several pools that is a matter of arrival, since what is late for one
-- pool need not be for another: only those of one pool are held to it.
SELECT c.item_id, c.last_value, c.last_qty
  FROM item_costs c JOIN cost_pools p USING (company_id, item_id)
 WHERE c.company_id = %(company)s AND c.item_id = ANY(%(items)s)
 GROUP BY c.item_id, c.last_value, c.last_qty HAVING count(*) = 1
