-- Goods that reach or leave a pool before it has a cost of its own are worth what the item cost elsewhere. When that
-- other cost turns out to have changed before, it is late for them, though it comes in its own pool's order: so each
-- pool says until when it borrowed, and each item from when its cost is. Few pools borrow, and not for long.
ALTER TABLE cost_pools ADD COLUMN borrowed_us bigint;
ALTER TABLE item_costs ADD COLUMN priced_us bigint NOT NULL DEFAULT 0;
CREATE INDEX cost_pools_borrowing ON cost_pools (company_id, item_id) WHERE borrowed_us IS NOT NULL;
