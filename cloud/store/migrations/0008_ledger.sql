-- The ledger in full: charts with validity, dimensions, rules with reasons, documents, currencies, closed periods,
-- voucher numbers, and a chain that covers every append-only table.

-- ── Names for the small numbers ─────────────────────────────────────────────────────────────────────

-- From 50 on: entries of sub-ledger documents, and manual ones. No movement or value event bears them.
INSERT INTO movement_kinds VALUES
    (50, 'supplier_invoice'), (51, 'customer_invoice'), (52, 'payment'), (53, 'clearing'),
    (54, 'currency_revaluation'), (55, 'carry_forward'), (56, 'manual'), (57, 'variance_spread'),
    (58, 'inter_company'), (18, 'group_shipment'), (19, 'group_receipt');

-- ISO 4217: its three-digit numbers, so that a line says its currency in two bytes. 0, which has no row, is the
-- company's own.
CREATE TABLE currencies (
    currency     smallint PRIMARY KEY CHECK (currency > 0),
    code         char(3)  NOT NULL UNIQUE,
    minor_digits smallint NOT NULL CHECK (minor_digits BETWEEN 0 AND 6)
);
INSERT INTO currencies VALUES
    (784, 'AED', 2), (36, 'AUD', 2), (48, 'BHD', 3), (986, 'BRL', 2), (124, 'CAD', 2), (756, 'CHF', 2),
    (152, 'CLP', 0), (156, 'CNY', 2), (203, 'CZK', 2), (208, 'DKK', 2), (978, 'EUR', 2), (826, 'GBP', 2),
    (344, 'HKD', 2), (348, 'HUF', 2), (360, 'IDR', 2), (356, 'INR', 2), (352, 'ISK', 0), (400, 'JOD', 3),
    (392, 'JPY', 0), (410, 'KRW', 0), (414, 'KWD', 3), (446, 'MOP', 2), (484, 'MXN', 2), (458, 'MYR', 2),
    (578, 'NOK', 2), (554, 'NZD', 2), (512, 'OMR', 3), (608, 'PHP', 2), (985, 'PLN', 2), (682, 'SAR', 2),
    (752, 'SEK', 2), (702, 'SGD', 2), (764, 'THB', 2), (788, 'TND', 3), (949, 'TRY', 2), (901, 'TWD', 2),
    (840, 'USD', 2), (704, 'VND', 0), (710, 'ZAR', 2);

-- ── Companies: how they close ───────────────────────────────────────────────────────────────────────

ALTER TABLE companies
    -- Where gateways' late events go while a period is soft-closed: into it, or on to the first open one.
    ADD COLUMN late_policy         text     NOT NULL DEFAULT 'post_back' CHECK (late_policy IN ('post_back', 'send_on')),
    ADD COLUMN soft_close_roles    text[]   NOT NULL DEFAULT '{finance,admin}',  -- who may post into a soft-closed period
    ADD COLUMN clarification_days  integer  NOT NULL DEFAULT 30 CHECK (clarification_days >= 0),
    ADD COLUMN fiscal_year_month   smallint NOT NULL DEFAULT 1 CHECK (fiscal_year_month BETWEEN 1 AND 12),
    ADD COLUMN rate_source         text     NOT NULL DEFAULT '',  -- '': any
    ADD COLUMN voucher_words       text     NOT NULL DEFAULT 'one' CHECK (voucher_words IN ('one', 'three'));

-- ── Charts ──────────────────────────────────────────────────────────────────────────────────────────

-- An account may stand for a role at one site only; an account without a role is for manual entries.
ALTER TABLE accounts
    ALTER COLUMN role DROP NOT NULL,
    ADD COLUMN site_id      integer,
    ADD COLUMN parent_id    integer,
    ADD COLUMN account_type text     NOT NULL DEFAULT 'asset'
        CHECK (account_type IN ('asset', 'liability', 'common', 'equity', 'cost', 'revenue', 'expense')),
    ADD COLUMN is_postable  boolean  NOT NULL DEFAULT true,   -- false: sums its sub-accounts
    ADD COLUMN is_monetary  boolean  NOT NULL DEFAULT false,  -- revalued at the closing rate (IAS 21, paragraph 23)
    ADD COLUMN has_items    boolean  NOT NULL DEFAULT false,  -- cleared item by item: its balance is that of its open items
    ADD COLUMN valid_from   date     NOT NULL DEFAULT '0001-01-01',
    ADD COLUMN valid_to     date     NOT NULL DEFAULT '9999-12-31',
    ADD CONSTRAINT accounts_valid CHECK (valid_from <= valid_to),
    DROP CONSTRAINT accounts_company_id_role_key,
    ADD CONSTRAINT accounts_one_for_a_role UNIQUE NULLS NOT DISTINCT (company_id, role, site_id, number);
-- One account for a role and site: PostgreSQL's unique index, where a role is named.
CREATE UNIQUE INDEX accounts_by_role ON accounts (company_id, role, coalesce(site_id, 0)) WHERE role IS NOT NULL;
ALTER TABLE accounts DROP CONSTRAINT accounts_one_for_a_role;

-- Which documents beside movements may write a control account.
CREATE TABLE control_writers (
    role text     NOT NULL,
    kind smallint NOT NULL REFERENCES movement_kinds,
    PRIMARY KEY (role, kind)
);
INSERT INTO control_writers VALUES
    ('grni', 50), ('grni', 54), ('landed_clearing', 50), ('landed_clearing', 54), ('clarification', 53),
    ('shipped', 51), ('receivables', 51), ('receivables', 52), ('receivables', 54), ('payables', 50),
    ('payables', 52), ('payables', 54), ('group_receivable', 58), ('group_receivable', 52), ('group_receivable', 54),
    ('group_payable', 58), ('group_payable', 52), ('group_payable', 54),
    ('rounding', 50), ('rounding', 51), ('rounding', 52), ('rounding', 53), ('rounding', 54), ('rounding', 55),
    ('rounding', 57), ('rounding', 58);

