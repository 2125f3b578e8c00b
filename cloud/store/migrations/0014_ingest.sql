-- Ingest at the speed of COPY: what a batch of thousands makes the database do beside appending its rows.

-- ── Workers that share the lanes ────────────────────────────────────────────────────────────────────

-- Who is there to take lanes: each worker says so with every renewal of its leases, and those who have lately are
-- ranked by token; each is entitled to the lanes of its rank, and gives the others back.
CREATE TABLE ingest_workers (
    token   bigint      PRIMARY KEY,
    worker  text        NOT NULL,
    seen_at timestamptz NOT NULL
);

-- ── Expectations are filled in place ────────────────────────────────────────────────────────────────

-- A column that an index's predicate names cannot change without a new entry in each index. done_micro changes with
-- every movement; whether anything is still open changes once.
ALTER TABLE expectations ADD COLUMN is_filled boolean NOT NULL DEFAULT false;
UPDATE expectations SET is_filled = true WHERE done_micro >= qty_micro;
ALTER TABLE expectations ADD CONSTRAINT filled_when_done CHECK (is_filled = (done_micro >= qty_micro));
ALTER TABLE expectations SET (fillfactor = 70);
DROP INDEX expectations_by_epc, expectations_by_item;
CREATE INDEX expectations_by_epc ON expectations (company_id, gate_id, epc) WHERE epc IS NOT NULL AND NOT is_filled;
CREATE INDEX expectations_by_item ON expectations (company_id, gate_id, item_id)
    WHERE item_id IS NOT NULL AND NOT is_filled;
-- A tag's place changes with every crossing, its key never does: room on the page keeps the index out of it.
ALTER TABLE places SET (fillfactor = 70);

-- ── One batch at a time for each tag ────────────────────────────────────────────────────────────────

-- Rows to lock for tags that have no row of `places` yet (cloud/store/tag_locks.py). Only the lock matters: nothing is
-- lost with the table, so it is not logged.
CREATE UNLOGGED TABLE unplaced_tags (
    company_id integer NOT NULL,
    epc        text    NOT NULL,
    PRIMARY KEY (company_id, epc)
);

-- ── Lines are looked at once ────────────────────────────────────────────────────────────────────────

-- The entries' own lines are summed and their entries looked up in one pass, one look-up an entry. What follows is
-- looked for line by line only where that pass says that it can be: an account that takes no lines, was not valid on
-- all of the dates, or a control account in an entry that no movement made.
CREATE OR REPLACE FUNCTION check_lines() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    bad record;
    batch record;
    suspect boolean;
BEGIN
    EXECUTE 'SELECT (min(ARRAY[g.source_id::text, g.step::text, g.difference::text]) FILTER (WHERE g.difference <> 0))
                        AS unbalanced,
                    (min(ARRAY[g.source_id::text, g.step::text])
                        FILTER (WHERE e.xid IS DISTINCT FROM pg_current_xact_id())) AS stray,
                    min(e.posting_date) AS first_day, max(e.posting_date) AS last_day,
                    bool_and(e.origin = 1) AS by_movements,
                    bool_or(g.has_currency) AS has_currency
               FROM (SELECT company_id, source_id, step, sum(amount) AS difference, bool_or(currency <> 0) AS has_currency
                       FROM fresh GROUP BY company_id, source_id, step) g
               LEFT JOIN journal_entries e USING (company_id, source_id, step)' INTO batch;
    IF batch.unbalanced IS NOT NULL THEN
        RAISE EXCEPTION 'entry %.% does not balance: its lines sum to %, not 0',
            batch.unbalanced[1], batch.unbalanced[2], batch.unbalanced[3] USING ERRCODE = 'TG002';
    END IF;
    IF batch.has_currency THEN
        SELECT f.source_id, f.step, coalesce(c.code::text, f.currency::text) AS code, f.difference INTO bad
          FROM (SELECT company_id, source_id, step, currency, sum(currency_amount) AS difference
                  FROM fresh WHERE currency <> 0 GROUP BY 1, 2, 3, 4 HAVING sum(currency_amount) <> 0 LIMIT 1) f
          LEFT JOIN currencies c USING (currency);
        IF FOUND THEN
            RAISE EXCEPTION 'entry %.% does not balance in %: its lines sum to %, not 0',
                bad.source_id, bad.step, bad.code, bad.difference USING ERRCODE = 'TG002';
        END IF;
    END IF;
    IF batch.stray IS NOT NULL THEN
        RAISE EXCEPTION 'entry %.% is not of this transaction: lines arrive with their entry or never',
            batch.stray[1], batch.stray[2] USING ERRCODE = 'TG003';
    END IF;
    SELECT bool_or(NOT a.is_postable OR a.valid_from > batch.first_day OR a.valid_to < batch.last_day
                   OR (a.is_control AND NOT batch.by_movements)) INTO suspect
      FROM (SELECT DISTINCT company_id, account_id FROM fresh) f JOIN accounts a USING (company_id, account_id);
    IF suspect THEN
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
            RAISE EXCEPTION 'entry %.%: account % %', bad.source_id, bad.step, bad.number, bad.why
                USING ERRCODE = 'TG004';
        END IF;
    END IF;
    IF EXISTS (SELECT FROM account_dimensions d WHERE d.need = 'required') THEN
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
    END IF;
    RETURN NULL;
END $$;
