-- The foundation: who and what there is, the gateways' logs, goods, cost and money.
--
-- Quantities are bigint in 10⁻⁶ of the item's stock unit, cost values bigint in 10⁻⁶ of the company's
-- currency, ledger amounts bigint in the currency's minor unit. Times are timestamptz; where the hot path
-- computes with them they are bigint microseconds since 1970-01-01 UTC, named *_us.
-- company_id leads the key of every hot table. Hot tables have no foreign keys (one halves the rate of
-- COPY); `tallygate verify` checks their references instead.

-- ── Names for the small numbers ─────────────────────────────────────────────────────────────────────

CREATE TABLE movement_kinds (kind smallint PRIMARY KEY, name text NOT NULL UNIQUE);
INSERT INTO movement_kinds VALUES
    (1, 'purchase_receipt'), (2, 'supplier_return'), (3, 'sales_shipment'), (4, 'customer_return'),
    (5, 'transfer_out'), (6, 'transfer_in'), (7, 'opening_stock'), (8, 'scrap'), (9, 'count_gain'),
    (10, 'count_loss'), (11, 'unexplained_in'), (12, 'unexplained_out'), (13, 'internal_move');
CREATE TABLE outcomes (outcome smallint PRIMARY KEY, name text NOT NULL UNIQUE);
INSERT INTO outcomes VALUES
    (1, 'moved'), (2, 'already_there'), (3, 'same_crossing'), (4, 'turned_back'), (5, 'undecided'),
    (6, 'unregistered');

-- ── Companies, people, keys ─────────────────────────────────────────────────────────────────────────

-- How often this database was restored. Gateways are told, so that they know why applied may be lower.
CREATE TABLE incarnations (
    incarnation  integer     PRIMARY KEY,
    began_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    cluster      text        NOT NULL,  -- system identifier and timeline: a change of either is a restore
    reason       text        NOT NULL
);

CREATE TABLE companies (
    company_id   integer  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code         text     NOT NULL UNIQUE,
    name         text     NOT NULL,
    currency     char(3)  NOT NULL,
    minor_digits smallint NOT NULL CHECK (minor_digits BETWEEN 0 AND 6),
    time_zone    text     NOT NULL,
    profile      text     NOT NULL CHECK (profile IN ('ASBE', 'IFRS', 'US_GAAP'))
);

CREATE TABLE people (
    person_id  integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    company_id integer NOT NULL REFERENCES companies,
    name       text    NOT NULL,
    language   text    NOT NULL DEFAULT 'zh' CHECK (language IN ('zh', 'en')),
    contacts   jsonb   NOT NULL DEFAULT '{}',
    sign_in    text    UNIQUE,
    password   text,  -- argon2id hash, never the password
    active     boolean NOT NULL DEFAULT true
);

-- Role names of R214; policies come with the console's access control.
CREATE TABLE person_roles (
    person_id integer NOT NULL REFERENCES people,
    role      text    NOT NULL CHECK (role IN ('keeper', 'buyer', 'seller', 'finance', 'admin', 'operator')),
    PRIMARY KEY (person_id, role)
);

CREATE TABLE api_keys (
    key_id     text        PRIMARY KEY,  -- the public half, shown in lists and logs
    digest     bytea       NOT NULL,     -- SHA-256 of the secret half, which has 256 random bits
    person_id  integer     NOT NULL REFERENCES people,
    scopes     text[]      NOT NULL,
    made_at    timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz
);

CREATE TABLE sessions (
    digest     bytea       PRIMARY KEY,  -- SHA-256 of the cookie
    person_id  integer     NOT NULL REFERENCES people,
    made_at    timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);

-- ── Master data ─────────────────────────────────────────────────────────────────────────────────────

-- A location's kind decides which inventory account its goods stand on.
CREATE TABLE locations (
    company_id  integer NOT NULL REFERENCES companies,
    location_id integer GENERATED ALWAYS AS IDENTITY,
    code        text    NOT NULL,
    name        text    NOT NULL,
    kind        text    NOT NULL CHECK (kind IN ('site', 'zone', 'bin', 'clarification', 'in_transit',
                                                 'supplier', 'customer', 'production', 'scrap', 'world')),
    site_id     integer,  -- the site it belongs to; a site names itself; virtual ones of the company: null
    parent_id   integer,
    PRIMARY KEY (company_id, location_id),
    UNIQUE (company_id, code)
);

