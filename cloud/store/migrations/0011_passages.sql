-- A page and an API resource for each passage: found by the movement's id.

-- Ids are UUIDv7 and so ascend with the time of their birth, as rows do with their recording: a block range index
-- finds one and costs COPY next to nothing. Several ranges a block, because an offline gateway's ids come late.
CREATE INDEX observations_by_id ON observations USING brin (movement_id uuid_minmax_multi_ops)
    WITH (pages_per_range = 32, autosummarize = on);