-- ── Dimensions ──────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE dimension_types (
    company_id integer NOT NULL REFERENCES companies,
    type_id    integer GENERATED ALWAYS AS IDENTITY,
    code       text    NOT NULL CHECK (code ~ '^[a-z][a-z0-9_]*$'),
    name_zh    text    NOT NULL,
    name_en    text    NOT NULL,
    PRIMARY KEY (company_id, type_id),
    UNIQUE (company_id, code)
);
CREATE TABLE dimension_values (
    company_id integer NOT NULL,
    value_id   integer GENERATED ALWAYS AS IDENTITY,
    type_id    integer NOT NULL,
    code       text    NOT NULL CHECK (code <> ''),
    name       text    NOT NULL DEFAULT '',
    valid_from date    NOT NULL DEFAULT '0001-01-01',
    valid_to   date    NOT NULL DEFAULT '9999-12-31',
    PRIMARY KEY (company_id, value_id),
    UNIQUE (company_id, type_id, code),
    CHECK (valid_from <= valid_to),
    FOREIGN KEY (company_id, type_id) REFERENCES dimension_types (company_id, type_id)
);
-- At most one value of each type; the code of such a set spells them: 'cost_centre=A1;project=P7', types in order.
CREATE TABLE dimension_set_values (
    company_id   integer NOT NULL,
    dimension_id integer NOT NULL,
    type_id      integer NOT NULL,
    value_id     integer NOT NULL,
    PRIMARY KEY (company_id, dimension_id, type_id),
    FOREIGN KEY (company_id, dimension_id) REFERENCES dimension_sets (company_id, dimension_id),
    FOREIGN KEY (company_id, value_id) REFERENCES dimension_values (company_id, value_id)
);
-- A type that is not named here is refused on the account.
CREATE TABLE account_dimensions (
    company_id integer NOT NULL,
    account_id integer NOT NULL,
    type_id    integer NOT NULL,
    need       text    NOT NULL CHECK (need IN ('required', 'allowed')),
    PRIMARY KEY (company_id, account_id, type_id),
    FOREIGN KEY (company_id, account_id) REFERENCES accounts (company_id, account_id),
    FOREIGN KEY (company_id, type_id) REFERENCES dimension_types (company_id, type_id)
);
INSERT INTO dimension_types (company_id, code, name_zh, name_en)
SELECT c.company_id, t.code, t.zh, t.en
  FROM companies c CROSS JOIN (VALUES
    ('cost_centre', '成本中心', 'Cost centre'), ('profit_centre', '利润中心', 'Profit centre'),
    ('project', '项目', 'Project'), ('fund_source', '资金来源', 'Fund source')) t (code, zh, en);

-- ── Posting rules ───────────────────────────────────────────────────────────────────────────────────

ALTER TABLE parties ADD COLUMN party_class text NOT NULL DEFAULT '';

-- A rule is never changed: it ends, and another begins, so that every posting can be explained later.
ALTER TABLE posting_rules
    ADD COLUMN party_class  text,
    ADD COLUMN dimension_id integer     NOT NULL DEFAULT 0,  -- of the leg opposite the pool, unless the movement names one
    ADD COLUMN made_at      timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN made_by      text        NOT NULL DEFAULT 'shipped',
    ADD COLUMN ended_at     timestamptz,
    ADD COLUMN ended_by     text;

-- ── Goods ───────────────────────────────────────────────────────────────────────────────────────────

ALTER TABLE movements
    ADD COLUMN reason       text     NOT NULL DEFAULT '',
    ADD COLUMN dimension_id integer  NOT NULL DEFAULT 0,  -- of the leg opposite the pool
    ADD COLUMN currency     smallint NOT NULL DEFAULT 0;  -- of the price; 0: the company's own
ALTER TABLE expectations
    ADD COLUMN reason       text     NOT NULL DEFAULT '',
    ADD COLUMN dimension_id integer  NOT NULL DEFAULT 0;
ALTER TABLE value_events
    ADD COLUMN currency        smallint NOT NULL DEFAULT 0,
    ADD COLUMN currency_amount bigint   NOT NULL DEFAULT 0;  -- the change in minor units of that currency
ALTER TABLE cost_entries ADD COLUMN counter_dimension integer NOT NULL DEFAULT 0;
ALTER TABLE cost_layers ADD COLUMN counter_dimension integer NOT NULL DEFAULT 0;
ALTER TABLE cost_cut_layers ADD COLUMN counter_dimension integer NOT NULL DEFAULT 0;

-- Layout 3: the digests cover what this migration adds, a cost entry's digest goes on over its consumption links,
-- and a batch's link over the batch's own row.
ALTER TABLE batches ALTER COLUMN layout SET DEFAULT 3;

-- ── Money ───────────────────────────────────────────────────────────────────────────────────────────