CREATE TABLE parties (
    company_id integer NOT NULL REFERENCES companies,
    party_id   integer GENERATED ALWAYS AS IDENTITY,
    code       text    NOT NULL,
    name       text    NOT NULL,
    kind       text    NOT NULL CHECK (kind IN ('supplier', 'customer')),
    PRIMARY KEY (company_id, party_id),
    UNIQUE (company_id, kind, code)
);

CREATE TABLE items (
    company_id  integer  NOT NULL REFERENCES companies,
    item_id     integer  GENERATED ALWAYS AS IDENTITY,
    code        text     NOT NULL,
    name_zh     text     NOT NULL DEFAULT '',
    name_en     text     NOT NULL DEFAULT '',
    unit        text     NOT NULL DEFAULT 'pcs',
    gtin        text     CHECK (gtin ~ '^[0-9]{14}$'),
    item_class  text     NOT NULL DEFAULT 'goods' CHECK (item_class IN ('raw_material', 'goods')),
    method      text     NOT NULL DEFAULT 'moving_average' CHECK (method IN ('moving_average', 'fifo')),
    provenance  text     NOT NULL DEFAULT '',
    PRIMARY KEY (company_id, item_id),
    UNIQUE (company_id, code)
);
CREATE UNIQUE INDEX items_gtin ON items (company_id, gtin) WHERE gtin IS NOT NULL;

CREATE TABLE tags (
    company_id integer NOT NULL REFERENCES companies,
    epc        text    NOT NULL CHECK (epc ~ '^([0-9A-F]{4})+$'),
    item_id    integer NOT NULL,
    qty_micro  bigint  NOT NULL DEFAULT 1000000 CHECK (qty_micro > 0),
    bound_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, epc),
    FOREIGN KEY (company_id, item_id) REFERENCES items (company_id, item_id)
);

CREATE TABLE gateways (
    company_id integer  NOT NULL REFERENCES companies,
    gateway_id integer  GENERATED ALWAYS AS IDENTITY,
    site       text     NOT NULL,
    code       text     NOT NULL,
    lane       smallint NOT NULL CHECK (lane BETWEEN 0 AND 15),
    PRIMARY KEY (company_id, gateway_id),
    UNIQUE (company_id, site, code)
);

CREATE TABLE gates (
    company_id       integer  NOT NULL REFERENCES companies,
    gate_id          integer  GENERATED ALWAYS AS IDENTITY,
    code             text     NOT NULL,
    inside_id        integer  NOT NULL,
    outside_id       integer  NOT NULL,
    crossing_group   integer  NOT NULL,          -- gates that can see one crossing share it
    same_crossing_us bigint   NOT NULL DEFAULT 10000000 CHECK (same_crossing_us >= 0),
    PRIMARY KEY (company_id, gate_id),
    UNIQUE (company_id, code),
    FOREIGN KEY (company_id, inside_id) REFERENCES locations (company_id, location_id),
    FOREIGN KEY (company_id, outside_id) REFERENCES locations (company_id, location_id)
);

-- What a gate may expect. Until documents exist it is written by /v1/expectations and the import verbs.
CREATE TABLE expectations (
    company_id     integer     NOT NULL REFERENCES companies,
    expectation_id bigint      GENERATED ALWAYS AS IDENTITY,
    gate_id        integer     NOT NULL,
    direction      smallint    NOT NULL CHECK (direction IN (1, 2)),  -- 1 in, 2 out
    epc            text,
    item_id        integer,
    kind           smallint    NOT NULL REFERENCES movement_kinds,
    party_id       integer,
    document       text        NOT NULL DEFAULT '',
    price_micro    bigint      CHECK (price_micro >= 0),  -- 10⁻⁶ of `currency` per stock unit
    currency       char(3),
    rate_nano      bigint      NOT NULL DEFAULT 1000000000 CHECK (rate_nano > 0),  -- base per unit of currency
    qty_micro      bigint      NOT NULL CHECK (qty_micro > 0),
    done_micro     bigint      NOT NULL DEFAULT 0,
    open_until     timestamptz NOT NULL,
    note           text        NOT NULL DEFAULT '',
    PRIMARY KEY (company_id, expectation_id),
    CHECK (num_nonnulls(epc, item_id) = 1),
    CHECK ((price_micro IS NULL) = (currency IS NULL))
);
CREATE INDEX expectations_by_epc ON expectations (company_id, gate_id, epc)
    WHERE epc IS NOT NULL AND done_micro < qty_micro;
