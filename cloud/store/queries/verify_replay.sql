-- late_pools --
-- Promise 6: pools that wait for re-costing.
SELECT count(*) FROM cost_pools WHERE late_from_us IS NOT NULL