-- What an entry that no movement made stands for: who, on what paper, why. Origin 3, and 2 for manual ones.
CREATE TABLE ledger_documents (
    company_id  integer     NOT NULL,
    recorded_at timestamptz NOT NULL,
    document_id uuid        NOT NULL,  -- the source_id of its entries
    kind        smallint    NOT NULL,
    party_id    integer,
    number      text        NOT NULL,  -- as on the paper
    day         date        NOT NULL,  -- of the paper
    currency    smallint    NOT NULL DEFAULT 0,
    rate_nano   bigint      NOT NULL DEFAULT 1000000000 CHECK (rate_nano > 0),
    narration   text        NOT NULL,  -- 摘要
    recorded_by text        NOT NULL,
    details     json        NOT NULL,  -- what it says beyond its lines; json, not jsonb: the digest covers its bytes
    lane        smallint    NOT NULL,
    batch_no    bigint      NOT NULL,
    row_no      integer     NOT NULL,
    digest      bytea       NOT NULL,
    PRIMARY KEY (company_id, document_id)
);

ALTER TABLE journal_entries
    ADD CONSTRAINT journal_entries_origin CHECK (CASE origin WHEN 1 THEN kind < 50 WHEN 2 THEN kind = 56
                                                             WHEN 3 THEN kind >= 50 AND kind <> 56 ELSE false END);

-- currency_amount: the same in minor units of the document's currency, where that is not the company's own.
-- open_item: the item (its root entry's source) that this line clears; null: the line is of its entry's own item.
ALTER TABLE journal_lines
    DROP CONSTRAINT journal_lines_amount_check,
    ADD COLUMN currency        smallint NOT NULL DEFAULT 0,
    ADD COLUMN currency_amount bigint   NOT NULL DEFAULT 0,
    ADD COLUMN open_item       uuid,
    ADD CONSTRAINT journal_lines_amounts CHECK ((amount <> 0 OR currency_amount <> 0)
                                                AND (currency <> 0 OR currency_amount = 0));
CREATE INDEX journal_lines_by_open_item ON journal_lines (company_id, open_item) WHERE open_item IS NOT NULL;

ALTER TABLE turnovers
    ADD COLUMN currency        smallint NOT NULL DEFAULT 0,
    ADD COLUMN currency_debit  bigint   NOT NULL DEFAULT 0,
    ADD COLUMN currency_credit bigint   NOT NULL DEFAULT 0,
    DROP CONSTRAINT turnovers_pkey,
    ADD PRIMARY KEY (company_id, account_id, dimension_id, currency, period_id, lane);

-- R135: what a shipment will be invoiced at. No entry, and it never touches an account of stock.
CREATE TABLE journal_drafts (
    company_id  integer     NOT NULL,
    movement_id uuid        NOT NULL,
    party_id    integer,
    document    text        NOT NULL,
    item_id     integer     NOT NULL,
    qty_micro   bigint      NOT NULL,
    price_micro bigint      NOT NULL,
    currency    smallint    NOT NULL,
    rate_nano   bigint      NOT NULL,
    net_amount  bigint      NOT NULL,  -- minor units of `currency`
    occurred_us bigint      NOT NULL,
    state       text        NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'posted', 'dismissed')),
    posted_as   uuid,                  -- the invoice
    changed_by  text        NOT NULL DEFAULT '',
    reason      text        NOT NULL DEFAULT '',  -- why it was dismissed
    PRIMARY KEY (company_id, movement_id)
);
CREATE INDEX journal_drafts_waiting ON journal_drafts (company_id, occurred_us) WHERE state = 'waiting';
-- From an invoice to its shipments. A draft is written once in a batch and changed once by its invoice.
CREATE INDEX journal_drafts_by_invoice ON journal_drafts (company_id, posted_as) WHERE posted_as IS NOT NULL;
-- From a re-costing's entry to the allowances that it changed: they name no entry. Few pools have an allowance.
CREATE INDEX allowance_entries_by_batch ON allowance_entries (company_id, lane, batch_no);

-- 凭证号: given by a job in recorded order, never changed.
CREATE TABLE voucher_numbers (
    company_id integer     NOT NULL,
    period_id  integer     NOT NULL,
    word       text        NOT NULL,
    number     integer     NOT NULL CHECK (number > 0),
    source_id  uuid        NOT NULL,
    step       smallint    NOT NULL,
    numbered_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, period_id, word, number),
    UNIQUE (company_id, source_id, step)
);

-- Money at hand: an entry that moves it has another word where a company uses three. The four-digit numbers are
-- those of the application guidance to ASBE (cash, bank, other monetary funds), so that sub-accounts of a company's
-- own count wherever their header's role stands.
CREATE VIEW cash_accounts AS
WITH RECURSIVE found AS (
    SELECT a.company_id, a.account_id FROM accounts a JOIN companies c USING (company_id)
     WHERE a.role IN ('cash', 'bank') OR (c.profile = 'ASBE' AND left(a.number, 4) IN ('1001', '1002', '1012'))
     UNION
    SELECT a.company_id, a.account_id FROM found f
      JOIN accounts a ON a.company_id = f.company_id AND a.parent_id = f.account_id)
SELECT company_id, account_id FROM found;

-- How far a company's entries have numbers: all of transactions before `xid`. Rows of period 0 speak for the whole
-- company, others for what one period has beyond it. Derived; without them the whole history would be looked at.
CREATE TABLE voucher_marks (
    company_id integer NOT NULL,
    period_id  integer NOT NULL,
    xid        xid8    NOT NULL,
    PRIMARY KEY (company_id, period_id)
);

-- Number what has none yet, in recorded order (xid, lane, batch_no, row_no), and say how much it was. `period` null:
-- all of the company. Nobody may write numbers but by this function.
--
-- Only what is below the oldest transaction that may still commit is numbered, so that nothing can come before a
-- number that is given. A period that is about to be locked (`finally`) is numbered to its end: its changer has the
-- calendar alone, so all that was posted there is seen, and nothing can follow. One numbering of a company waits for
-- the other at the mark; it never waits for a batch, nor a batch for it.
CREATE FUNCTION number_vouchers(company integer, period integer DEFAULT NULL, finally boolean DEFAULT false)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    from_xid xid8; upto xid8; words text; among text; given bigint := 0;
    first_at timestamptz; last_at timestamptz; first_day date; last_day date;