CREATE INDEX expectations_by_item ON expectations (company_id, gate_id, item_id)
    WHERE item_id IS NOT NULL AND done_micro < qty_micro;

-- ── Chart of accounts, posting rules, periods ───────────────────────────────────────────────────────

CREATE TABLE accounts (
    company_id integer NOT NULL REFERENCES companies,
    account_id integer GENERATED ALWAYS AS IDENTITY,
    number     text    NOT NULL,
    name_zh    text    NOT NULL,
    name_en    text    NOT NULL,
    role       text    NOT NULL,
    is_control boolean NOT NULL,
    PRIMARY KEY (company_id, account_id),
    UNIQUE (company_id, number),
    UNIQUE (company_id, role)
);

-- Which accounts a movement posts to. The role `pool` stands for the account of the movement's cost pool.
-- Null matches anything; among the rules that match, the highest priority wins.
CREATE TABLE posting_rules (
    company_id  integer  NOT NULL REFERENCES companies,
    rule_id     integer  GENERATED ALWAYS AS IDENTITY,
    kind        smallint NOT NULL REFERENCES movement_kinds,
    item_class  text,
    site_id     integer,
    reason      text,
    debit_role  text     NOT NULL,
    credit_role text     NOT NULL,
    priority    integer  NOT NULL DEFAULT 0,
    PRIMARY KEY (company_id, rule_id)
);

CREATE TABLE periods (
    company_id integer NOT NULL REFERENCES companies,
    period_id  integer NOT NULL,  -- yyyymm
    first_day  date    NOT NULL,
    last_day   date    NOT NULL,
    state      text    NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'soft_closed', 'locked')),
    PRIMARY KEY (company_id, period_id),
    CHECK (first_day <= last_day)
);

-- A batch holds its periods' rows while it chooses dates, so that no lock falls between. FOR SHARE asks for
-- the UPDATE privilege, which the services do not have: this function has it for them.
CREATE FUNCTION hold_periods(company integer) RETURNS SETOF periods
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT * FROM periods WHERE company_id = company ORDER BY period_id FOR SHARE
$$;

-- ── The gateways' logs ──────────────────────────────────────────────────────────────────────────────

CREATE TABLE gateway_logs (
    company_id  integer NOT NULL,
    gateway_id  integer NOT NULL,
    epoch       uuid    NOT NULL,
    applied_seq bigint  NOT NULL DEFAULT 0 CHECK (applied_seq >= 0),
    end_seq     bigint,            -- last number of a closed epoch
    stopped     text,              -- why nothing more of it is applied
    begun_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, gateway_id, epoch)
);

-- A worker leases lanes; the token fences a worker that lost its lease.
CREATE TABLE lane_leases (
    company_id integer     NOT NULL,
    lane       smallint    NOT NULL CHECK (lane BETWEEN 0 AND 15),
    worker     text        NOT NULL,
    token      bigint      NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (company_id, lane)
);

-- A person's word that numbers of a log are lost for good; verify shows every one of them.
CREATE TABLE log_losses (
    company_id  integer     NOT NULL,
    gateway_id  integer     NOT NULL,
    epoch       uuid        NOT NULL,
    first_seq   bigint      NOT NULL,
    last_seq    bigint      NOT NULL CHECK (last_seq >= first_seq),
    reason      text        NOT NULL CHECK (reason <> ''),
    recorded_by text        NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, gateway_id, epoch, first_seq)
);

