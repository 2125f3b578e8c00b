-- Re-costing: snapshots of layers, so that a late event does not read the whole history of its goods, and
-- the question which goods share their costs.

-- A cut: the state of every pool of some items as it was when everything up to cut_us had happened, in the
-- order of the world. Items, not pools, are the nodes of the graph that costs flow through: pools of one item
-- are joined anyway (by transfers, by returns, by the item's last known cost), and goods of different items
-- meet in work orders only. A table of edges between pools would grow with every movement; work orders and
-- balances know the same already. Snapshots are derived: they may be deleted at any time.
CREATE TABLE cost_cuts (
    company_id integer NOT NULL,
    item_id    integer NOT NULL,
    cut_us     bigint  NOT NULL,
    last_value bigint  NOT NULL,  -- the item's last known cost there
    last_qty   bigint  NOT NULL,
    PRIMARY KEY (company_id, item_id, cut_us)
);

CREATE TABLE cost_cut_pools (
    company_id    integer  NOT NULL,
    item_id       integer  NOT NULL,
    cut_us        bigint   NOT NULL,
    pool_id       bigint   NOT NULL,
    method        smallint NOT NULL,
    qty           bigint   NOT NULL CHECK (qty >= 0),
    value         bigint   NOT NULL,
    last_value    bigint   NOT NULL,
    last_qty      bigint   NOT NULL,
    standard      bigint,
    settled_value bigint   NOT NULL,
    settled_qty   bigint   NOT NULL,
    allowance     bigint   NOT NULL,
    PRIMARY KEY (company_id, item_id, cut_us, pool_id)
);

CREATE TABLE cost_cut_layers (
    company_id      integer  NOT NULL,
    item_id         integer  NOT NULL,
    cut_us          bigint   NOT NULL,
    pool_id         bigint   NOT NULL,
    layer_no        bigint   NOT NULL,
    movement_id     uuid     NOT NULL,
    step            smallint NOT NULL,
    qty_left        bigint   NOT NULL CHECK (qty_left > 0),
    value_left      bigint   NOT NULL,
    counter_account integer  NOT NULL,
    posting_date    date     NOT NULL,
    occurred_us     bigint   NOT NULL,
    PRIMARY KEY (company_id, item_id, cut_us, pool_id, layer_no)
);

-- The method with which a pool began: a whole history is costed anew from there, its changes in their places.
ALTER TABLE cost_pools ADD COLUMN first_method smallint;

-- "Which items lie at this work order's place?" A quantity changes without touching the index.
CREATE INDEX balances_by_location ON balances (company_id, location_id);