BEGIN
    IF period IS NOT NULL AND NOT EXISTS (SELECT FROM periods p WHERE p.company_id = company AND p.period_id = period) THEN
        RAISE EXCEPTION 'there is no period %', period USING ERRCODE = 'TG005';
    END IF;
    INSERT INTO voucher_marks VALUES (company, 0, '0'), (company, coalesce(period, 0), '0') ON CONFLICT DO NOTHING;
    PERFORM 1 FROM voucher_marks m WHERE m.company_id = company AND m.period_id IN (0, period)
      ORDER BY m.period_id FOR UPDATE;
    -- Read behind the lock: what another numbering did while this one waited is seen.
    SELECT m.xid INTO from_xid FROM voucher_marks m
     WHERE m.company_id = company AND m.period_id IN (0, period) ORDER BY m.xid DESC LIMIT 1;
    SELECT pg_snapshot_xmin(pg_current_snapshot()), c.voucher_words INTO upto, words
      FROM companies c WHERE c.company_id = company;
    IF finally THEN
        SELECT p.first_day, p.last_day INTO first_day, last_day FROM periods p
         WHERE p.company_id = company AND p.period_id = period;
        among := 'e.posting_date BETWEEN $7 AND $8 AND NOT EXISTS (SELECT FROM voucher_numbers v
                    WHERE v.company_id = $1 AND v.source_id = e.source_id AND v.step = e.step)';
    ELSE
        -- Blocks of entries are found by when they were recorded, which every row of a batch shares.
        SELECT min(b.recorded_at), max(b.recorded_at) INTO first_at, last_at FROM batches b
         WHERE b.company_id = company AND b.xid >= from_xid AND b.xid < upto;
        among := 'e.recorded_at BETWEEN $5 AND $6 AND e.xid < $4 AND e.xid >= greatest($3, m.xid)';
    END IF;
    IF finally OR first_at IS NOT NULL THEN
        -- By EXECUTE, so that it is planned for the number of entries at hand.
        EXECUTE 'WITH fresh AS MATERIALIZED (
                     SELECT e.period_id, e.xid, e.lane, e.batch_no, e.row_no, e.source_id, e.step
                       FROM journal_entries e
                       LEFT JOIN voucher_marks m ON m.company_id = $1 AND m.period_id = e.period_id
                      WHERE e.company_id = $1 AND ($2 IS NULL OR e.period_id = $2) AND ' || among || '),
                 ' || CASE words WHEN 'three' THEN 'money AS (
                     SELECT l.source_id, l.step, bool_or(l.amount < 0) AS is_paid
                       FROM fresh f JOIN journal_lines l ON l.company_id = $1 AND l.source_id = f.source_id
                                                        AND l.step = f.step
                      WHERE l.account_id IN (SELECT account_id FROM cash_accounts WHERE company_id = $1)
                      GROUP BY 1, 2),
                 worded AS MATERIALIZED (
                     SELECT f.*, CASE WHEN m.is_paid THEN ''付'' WHEN m.is_paid IS FALSE THEN ''收'' ELSE ''转'' END AS word
                       FROM fresh f LEFT JOIN money m USING (source_id, step))'
                 ELSE 'worded AS MATERIALIZED (SELECT f.*, ''记'' AS word FROM fresh f)' END || ',
                 last AS MATERIALIZED (
                     SELECT k.period_id, k.word, coalesce((SELECT max(v.number) FROM voucher_numbers v
                              WHERE v.company_id = $1 AND v.period_id = k.period_id AND v.word = k.word), 0) AS number
                       FROM (SELECT DISTINCT period_id, word FROM worded) k)
                 INSERT INTO voucher_numbers (company_id, period_id, word, number, source_id, step)
                 SELECT $1, period_id, w.word,
                        l.number + row_number() OVER (PARTITION BY period_id, w.word
                                                      ORDER BY w.xid, w.lane, w.batch_no, w.row_no, w.source_id, w.step),
                        w.source_id, w.step
                   FROM worded w JOIN last l USING (period_id, word)'
          USING company, period, from_xid, upto, first_at, last_at, first_day, last_day;
        GET DIAGNOSTICS given = ROW_COUNT;
    END IF;
    IF NOT finally THEN
        UPDATE voucher_marks m SET xid = upto
         WHERE m.company_id = company AND m.period_id = coalesce(period, 0) AND m.xid < upto;
    ELSE
        UPDATE voucher_marks m SET xid = '18446744073709551615'
         WHERE m.company_id = company AND m.period_id = period;
    END IF;
    RETURN given;
END $$;

-- A lock does not pass while an entry of its period has no number: it gives those that are missing.
CREATE FUNCTION number_before_lock() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM number_vouchers(NEW.company_id, NEW.period_id, true);
    RETURN NULL;
END $$;
CREATE TRIGGER numbered AFTER UPDATE ON periods FOR EACH ROW
    WHEN (NEW.state = 'locked' AND OLD.state <> 'locked') EXECUTE FUNCTION number_before_lock();

-- ── Small append-only tables: each row carries on its table's own chain ─────────────────────────────

CREATE TABLE chain_heads (
    name    text   PRIMARY KEY,  -- the table's
    link_no bigint NOT NULL,
    head    bytea  NOT NULL
);