-- Requests that made movements in the cloud: the same key and payload gets the first answer again.
CREATE TABLE cloud_requests (
    company_id integer     NOT NULL,
    key        text        NOT NULL,
    digest     bytea       NOT NULL,
    answer     jsonb       NOT NULL,
    made_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, key)
);

-- Messages on topics that no registered gateway owns: counted, never applied, kept by their gateway.
CREATE TABLE unknown_gateways (
    address    text        PRIMARY KEY,
    messages   bigint      NOT NULL,
    first_seen timestamptz NOT NULL DEFAULT now(),
    last_seen  timestamptz NOT NULL DEFAULT now()
);

-- What could not be read or booked, with its bytes. Resolving one adds a row to quarantine_resolutions.
CREATE TABLE quarantine (
    company_id    integer     NOT NULL,
    quarantine_id bigint      GENERATED ALWAYS AS IDENTITY,
    gateway_id    integer     NOT NULL,
    epoch         uuid        NOT NULL,
    first_seq     bigint      NOT NULL,
    last_seq      bigint      NOT NULL,
    recorded_at   timestamptz NOT NULL,
    reason        text        NOT NULL,
    payload       bytea       NOT NULL,
    PRIMARY KEY (company_id, quarantine_id)
);
CREATE INDEX quarantine_by_log ON quarantine (company_id, gateway_id, epoch, first_seq);

CREATE TABLE quarantine_resolutions (
    company_id    integer     NOT NULL,
    quarantine_id bigint      NOT NULL,
    resolved_at   timestamptz NOT NULL DEFAULT now(),
    resolved_by   text        NOT NULL,
    resolution    text        NOT NULL CHECK (resolution IN ('booked', 'dismissed')),
    note          text        NOT NULL,
    PRIMARY KEY (company_id, quarantine_id)
);

-- What a gateway said, one row a number: the log itself, with what became of it.
CREATE TABLE observations (
    company_id  integer     NOT NULL,
    recorded_at timestamptz NOT NULL,
    movement_id uuid        NOT NULL,
    gateway_id  integer     NOT NULL,
    epoch       uuid        NOT NULL,
    seq         bigint      NOT NULL,
    gate_id     integer     NOT NULL,
    epc         text        NOT NULL,
    direction   smallint    NOT NULL,  -- 1 in, 2 out, 3 turned back, 4 undecided
    confidence  real        NOT NULL,
    occurred_us bigint      NOT NULL,  -- as ordered and dated
    claimed_us  bigint      NOT NULL,  -- as the gateway said
    outcome     smallint    NOT NULL,
    winner      uuid,                  -- the sighting that moved the tag, where this one is its evidence
    evidence    json        NOT NULL,  -- json, not jsonb: the digest covers the bytes the gateway sent
    lane        smallint    NOT NULL,
    batch_no    bigint      NOT NULL,
    row_no      integer     NOT NULL,
    digest      bytea       NOT NULL
);
CREATE INDEX observations_by_log ON observations (company_id, gateway_id, epoch, seq);
CREATE INDEX observations_by_tag ON observations (company_id, epc, occurred_us);

-- Observations of tags without an item: they wait for a registration, which makes the movement.
CREATE TABLE open_observations (
    company_id  integer     NOT NULL,
    epc         text        NOT NULL,
    movement_id uuid        NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (company_id, epc, movement_id)
);

-- The newest summary of what each gate sees; a picture for people, no record.
CREATE TABLE gate_readings (
    company_id  integer     NOT NULL,
    gate        text        NOT NULL,
    received_at timestamptz NOT NULL,
    summary     jsonb       NOT NULL,
    reads_total bigint      NOT NULL,
    PRIMARY KEY (company_id, gate)
);

CREATE TABLE gateway_status (
    company_id  integer     NOT NULL,
    gateway_id  integer     NOT NULL,
    received_at timestamptz NOT NULL,
    online      boolean     NOT NULL,
    clock_us    bigint,               -- gateway clock minus cloud clock at receipt
    status      jsonb       NOT NULL,
    PRIMARY KEY (company_id, gateway_id)
);

