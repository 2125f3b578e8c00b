-- Balances at any past moment: snapshots, kept by a job, from which only a bounded rest of the movements is read.

-- How far the snapshots have come. A lane's batches are numbered under a lock that is held until they commit, so those
-- that can be seen are always the first so many: whatever commits later has a greater number, and nothing is ever
-- missed or counted twice. All snapshots of a company are complete up to the same batches; what is in later batches,
-- and belongs before a snapshot's moment all the same, readers add.
CREATE TABLE balance_marks (
    company_id integer  NOT NULL,
    lane       smallint NOT NULL,
    batch_no   bigint   NOT NULL CHECK (batch_no > 0),
    PRIMARY KEY (company_id, lane)
);

-- A snapshot for each of two clocks: 1, when goods moved (occurred_us); 2, when the books learned of it (recorded_at).
-- Snapshots part the movements into stretches, each so short that it can be read: `moved` is how many there are after
-- the moment before and not after this one. The last stretch is open; its moment is the largest bigint.
CREATE TABLE balance_snapshots (
    company_id    integer     NOT NULL,
    clock         smallint    NOT NULL CHECK (clock IN (1, 2)),
    moment_us     bigint      NOT NULL,
    moved         bigint      NOT NULL CHECK (moved > 0),
    first_us      bigint      NOT NULL,  -- the stretch's first and last movement by the snapshot's clock, …
    last_us       bigint      NOT NULL,
    recorded_from timestamptz NOT NULL,  -- … and when they were recorded: which chunks they lie in
    recorded_to   timestamptz NOT NULL,
    PRIMARY KEY (company_id, clock, moment_us)
);

-- What lay where at a snapshot's moment: a row for each balance that changed in the stretch that ends there. What a
-- balance was at a moment says its newest row until then, so a balance that rests costs nothing.
CREATE TABLE snapshot_balances (
    company_id  integer  NOT NULL,
    clock       smallint NOT NULL,
    item_id     integer  NOT NULL,
    location_id integer  NOT NULL,
    lot_id      integer  NOT NULL,
    moment_us   bigint   NOT NULL,
    qty_micro   bigint   NOT NULL,
    PRIMARY KEY (company_id, clock, item_id, location_id, lot_id, moment_us)
) WITH (fillfactor = 80);  -- goods that come late change quantities in place

-- Chunks of hypertables that are there already: from now on as timescaledb.sql makes them, unless somebody chose.
DO $$
DECLARE name text;
BEGIN
    IF to_regclass('timescaledb_information.dimensions') IS NOT NULL THEN
        FOR name IN EXECUTE 'SELECT hypertable_name FROM timescaledb_information.dimensions
                              WHERE hypertable_schema = ''public'' AND time_interval = INTERVAL ''7 days''
                                AND hypertable_name IN (''movements'', ''observations'')' LOOP
            EXECUTE format('SELECT set_chunk_time_interval(%L, INTERVAL ''30 days'')', name);
        END LOOP;
    END IF;
END $$;
