-- A page and an API resource for each passage: found by the movement's id.

-- Ids are UUIDv7 and so ascend with the time of their birth: a tree grows at its right end and costs little. A block
-- range index would cost less still, but before a table is analysed the planner joins by it, block by block for each
-- row, and `tallygate verify` of fifty thousand movements took minutes instead of seconds.
CREATE INDEX observations_by_id ON observations (movement_id);
