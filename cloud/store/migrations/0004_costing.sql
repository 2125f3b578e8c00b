-- Costing in full: eight methods, lots, production, value events, allowances, periods that are settled.

-- ── Names for the small numbers ─────────────────────────────────────────────────────────────────────

-- From 30 on: events that change cost without goods, and entries that correct others.
INSERT INTO movement_kinds VALUES
    (14, 'production_issue'), (15, 'production_receipt'), (16, 'production_start'), (17, 'production_end'),
    (30, 'price_correction'), (31, 'landed_cost'), (32, 'labour'), (33, 'overhead'), (34, 'write_down'),
    (35, 'standard_change'), (36, 'method_change'), (37, 'period_settlement'), (38, 'recosting'),
    (39, 'revaluation');

-- ── The chain ───────────────────────────────────────────────────────────────────────────────────────

-- Which columns a batch's digests cover. 1: those of the foundation; 2: those that this migration adds, too.
-- Batches of before keep the chain they were hashed with. No service may name the column (grants.sql).
ALTER TABLE batches ADD COLUMN layout smallint NOT NULL DEFAULT 1;
ALTER TABLE batches ALTER COLUMN layout SET DEFAULT 2;

-- ── Methods, lots, what an item weighs ──────────────────────────────────────────────────────────────

ALTER TABLE companies ADD COLUMN default_method text NOT NULL DEFAULT 'moving_average'
    CHECK (default_method IN ('moving_average', 'fifo', 'lifo', 'standard', 'periodic_average', 'periodic_fifo',
                              'periodic_lifo', 'specific'));

ALTER TABLE items DROP CONSTRAINT items_method_check;
ALTER TABLE items ADD CONSTRAINT items_method_check
    CHECK (method IN ('moving_average', 'fifo', 'lifo', 'standard', 'periodic_average', 'periodic_fifo',
                      'periodic_lifo', 'specific'));
ALTER TABLE items
    ADD COLUMN tracking   text NOT NULL DEFAULT 'none' CHECK (tracking IN ('none', 'lot', 'serial')),
    ADD COLUMN weight_mg  bigint CHECK (weight_mg > 0),    -- of one stock unit
    ADD COLUMN volume_mm3 bigint CHECK (volume_mm3 > 0),   -- of one stock unit
    -- What is identified one by one must be told apart.
    ADD CONSTRAINT items_specific_is_tracked CHECK (method <> 'specific' OR tracking <> 'none');

-- ASBE 1 (2006), article 14, and IAS 2, paragraph 25, know no last in, first out.
CREATE FUNCTION refuse_forbidden_method() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE bad record;
BEGIN
    IF TG_TABLE_NAME = 'companies' THEN
        SELECT NEW.profile AS profile, m.method INTO bad
          FROM (SELECT NEW.default_method AS method
                 UNION ALL SELECT method FROM items WHERE company_id = NEW.company_id) m
         WHERE NEW.profile IN ('ASBE', 'IFRS') AND m.method IN ('lifo', 'periodic_lifo') LIMIT 1;
    ELSE
        SELECT c.profile, NEW.method AS method INTO bad FROM companies c
         WHERE c.company_id = NEW.company_id AND c.profile IN ('ASBE', 'IFRS')
           AND NEW.method IN ('lifo', 'periodic_lifo');
    END IF;
    IF FOUND THEN
        RAISE EXCEPTION 'method % is not allowed under accounting profile %', bad.method, bad.profile
            USING ERRCODE = 'TG006';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER allowed_method BEFORE INSERT OR UPDATE OF method, company_id ON items
    FOR EACH ROW EXECUTE FUNCTION refuse_forbidden_method();
CREATE TRIGGER allowed_method BEFORE INSERT OR UPDATE OF default_method, profile ON companies
    FOR EACH ROW EXECUTE FUNCTION refuse_forbidden_method();

CREATE TABLE lots (
    company_id integer NOT NULL,
    lot_id     integer GENERATED ALWAYS AS IDENTITY,
    item_id    integer NOT NULL,
    code       text    NOT NULL CHECK (code <> ''),
    PRIMARY KEY (company_id, lot_id),
    UNIQUE (company_id, item_id, code),
    FOREIGN KEY (company_id, item_id) REFERENCES items (company_id, item_id)
);

ALTER TABLE tags ADD COLUMN lot_id integer;  -- of the tag's item

-- ── Production ──────────────────────────────────────────────────────────────────────────────────────

ALTER TABLE locations DROP CONSTRAINT locations_kind_check;
ALTER TABLE locations ADD CONSTRAINT locations_kind_check
    CHECK (kind IN ('site', 'zone', 'bin', 'clarification', 'in_transit', 'supplier', 'customer', 'production',
                    'scrap', 'world', 'work_order'));