-- The digest of a row: SHA-256 over the one before and the row as JSON without its digest. What is null is left out,
-- so that rows keep their digests when a later migration adds a column that may be null.
CREATE FUNCTION row_digest(previous bytea, content jsonb) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT sha256(previous || convert_to(coalesce(jsonb_object_agg(e.key, e.value), '{}')::text, 'UTF8'))
      FROM jsonb_each(content - 'digest') e WHERE e.value <> 'null'
$$;
-- JSON writes times in the session's zone, floats and bytes by a setting, so all three are fixed here. Whoever inserts
-- waits for whoever inserted before and has not committed: a chain has one end.
CREATE FUNCTION chain_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
SET TimeZone = 'UTC' SET extra_float_digits = 1 SET bytea_output = 'hex' AS $$
DECLARE last chain_heads;
BEGIN
    IF TG_TABLE_SCHEMA <> 'public' THEN
        RAISE EXCEPTION 'no chain for tables of schema %', TG_TABLE_SCHEMA USING ERRCODE = 'TG001';
    END IF;
    INSERT INTO chain_heads VALUES (TG_TABLE_NAME, 0, decode(repeat('00', 32), 'hex')) ON CONFLICT DO NOTHING;
    SELECT * INTO last FROM chain_heads WHERE name = TG_TABLE_NAME FOR UPDATE;
    NEW.link_no := last.link_no + 1;
    NEW.digest := row_digest(last.head, to_jsonb(NEW));
    UPDATE chain_heads SET link_no = NEW.link_no, head = NEW.digest WHERE name = TG_TABLE_NAME;
    RETURN NEW;