-- ── Goods ───────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE batches (
    company_id  integer     NOT NULL,
    lane        smallint    NOT NULL,
    batch_no    bigint      NOT NULL,
    recorded_at timestamptz NOT NULL,
    worker      text        NOT NULL,
    observed    integer     NOT NULL,
    moved       integer     NOT NULL,
    previous    bytea       NOT NULL,
    head        bytea       NOT NULL,
    xid         xid8        NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (company_id, lane, batch_no)
);
CREATE INDEX batches_by_xid ON batches (company_id, xid);

CREATE TABLE lane_heads (
    company_id integer  NOT NULL,
    lane       smallint NOT NULL CHECK (lane BETWEEN 0 AND 15),
    batch_no   bigint   NOT NULL,
    head       bytea    NOT NULL,
    PRIMARY KEY (company_id, lane)
);

CREATE TABLE movements (
    company_id  integer     NOT NULL,
    recorded_at timestamptz NOT NULL,
    movement_id uuid        NOT NULL,
    kind        smallint    NOT NULL,
    item_id     integer     NOT NULL,
    qty_micro   bigint      NOT NULL CHECK (qty_micro > 0),
    from_id     integer     NOT NULL,
    to_id       integer     NOT NULL,
    party_id    integer,
    document    text        NOT NULL,
    price_micro bigint,                 -- 10⁻⁶ of the document's currency per stock unit, where it had one
    rate_nano   bigint      NOT NULL,   -- base currency per unit of the document's, in 10⁻⁹
    value_micro bigint,                 -- a cost of its own in 10⁻⁶ base currency, where it came with one
    corrects    uuid,
    tags        smallint    NOT NULL,   -- bits: 1 late, 2 clock, 4 uncosted
    occurred_us bigint      NOT NULL,
    gateway_id  integer     NOT NULL,   -- 0: born in the cloud
    epoch       uuid        NOT NULL,
    seq         bigint      NOT NULL,
    lane        smallint    NOT NULL,
    batch_no    bigint      NOT NULL,
    row_no      integer     NOT NULL,
    digest      bytea       NOT NULL
);
CREATE INDEX movements_by_id ON movements (company_id, movement_id);
CREATE INDEX movements_by_item ON movements (company_id, item_id, occurred_us);

CREATE TABLE balances (
    company_id  integer  NOT NULL,
    item_id     integer  NOT NULL,
    location_id integer  NOT NULL,
    lot_id      integer  NOT NULL DEFAULT 0,
    status      smallint NOT NULL DEFAULT 0,
    qty_micro   bigint   NOT NULL,
    PRIMARY KEY (company_id, item_id, location_id, lot_id, status)
);

-- Where a tag is: where its last movement by occurred_at left it, and the sighting that says so.
CREATE TABLE places (
    company_id     integer NOT NULL,
    epc            text    NOT NULL,
    area_id        integer NOT NULL,  -- the physical side of the gate it is on
    location_id    integer NOT NULL,  -- the stock location it was booked to
    occurred_us    bigint  NOT NULL,
    movement_id    uuid    NOT NULL,
    crossing_group integer NOT NULL,
    confidence     real    NOT NULL,
    PRIMARY KEY (company_id, epc)
);

-- ── Cost ────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE cost_pools (
    company_id   integer  NOT NULL,
    pool_id      bigint   NOT NULL,  -- derived from the key below, never from a sequence
    site_id      integer  NOT NULL,
    item_id      integer  NOT NULL,
    account_id   integer  NOT NULL,
    dimension_id integer  NOT NULL DEFAULT 0,
    owner_id     integer  NOT NULL DEFAULT 0,
    lot_id       integer  NOT NULL DEFAULT 0,
    method       smallint NOT NULL,
    minor_unit   bigint   NOT NULL CHECK (minor_unit > 0),  -- 10⁻⁶ of the currency in one minor unit
    qty          bigint   NOT NULL DEFAULT 0,
    value        bigint   NOT NULL DEFAULT 0,
    posted       bigint   NOT NULL DEFAULT 0,
    last_value   bigint   NOT NULL DEFAULT 0,  -- last known cost: last_value for last_qty
    last_qty     bigint   NOT NULL DEFAULT 0,
    next_layer   bigint   NOT NULL DEFAULT 1,
    newest_us    bigint   NOT NULL DEFAULT 0,
    late_from_us bigint,                       -- the place from which re-costing has to look again
    PRIMARY KEY (company_id, pool_id),
    UNIQUE (company_id, site_id, item_id, account_id, dimension_id, owner_id, lot_id),
    -- Promise 2, enforced where it is written: the posted amount is the value rounded half up on magnitude.
    CHECK (posted = CASE WHEN value < 0 THEN -((-value + minor_unit / 2) / minor_unit)
                         ELSE (value + minor_unit / 2) / minor_unit END),
    CHECK (qty <> 0 OR value = 0)
);
CREATE INDEX cost_pools_late ON cost_pools (company_id) WHERE late_from_us IS NOT NULL;