-- What costs are kept apart by. 0, which has no row, is none.
CREATE TABLE dimension_sets (
    company_id   integer NOT NULL REFERENCES companies,
    dimension_id integer GENERATED ALWAYS AS IDENTITY,
    code         text    NOT NULL CHECK (code <> ''),
    batch        text    NOT NULL DEFAULT '',
    workshop     text    NOT NULL DEFAULT '',
    PRIMARY KEY (company_id, dimension_id),
    UNIQUE (company_id, code)
);

-- The goods of a work order lie in a place of its own; its dimension set keeps its cost pool apart.
CREATE TABLE work_orders (
    company_id    integer NOT NULL REFERENCES companies,
    work_order_id integer GENERATED ALWAYS AS IDENTITY,
    code          text    NOT NULL CHECK (code <> ''),
    item_id       integer NOT NULL,  -- what it makes
    location_id   integer NOT NULL,  -- of kind work_order
    dimension_id  integer NOT NULL,
    planned_micro bigint  NOT NULL CHECK (planned_micro > 0),
    state         text    NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed')),
    PRIMARY KEY (company_id, work_order_id),
    UNIQUE (company_id, code),
    UNIQUE (company_id, location_id),
    FOREIGN KEY (company_id, item_id) REFERENCES items (company_id, item_id),
    FOREIGN KEY (company_id, location_id) REFERENCES locations (company_id, location_id),
    FOREIGN KEY (company_id, dimension_id) REFERENCES dimension_sets (company_id, dimension_id)
);

CREATE TABLE work_order_components (
    company_id    integer NOT NULL,
    work_order_id integer NOT NULL,
    item_id       integer NOT NULL,
    std_qty_micro bigint  NOT NULL CHECK (std_qty_micro > 0),  -- for one unit of what the order makes
    PRIMARY KEY (company_id, work_order_id, item_id),
    FOREIGN KEY (company_id, work_order_id) REFERENCES work_orders (company_id, work_order_id),
    FOREIGN KEY (company_id, item_id) REFERENCES items (company_id, item_id)
);

-- By what a cost is shared among the goods of a document, batch or workshop. The highest priority wins.
CREATE TABLE allocation_rules (
    company_id integer NOT NULL REFERENCES companies,
    rule_id    integer GENERATED ALWAYS AS IDENTITY,
    industry   text    NOT NULL,
    cost_type  text    NOT NULL CHECK (cost_type <> ''),
    basis      text    NOT NULL CHECK (basis IN ('quantity', 'value', 'weight', 'volume')),
    dimension  text    NOT NULL CHECK (dimension IN ('document', 'batch', 'workshop')),
    priority   integer NOT NULL DEFAULT 0,
    PRIMARY KEY (company_id, rule_id),
    UNIQUE (company_id, industry, cost_type, priority)
);

-- ── Goods ───────────────────────────────────────────────────────────────────────────────────────────

ALTER TABLE movements
    ADD COLUMN lot_id      integer NOT NULL DEFAULT 0,
    ADD COLUMN original_id uuid;  -- the movement that this one returns

-- ── Cost ────────────────────────────────────────────────────────────────────────────────────────────

-- A change of cost without goods. Ids of movements and events are of one space. An ordinary table: it is
-- never dropped, and it is small beside the movements.
CREATE TABLE value_events (
    company_id   integer     NOT NULL,
    recorded_at  timestamptz NOT NULL,
    event_id     uuid        NOT NULL,
    kind         smallint    NOT NULL,
    pool_id      bigint,
    item_id      integer,
    original_id  uuid,                 -- the receipt it concerns
    value_micro  bigint      NOT NULL, -- signed, 10⁻⁶ base currency; a standard change: the new standard of one
                                       -- stock unit; a method change: the method's number; a settlement: 0
    period_id    integer,
    dimension_id integer     NOT NULL DEFAULT 0,
    party_id     integer,
    document     text        NOT NULL,
    reason       text        NOT NULL,
    occurred_us  bigint      NOT NULL,
    lane         smallint    NOT NULL,
    batch_no     bigint      NOT NULL,
    row_no       integer     NOT NULL,
    digest       bytea       NOT NULL,
    PRIMARY KEY (company_id, event_id)
);
CREATE INDEX value_events_by_original ON value_events (company_id, original_id) WHERE original_id IS NOT NULL;
CREATE INDEX value_events_by_pool ON value_events (company_id, pool_id, occurred_us) WHERE pool_id IS NOT NULL;
CREATE INDEX value_events_by_recording ON value_events USING brin (recorded_at)
    WITH (pages_per_range = 32, autosummarize = on);

ALTER TABLE cost_pools
    ADD COLUMN standard         bigint CHECK (standard >= 0),       -- 10⁻⁶ of the currency for one stock unit
    ADD COLUMN settled_value    bigint NOT NULL DEFAULT 0,          -- the last settled price: so much value
    ADD COLUMN settled_qty      bigint NOT NULL DEFAULT 0 CHECK (settled_qty >= 0),  -- for so much
    ADD COLUMN allowance        bigint NOT NULL DEFAULT 0 CHECK (allowance >= 0),
    ADD COLUMN allowance_posted bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT cost_pools_allowance_is_posted
        CHECK (allowance_posted = (allowance + minor_unit / 2) / minor_unit);