END $$;
-- INSERT … ON CONFLICT DO NOTHING would move the chain on without a row: refused.
CREATE FUNCTION check_chain_end() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE is_whole boolean;
BEGIN
    EXECUTE format('SELECT coalesce((SELECT link_no FROM chain_heads WHERE name = %L), 0) =
                           coalesce((SELECT max(link_no) FROM %I), 0)', TG_TABLE_NAME, TG_TABLE_NAME) INTO is_whole;
    IF NOT is_whole THEN
        RAISE EXCEPTION 'append only: the chain of % would end without its row', TG_TABLE_NAME USING ERRCODE = 'TG001';
    END IF;
    RETURN NULL;
END $$;
-- A trigger of a service's own, on a table of its own, could move the chains on.
REVOKE ALL ON FUNCTION chain_row(), check_chain_end() FROM PUBLIC;

-- The rates that are known, by day and source; the newest row of a day and source counts.
CREATE TABLE exchange_rates (
    company_id  integer     NOT NULL REFERENCES companies,
    currency    smallint    NOT NULL REFERENCES currencies,
    day         date        NOT NULL,
    source      text        NOT NULL,
    rate_nano   bigint      NOT NULL CHECK (rate_nano > 0),  -- company's currency per unit, in 10⁻⁹
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    recorded_by text        NOT NULL
);

-- Who opened, closed and locked what, and how far each lane's chain was then: {lane: batch_no}.
CREATE TABLE period_events (
    company_id  integer     NOT NULL REFERENCES companies,
    period_id   integer     NOT NULL,
    from_state  text        NOT NULL,
    to_state    text        NOT NULL,
    heads       jsonb       NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    recorded_by text        NOT NULL CHECK (recorded_by <> ''),
    reason      text        NOT NULL DEFAULT ''
);

CREATE TABLE close_reports (
    company_id  integer     NOT NULL REFERENCES companies,
    period_id   integer     NOT NULL,
    passed      boolean     NOT NULL,
    report      jsonb       NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    recorded_by text        NOT NULL
);

-- Rows of before are chained as they stand, in the order in which they were recorded: what was changed earlier is not
-- seen, what changes from here on is.
CREATE FUNCTION chain_existing(name text, ordered_by text) RETURNS void
LANGUAGE plpgsql SET TimeZone = 'UTC' SET extra_float_digits = 1 SET bytea_output = 'hex' AS $$
DECLARE place tid; number bigint := 0; head bytea := decode(repeat('00', 32), 'hex');
BEGIN
    EXECUTE format('ALTER TABLE %I DISABLE TRIGGER append_only', name);
    FOR place IN EXECUTE format('SELECT ctid FROM %I ORDER BY %s', name, ordered_by) LOOP
        number := number + 1;
        EXECUTE format('UPDATE %I t SET link_no = $1, digest = row_digest($2, to_jsonb(t) || jsonb_build_object(''link_no'', $1))
                         WHERE ctid = $3 RETURNING digest', name) INTO head USING number, head, place;
    END LOOP;
    EXECUTE format('ALTER TABLE %I ENABLE TRIGGER append_only', name);
    INSERT INTO chain_heads VALUES (name, number, head);
END $$;
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['exchange_rates', 'period_events', 'close_reports', 'quarantine',
                                'quarantine_resolutions', 'log_losses', 'incarnations'] LOOP
        EXECUTE format('ALTER TABLE %I ADD COLUMN link_no bigint, ADD COLUMN digest bytea', name);
    END LOOP;
    PERFORM chain_existing('quarantine', 'recorded_at, company_id, quarantine_id');
    PERFORM chain_existing('quarantine_resolutions', 'resolved_at, company_id, quarantine_id');
    PERFORM chain_existing('log_losses', 'recorded_at, company_id, gateway_id, epoch, first_seq');
    PERFORM chain_existing('incarnations', 'incarnation');
    FOREACH name IN ARRAY ARRAY['exchange_rates', 'period_events', 'close_reports', 'quarantine',
                                'quarantine_resolutions', 'log_losses', 'incarnations'] LOOP
        EXECUTE format('ALTER TABLE %I ALTER COLUMN link_no SET NOT NULL, ALTER COLUMN digest SET NOT NULL', name);
        EXECUTE format('CREATE TRIGGER chained BEFORE INSERT ON %I FOR EACH ROW EXECUTE FUNCTION chain_row()', name);
        EXECUTE format('CREATE TRIGGER chain_end AFTER INSERT ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION check_chain_end()', name);
        EXECUTE format('CREATE UNIQUE INDEX %I ON %I (link_no)', name || '_chain', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['exchange_rates', 'period_events', 'close_reports', 'voucher_numbers', 'ledger_documents'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I
                        FOR EACH ROW EXECUTE FUNCTION refuse_change()', name);
        EXECUTE format('CREATE TRIGGER never_truncated BEFORE TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', name);
    END LOOP;
END $$;
CREATE INDEX exchange_rates_by_day ON exchange_rates (company_id, currency, day DESC);
CREATE INDEX period_events_by_period ON period_events (company_id, period_id);
CREATE INDEX close_reports_by_period ON close_reports (company_id, period_id);
DROP FUNCTION chain_existing(text, text);
-- Periods that are closed already: how they came to it nobody wrote down.
INSERT INTO period_events (company_id, period_id, from_state, to_state, heads, recorded_by, reason)
SELECT p.company_id, p.period_id, s.from_state, s.to_state, coalesce(h.heads, '{}'), 'migration', 'closed before'
  FROM periods p
  JOIN (VALUES (1, 'open', 'soft_closed'), (2, 'soft_closed', 'locked')) s (n, from_state, to_state)
    ON p.state = 'locked' OR (p.state = 'soft_closed' AND s.n = 1)
  LEFT JOIN (SELECT company_id, jsonb_object_agg(lane, batch_no) AS heads FROM lane_heads GROUP BY 1) h USING (company_id)
 ORDER BY p.company_id, p.period_id, s.n;

-- ── What the database itself refuses ────────────────────────────────────────────────────────────────

-- Who posts shares the company's calendar, who changes a period has it alone. Row locks would do but for one thing: a
-- share of a row never waits for one who wants it alone, so batches that overlap for ever would never let a period
-- close. This lock has a queue: the next batch waits behind the change, and sees what it did.
CREATE FUNCTION share_calendar(company integer) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock_shared(hashtext('tallygate calendar'), company)
$$;
CREATE FUNCTION hold_calendar_alone(company integer) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtext('tallygate calendar'), company)
$$;
CREATE OR REPLACE FUNCTION hold_periods(company integer) RETURNS SETOF periods
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT share_calendar(company);
    SELECT * FROM periods WHERE company_id = company ORDER BY period_id FOR SHARE;
$$;

-- Posting dates that lie in no period, in a locked one, or, for documents, in a soft-closed one without the right to
-- post there (which the transaction says by `SET LOCAL tallygate.posts_soft_closed = on`). The period rows are
-- share-locked, so that no lock falls between this check and the commit. FOR SHARE asks for the UPDATE privilege,
-- which the services do not have: this function has it for them.
CREATE FUNCTION refuse_closed(company integer, days date[], is_document boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE bad record;
BEGIN
    PERFORM 1 FROM periods p WHERE p.company_id = company
       AND EXISTS (SELECT 1 FROM unnest(days) d WHERE d BETWEEN p.first_day AND p.last_day)
     ORDER BY p.period_id FOR SHARE;
    SELECT d AS day, coalesce(p.state, 'missing') AS state INTO bad
      FROM unnest(days) d LEFT JOIN periods p ON p.company_id = company AND d BETWEEN p.first_day AND p.last_day
     WHERE coalesce(p.state, 'missing') IN ('locked', 'missing')
        OR (is_document AND p.state = 'soft_closed'
            AND coalesce(current_setting('tallygate.posts_soft_closed', true), '') <> 'on')
     ORDER BY d LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'posting date % lies in a period that is %', bad.day, bad.state
            USING ERRCODE = CASE bad.state WHEN 'soft_closed' THEN 'TG007' ELSE 'TG005' END;
    END IF;
END $$;

CREATE OR REPLACE FUNCTION check_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE bad record;
BEGIN
    PERFORM refuse_closed(company_id, array_agg(DISTINCT posting_date), origin <> 1)
       FROM fresh GROUP BY company_id, origin <> 1;
    SELECT f.company_id, f.posting_date, f.period_id INTO bad
      FROM (SELECT DISTINCT company_id, period_id, posting_date FROM fresh) f
      LEFT JOIN periods p ON p.company_id = f.company_id AND p.period_id = f.period_id
                         AND f.posting_date BETWEEN p.first_day AND p.last_day
     WHERE p.period_id IS NULL LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'posting date % does not lie in period %', bad.posting_date, bad.period_id
            USING ERRCODE = 'TG005';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION check_cost_dates() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM refuse_closed(company_id, array_agg(DISTINCT posting_date), false) FROM fresh GROUP BY company_id;
    RETURN NULL;
END $$;
CREATE TRIGGER dates_checked AFTER INSERT ON cost_entries REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION check_cost_dates();
CREATE TRIGGER dates_checked AFTER INSERT ON allowance_entries REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION check_cost_dates();

-- Turnovers are derived, but those of a locked period move no more.
CREATE FUNCTION check_turnovers() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE bad record;
BEGIN
    SELECT p.period_id INTO bad FROM fresh f JOIN periods p USING (company_id, period_id) WHERE p.state = 'locked' LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'turnovers of period % are final: it is locked', bad.period_id USING ERRCODE = 'TG005';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER period_checked_on_insert AFTER INSERT ON turnovers REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION check_turnovers();
CREATE TRIGGER period_checked_on_update AFTER UPDATE ON turnovers REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION check_turnovers();
CREATE TRIGGER period_checked_on_delete AFTER DELETE ON turnovers REFERENCING OLD TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION check_turnovers();
-- What belongs to one period is never told of another: amounts change, keys do not.
CREATE TRIGGER key_stays BEFORE UPDATE OF company_id, account_id, dimension_id, currency, period_id, lane ON turnovers
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- open → soft_closed → locked; a soft-closed period may be opened again, a locked one never, nor does its calendar
-- move. Each change is told in period_events by the function that makes it.
CREATE FUNCTION guard_periods() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'period % stays in the calendar', OLD.period_id USING ERRCODE = 'TG001';
    END IF;
    IF (NEW.company_id, NEW.period_id, NEW.first_day, NEW.last_day)
           IS DISTINCT FROM (OLD.company_id, OLD.period_id, OLD.first_day, OLD.last_day) THEN
        RAISE EXCEPTION 'the days of period % do not change', OLD.period_id USING ERRCODE = 'TG001';
    END IF;
    IF OLD.state = 'locked' AND NEW IS DISTINCT FROM OLD THEN
        RAISE EXCEPTION 'period % is locked', OLD.period_id USING ERRCODE = 'TG005';
    END IF;
    IF OLD.state = 'open' AND NEW.state = 'locked' THEN
        RAISE EXCEPTION 'period % is open: it is soft-closed first', OLD.period_id USING ERRCODE = 'TG005';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guarded BEFORE UPDATE OR DELETE ON periods FOR EACH ROW EXECUTE FUNCTION guard_periods();

-- Days are of one period only, and no period comes before one that is closed: its days were posted elsewhere by now.
ALTER TABLE periods ADD CONSTRAINT periods_apart
    EXCLUDE USING gist (int4range(company_id, company_id, '[]') WITH &&, daterange(first_day, last_day, '[]') WITH &&);
CREATE FUNCTION guard_new_periods() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE bad record;
BEGIN
    SELECT f.period_id, p.period_id AS closed INTO bad FROM fresh f
      JOIN periods p ON p.company_id = f.company_id AND p.last_day > f.first_day AND p.state <> 'open'
     ORDER BY f.period_id, p.period_id LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'period % would come before %, which is closed', bad.period_id, bad.closed
            USING ERRCODE = 'TG005';
    END IF;
    SELECT period_id INTO bad FROM fresh WHERE state <> 'open' LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'period % begins open', bad.period_id USING ERRCODE = 'TG005';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON periods FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON turnovers FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER new_ones_guarded AFTER INSERT ON periods REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION guard_new_periods();

-- A period changes its state here and nowhere else: the services have no right to update it. The update waits for
-- the batches that hold the row; what they wrote is below the heads that are read after it.
CREATE FUNCTION change_period(company integer, period integer, to_state text, who text, why text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE before text;
BEGIN
    PERFORM hold_calendar_alone(company);
    SELECT state INTO before FROM periods WHERE company_id = company AND period_id = period FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no period %', period USING ERRCODE = 'TG005';
    END IF;
    IF before = to_state THEN
        RETURN;
    END IF;
    IF to_state IN ('soft_closed', 'locked') THEN
        PERFORM 1 FROM periods p WHERE p.company_id = company AND p.period_id < period
            AND CASE to_state WHEN 'locked' THEN p.state <> 'locked' ELSE p.state = 'open' END;
        IF FOUND THEN
            RAISE EXCEPTION 'period % cannot be %: one before it is not', period, to_state USING ERRCODE = 'TG005';
        END IF;
    ELSE
        PERFORM 1 FROM periods p WHERE p.company_id = company AND p.period_id > period AND p.state <> 'open';
        IF FOUND THEN
            RAISE EXCEPTION 'period % cannot be opened again: one behind it is closed', period USING ERRCODE = 'TG005';
        END IF;
    END IF;
    UPDATE periods SET state = to_state WHERE company_id = company AND period_id = period;
    INSERT INTO period_events (company_id, period_id, from_state, to_state, heads, recorded_by, reason)
    SELECT company, period, before, to_state, coalesce(jsonb_object_agg(lane, batch_no), '{}'), who, why
      FROM lane_heads WHERE company_id = company;
END $$;

-- Checked once a statement: a batch's lines arrive in one COPY. The joins run by EXECUTE so that they are planned
-- for the number of lines at hand: a plan kept from a session's first, small batch would be quadratic in later ones.
-- ORDER BY keeps LIMIT from preferring plans that are quick only when they find something.
CREATE OR REPLACE FUNCTION check_lines() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE bad record;
BEGIN
    SELECT company_id, source_id, step, sum(amount) AS difference INTO bad
      FROM fresh GROUP BY company_id, source_id, step HAVING sum(amount) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'entry %.% does not balance: its lines sum to %, not 0',
            bad.source_id, bad.step, bad.difference USING ERRCODE = 'TG002';
    END IF;
    SELECT f.source_id, f.step, coalesce(c.code::text, f.currency::text) AS code, f.difference INTO bad
      FROM (SELECT company_id, source_id, step, currency, sum(currency_amount) AS difference
              FROM fresh WHERE currency <> 0 GROUP BY 1, 2, 3, 4 HAVING sum(currency_amount) <> 0 LIMIT 1) f
      LEFT JOIN currencies c USING (currency);
    IF FOUND THEN
        RAISE EXCEPTION 'entry %.% does not balance in %: its lines sum to %, not 0',
            bad.source_id, bad.step, bad.code, bad.difference USING ERRCODE = 'TG002';
    END IF;
    EXECUTE 'SELECT f.source_id, f.step FROM fresh f LEFT JOIN journal_entries e USING (company_id, source_id, step)
              WHERE e.xid IS DISTINCT FROM pg_current_xact_id() ORDER BY 1, 2 LIMIT 1' INTO bad;
    IF bad.source_id IS NOT NULL THEN
        RAISE EXCEPTION 'entry %.% is not of this transaction: lines arrive with their entry or never',
            bad.source_id, bad.step USING ERRCODE = 'TG003';
    END IF;
    EXECUTE 'SELECT f.source_id, f.step, a.number,
                    CASE WHEN NOT a.is_postable THEN ''sums its sub-accounts and takes no lines''
                         WHEN e.posting_date NOT BETWEEN a.valid_from AND a.valid_to
                              THEN ''is not valid on '' || e.posting_date
                         ELSE ''is a control account, written by its movements and documents only'' END AS why
               FROM fresh f JOIN accounts a USING (company_id, account_id)
               JOIN journal_entries e USING (company_id, source_id, step)
              WHERE NOT a.is_postable
                 -- What settles, corrects, takes back or closes what stands does it where that stands.
                 OR (e.posting_date NOT BETWEEN a.valid_from AND a.valid_to
                     AND e.kind NOT IN (37, 38, 55) AND e.corrects IS NULL)
                 OR (a.is_control AND e.origin <> 1
                     AND NOT EXISTS (SELECT 1 FROM control_writers w WHERE w.role = a.role AND w.kind = e.kind))
              ORDER BY 1, 2 LIMIT 1' INTO bad;
    IF bad.source_id IS NOT NULL THEN
        RAISE EXCEPTION 'entry %.%: account % %', bad.source_id, bad.step, bad.number, bad.why USING ERRCODE = 'TG004';
    END IF;
    EXECUTE 'SELECT f.source_id, f.step, a.number, t.code
               FROM account_dimensions d JOIN fresh f USING (company_id, account_id)
               JOIN accounts a USING (company_id, account_id) JOIN dimension_types t USING (company_id, type_id)
               LEFT JOIN dimension_set_values v ON v.company_id = f.company_id AND v.dimension_id = f.dimension_id
                                               AND v.type_id = d.type_id
              WHERE d.need = ''required'' AND v.type_id IS NULL
                AND NOT EXISTS (SELECT FROM journal_entries e WHERE e.company_id = f.company_id
                                   AND e.source_id = f.source_id AND e.step = f.step
                                   AND (e.kind IN (37, 38, 55) OR e.corrects IS NOT NULL))
              ORDER BY 1, 2 LIMIT 1' INTO bad;
    IF bad.source_id IS NOT NULL THEN
        RAISE EXCEPTION 'entry %.%: account % asks for a %', bad.source_id, bad.step, bad.number, bad.code
            USING ERRCODE = 'TG008';
    END IF;
    RETURN NULL;
END $$;

-- ── Views ───────────────────────────────────────────────────────────────────────────────────────────

DROP VIEW stock_ledger_difference;
DROP VIEW account_balances;
CREATE VIEW account_balances AS
SELECT a.company_id, a.account_id, a.number, a.name_zh, a.name_en, a.role, a.is_control,
       coalesce(sum(t.debit), 0)::bigint AS debit, coalesce(sum(t.credit), 0)::bigint AS credit,
       coalesce(sum(t.debit - t.credit), 0)::bigint AS balance
  FROM accounts a LEFT JOIN turnovers t USING (company_id, account_id)
 GROUP BY a.company_id, a.account_id;
CREATE VIEW stock_ledger_difference AS
SELECT b.company_id, coalesce(sum(s.posted), 0)::bigint AS stock_value,
       sum(b.balance)::bigint AS ledger,
       (coalesce(sum(s.posted), 0) - sum(b.balance))::bigint AS difference
  FROM account_balances b LEFT JOIN stock_value s USING (company_id, account_id)
 WHERE b.role IN ('raw_material', 'goods', 'in_transit', 'clarification_stock', 'wip')
 GROUP BY b.company_id;

-- What each line of an account with items does to which item. Entries of re-costing gather many items in a line:
-- theirs stand in the cost entries.
CREATE VIEW item_amounts AS
SELECT l.company_id, l.account_id, l.dimension_id, coalesce(l.open_item, e.corrects, e.source_id) AS item,
       e.posting_date, l.amount, l.currency, l.currency_amount, e.source_id, e.step, e.kind
  FROM accounts a
  JOIN journal_lines l USING (company_id, account_id)
  JOIN journal_entries e USING (company_id, source_id, step)
 WHERE a.has_items AND e.kind <> 38
 UNION ALL
SELECT c.company_id, c.counter_account, c.counter_dimension, coalesce(c.corrects, c.movement_id), c.posting_date,
       -c.posted, 0::smallint, 0::bigint, c.journal_id, 0::smallint, 38::smallint
  FROM accounts a
  JOIN cost_entries c ON c.company_id = a.company_id AND c.counter_account = a.account_id
 WHERE a.has_items AND c.journal_id IS NOT NULL AND c.posted <> 0;

-- Items of clearing accounts, receivables and payables that are not cleared yet, each with the day it arose.
CREATE VIEW open_items AS
SELECT company_id, account_id, item, max(currency) AS currency, min(posting_date) AS opened_on,
       sum(amount)::bigint AS amount, sum(currency_amount)::bigint AS currency_amount
  FROM item_amounts GROUP BY company_id, account_id, item
HAVING sum(amount) <> 0 OR sum(currency_amount) <> 0;
