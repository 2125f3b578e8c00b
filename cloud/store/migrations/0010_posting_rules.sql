-- Posting rules that ship with the ledger, for companies that were there before, and what no rule can be.

ALTER TABLE posting_rules
    -- Absent is NULL: an empty word would match only what says nothing.
    ADD CONSTRAINT posting_rules_words CHECK (reason <> '' AND party_class <> '' AND item_class <> ''),
    ADD CONSTRAINT posting_rules_ended CHECK ((ended_at IS NULL) = (ended_by IS NULL));

INSERT INTO posting_rules (company_id, kind, reason, debit_role, credit_role)
SELECT c.company_id, r.kind, r.reason, r.debit, r.credit
  FROM companies c CROSS JOIN (VALUES
    (8, 'damage', 'admin_loss', 'pool'), (8, 'expiry', 'write_down', 'pool'), (8, 'theft', 'loss', 'pool'),
    (8, 'disaster', 'loss', 'pool'), (18, NULL, 'cogs', 'pool'), (19, NULL, 'pool', 'group_payable')
  ) r (kind, reason, debit, credit)
 WHERE NOT EXISTS (SELECT 1 FROM posting_rules p
                    WHERE p.company_id = c.company_id AND p.kind = r.kind AND p.reason IS NOT DISTINCT FROM r.reason);

-- A rule explains the entries of its days: it ends once, and nothing else of it changes.
CREATE FUNCTION guard_rules() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.ended_at IS NOT NULL
       OR to_jsonb(NEW) - ARRAY['ended_at', 'ended_by'] <> to_jsonb(OLD) - ARRAY['ended_at', 'ended_by'] THEN
        RAISE EXCEPTION 'posting rule % is never changed: it ends, and another begins', OLD.rule_id
            USING ERRCODE = 'TG001';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guarded BEFORE UPDATE OR DELETE ON posting_rules FOR EACH ROW EXECUTE FUNCTION guard_rules();
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON posting_rules FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