ALTER TABLE cost_entries
    ADD COLUMN counter_account integer,  -- the account opposite; null for a leg whose other side is a pool
    ADD COLUMN journal_id      uuid;     -- the journal entry that carries it where that is not its own movement's
CREATE INDEX cost_entries_by_journal ON cost_entries (company_id, journal_id) WHERE journal_id IS NOT NULL;

-- What a write-down adds to a pool's allowance, and what issues release of it.
CREATE TABLE allowance_entries (
    company_id   integer  NOT NULL,
    movement_id  uuid     NOT NULL,  -- or the value event
    step         smallint NOT NULL,
    pool_id      bigint   NOT NULL,
    value        bigint   NOT NULL,
    posted       bigint   NOT NULL,  -- change of the allowance's posted amount
    posting_date date     NOT NULL,
    lane         smallint NOT NULL,
    batch_no     bigint   NOT NULL,
    row_no       integer  NOT NULL,
    digest       bytea    NOT NULL,
    PRIMARY KEY (company_id, movement_id, step)
);
CREATE INDEX allowance_entries_by_pool ON allowance_entries (company_id, pool_id);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['value_events', 'allowance_entries'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I
                        FOR EACH ROW EXECUTE FUNCTION refuse_change()', name);
        EXECUTE format('CREATE TRIGGER never_truncated BEFORE TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', name);
    END LOOP;
END $$;

-- ── Money ───────────────────────────────────────────────────────────────────────────────────────────

ALTER TABLE periods ADD COLUMN settled_at timestamptz;  -- when periodic methods last took their price

-- Companies that are there already get the new accounts and rules; new ones get them from charts.py, which a
-- test holds against these lines. An account of a company's own that has the number keeps it.
INSERT INTO accounts (company_id, number, name_zh, name_en, role, is_control)
SELECT c.company_id, CASE c.profile WHEN 'ASBE' THEN a.asbe ELSE a.generic END,
       CASE c.profile WHEN 'ASBE' THEN a.asbe_zh ELSE a.generic_zh END,
       a.name_en, a.role, a.is_control
  FROM companies c CROSS JOIN (VALUES
    ('wip', '5001', '1350', '生产成本', '在产品', 'Work in progress', true),
    ('allowance', '1471', '1360', '存货跌价准备', '存货跌价准备', 'Allowance for inventory write-downs', true),
    ('absorbed', '5101', '5800', '制造费用', '已吸收制造费用', 'Labour, energy and overhead absorbed', false),
    ('ppv', '1404', '5200', '材料成本差异', '采购价格差异', 'Purchase price variance', false),
    ('usage_variance', '640192', '5210', '主营业务成本——用量差异', '用量差异', 'Usage variance', false),
    ('production_variance', '640193', '5220', '主营业务成本——生产差异', '生产差异', 'Production variance', false),
    ('revaluation', '640194', '5230', '主营业务成本——存货重估', '存货重估差异', 'Revaluation of stock', false),
    ('write_down', '6701', '5920', '资产减值损失', '存货跌价损失', 'Write-downs of inventory', false),
    ('landed_clearing', '220202', '2120', '应付账款——采购费用暂估', '暂估采购费用', 'Landed cost not invoiced', false)
  ) a (role, asbe, generic, asbe_zh, generic_zh, name_en, is_control)
ON CONFLICT DO NOTHING;

INSERT INTO posting_rules (company_id, kind, debit_role, credit_role)
SELECT c.company_id, r.kind, r.debit, r.credit
  FROM companies c CROSS JOIN (VALUES
    (14, 'pool', 'pool'), (15, 'pool', 'pool'), (16, 'pool', 'production_variance'),
    (17, 'production_variance', 'pool'), (30, 'pool', 'grni'), (31, 'pool', 'landed_clearing'),
    (32, 'pool', 'absorbed'), (33, 'pool', 'absorbed'), (34, 'write_down', 'allowance'),
    (35, 'pool', 'revaluation'), (36, 'pool', 'revaluation'), (39, 'pool', 'revaluation')
  ) r (kind, debit, credit)
 WHERE NOT EXISTS (SELECT 1 FROM posting_rules p WHERE p.company_id = c.company_id AND p.kind = r.kind);

-- Work in progress is stock as well.
CREATE OR REPLACE VIEW stock_ledger_difference AS
SELECT b.company_id, coalesce(sum(s.posted), 0)::bigint AS stock_value,
       sum(b.balance)::bigint AS ledger,
       (coalesce(sum(s.posted), 0) - sum(b.balance))::bigint AS difference
  FROM account_balances b LEFT JOIN stock_value s USING (company_id, account_id)
 WHERE b.role IN ('raw_material', 'goods', 'in_transit', 'clarification_stock', 'wip')
 GROUP BY b.company_id;