-- What an item last cost anywhere in the company: the cost of last resort for a pool that has none yet.
CREATE TABLE item_costs (
    company_id integer NOT NULL,
    item_id    integer NOT NULL,
    last_value bigint  NOT NULL,
    last_qty   bigint  NOT NULL CHECK (last_qty > 0),
    PRIMARY KEY (company_id, item_id)
);

-- What is left of one receipt (positive), or one issue that found nothing to take (negative).
CREATE TABLE cost_layers (
    company_id      integer NOT NULL,
    pool_id         bigint  NOT NULL,
    layer_no        bigint  NOT NULL,
    movement_id     uuid    NOT NULL,
    step            smallint NOT NULL,
    qty_left        bigint  NOT NULL CHECK (qty_left <> 0),
    value_left      bigint  NOT NULL,
    uncosted        boolean NOT NULL,
    counter_account integer NOT NULL,  -- where the difference goes when the cost becomes known
    posting_date    date    NOT NULL,
    occurred_us     bigint  NOT NULL,
    PRIMARY KEY (company_id, pool_id, layer_no)
);

CREATE TABLE cost_entries (
    company_id   integer  NOT NULL,
    movement_id  uuid     NOT NULL,
    step         smallint NOT NULL,
    pool_id      bigint   NOT NULL,
    qty          bigint   NOT NULL,
    value        bigint   NOT NULL,
    posted       bigint   NOT NULL,  -- change of the pool's posted amount
    corrects     uuid,               -- the movement whose cost this adjusts
    posting_date date     NOT NULL,
    lane         smallint NOT NULL,
    batch_no     bigint   NOT NULL,
    row_no       integer  NOT NULL,
    digest       bytea    NOT NULL,
    PRIMARY KEY (company_id, movement_id, step)
);
CREATE INDEX cost_entries_by_pool ON cost_entries (company_id, pool_id);

-- How much of which layer a cost entry took.
CREATE TABLE consumption_links (
    company_id  integer  NOT NULL,
    movement_id uuid     NOT NULL,
    step        smallint NOT NULL,
    link_no     integer  NOT NULL,
    pool_id     bigint   NOT NULL,
    layer_no    bigint   NOT NULL,
    source_id   uuid     NOT NULL,  -- the movement that made the layer
    qty         bigint   NOT NULL,
    value       bigint   NOT NULL,
    PRIMARY KEY (company_id, movement_id, step, link_no)
);
CREATE INDEX consumption_links_by_source ON consumption_links (company_id, source_id);

-- ── Money ───────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE journal_entries (
    company_id   integer     NOT NULL,
    source_id    uuid        NOT NULL,  -- the movement
    step         smallint    NOT NULL,
    origin       smallint    NOT NULL,  -- 1 movement, 2 manual
    kind         smallint    NOT NULL,
    posting_date date        NOT NULL,
    period_id    integer     NOT NULL,
    tags         smallint    NOT NULL,
    corrects     uuid,
    document     text        NOT NULL,
    recorded_at  timestamptz NOT NULL,
    lane         smallint    NOT NULL,
    batch_no     bigint      NOT NULL,
    row_no       integer     NOT NULL,
    digest       bytea       NOT NULL,
    xid          xid8        NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (company_id, source_id, step)
);
CREATE INDEX journal_entries_by_date ON journal_entries (company_id, posting_date);

CREATE TABLE journal_lines (
    company_id   integer  NOT NULL,
    source_id    uuid     NOT NULL,
    step         smallint NOT NULL,
    line_no      smallint NOT NULL,
    account_id   integer  NOT NULL,
    dimension_id integer  NOT NULL,
    amount       bigint   NOT NULL CHECK (amount <> 0),  -- minor units; debit positive, credit negative
    cost_step    smallint,  -- the cost entry (same movement) whose posted amount this is
    PRIMARY KEY (company_id, source_id, step, line_no)
);
CREATE INDEX journal_lines_by_account ON journal_lines (company_id, account_id);

CREATE TABLE turnovers (
    company_id   integer  NOT NULL,
    account_id   integer  NOT NULL,
    dimension_id integer  NOT NULL,
    period_id    integer  NOT NULL,
    lane         smallint NOT NULL,
    debit        bigint   NOT NULL,
    credit       bigint   NOT NULL,
    PRIMARY KEY (company_id, account_id, dimension_id, period_id, lane)
);

-- ── What the database itself refuses ────────────────────────────────────────────────────────────────

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'append only: % on % is refused; a correction is a new entry', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'TG001';
END $$;

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['observations', 'movements', 'batches', 'cost_entries', 'consumption_links',
                                'journal_entries', 'journal_lines', 'quarantine', 'quarantine_resolutions',
                                'log_losses', 'incarnations'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I
                        FOR EACH ROW EXECUTE FUNCTION refuse_change()', name);
        EXECUTE format('CREATE TRIGGER never_truncated BEFORE TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', name);
    END LOOP;
END $$;

-- Checked once a statement: a batch's lines arrive in one COPY. The joins run by EXECUTE so that they are planned
-- for the number of lines at hand: a plan kept from a session's first, small batch would be quadratic in later ones.
-- ORDER BY keeps LIMIT from preferring plans that are quick only when they find something.
CREATE FUNCTION check_lines() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE bad record;
BEGIN
    SELECT company_id, source_id, step, sum(amount) AS difference INTO bad
      FROM fresh GROUP BY company_id, source_id, step HAVING sum(amount) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'entry %.% does not balance: its lines sum to %, not 0',
            bad.source_id, bad.step, bad.difference USING ERRCODE = 'TG002';
    END IF;
    EXECUTE 'SELECT f.source_id, f.step FROM fresh f LEFT JOIN journal_entries e USING (company_id, source_id, step)
              WHERE e.xid IS DISTINCT FROM pg_current_xact_id() ORDER BY 1, 2 LIMIT 1' INTO bad;
    IF bad.source_id IS NOT NULL THEN
        RAISE EXCEPTION 'entry %.% is not of this transaction: lines arrive with their entry or never',
            bad.source_id, bad.step USING ERRCODE = 'TG003';
    END IF;
    EXECUTE 'SELECT f.source_id, f.step, a.number
               FROM fresh f JOIN accounts a USING (company_id, account_id)
               JOIN journal_entries e USING (company_id, source_id, step)
              WHERE a.is_control AND e.origin <> 1 ORDER BY 1, 2 LIMIT 1' INTO bad;
    IF bad.source_id IS NOT NULL THEN
        RAISE EXCEPTION 'entry %.%: control account % is written by its movements only',
            bad.source_id, bad.step, bad.number USING ERRCODE = 'TG004';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER lines_checked AFTER INSERT ON journal_lines REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION check_lines();

CREATE FUNCTION check_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE bad record;
BEGIN
    SELECT f.company_id, f.posting_date, coalesce(p.state, 'missing') AS state INTO bad
      FROM (SELECT DISTINCT company_id, period_id, posting_date FROM fresh) f
      LEFT JOIN periods p ON p.company_id = f.company_id AND p.period_id = f.period_id
                         AND f.posting_date BETWEEN p.first_day AND p.last_day
     WHERE coalesce(p.state, 'missing') IN ('locked', 'missing') LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'posting date % lies in a period that is %', bad.posting_date, bad.state
            USING ERRCODE = 'TG005';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER entries_checked AFTER INSERT ON journal_entries REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION check_entries();
