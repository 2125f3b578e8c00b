-- Least privilege: the services' roles own nothing and can add to the books, never change them.
-- Applied after every migration, so that a new table is closed until a line here opens it.

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, tallygate_ingest, tallygate_api, tallygate_read;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO tallygate_ingest, tallygate_api, tallygate_read;

-- Secrets (key and password hashes, sessions) are the API's alone.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO tallygate_ingest, tallygate_api, tallygate_read;
REVOKE SELECT ON people, api_keys, sessions FROM tallygate_ingest, tallygate_read;

-- The batch: what is appended, column by column where a default must not be forged (xid).
GRANT INSERT ON observations, movements, value_events, cost_entries, allowance_entries, consumption_links,
    ledger_documents, journal_lines, log_losses, quarantine_resolutions, quarantine
    TO tallygate_ingest, tallygate_api;
GRANT INSERT (company_id, source_id, step, origin, kind, posting_date, period_id, tags, corrects, document,
              recorded_at, lane, batch_no, row_no, digest)
    ON journal_entries TO tallygate_ingest, tallygate_api;
GRANT INSERT (company_id, lane, batch_no, recorded_at, worker, observed, moved, previous, head)
    ON batches TO tallygate_ingest, tallygate_api;
GRANT INSERT (company_id, period_id, first_day, last_day) ON periods TO tallygate_ingest, tallygate_api;
REVOKE ALL ON FUNCTION hold_periods(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hold_periods(integer) TO tallygate_ingest, tallygate_api;
REVOKE ALL ON FUNCTION change_period(integer, integer, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION change_period(integer, integer, text, text, text) TO tallygate_ingest, tallygate_api;
REVOKE ALL ON FUNCTION number_vouchers(integer, integer, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION number_vouchers(integer, integer, boolean) TO tallygate_ingest, tallygate_api;
GRANT INSERT (company_id, period_id, passed, report, recorded_by) ON close_reports TO tallygate_ingest, tallygate_api;

-- The batch: what is derived and moves.
GRANT INSERT, UPDATE, DELETE ON cost_layers, open_observations, unplaced_tags TO tallygate_ingest, tallygate_api;
-- A draft waits with the shipment's own terms; only what became of it changes.
GRANT INSERT (company_id, movement_id, party_id, document, item_id, qty_micro, price_micro, currency, rate_nano,
              net_amount, occurred_us)
    ON journal_drafts TO tallygate_ingest, tallygate_api;
GRANT UPDATE (state, posted_as, changed_by, reason) ON journal_drafts TO tallygate_api, tallygate_ingest;
GRANT INSERT, UPDATE ON gateway_logs, balances, places, cost_pools, item_costs, lane_heads
    TO tallygate_ingest, tallygate_api;
GRANT INSERT, UPDATE (debit, credit, currency_debit, currency_credit) ON turnovers TO tallygate_ingest, tallygate_api;
GRANT UPDATE (done_micro, is_filled) ON expectations TO tallygate_ingest, tallygate_api;
-- A tag that carries its own serial number is a lot when a gate first sees it.
GRANT INSERT ON lots TO tallygate_ingest, tallygate_api;
GRANT UPDATE (settled_at) ON periods TO tallygate_ingest, tallygate_api;

-- Ingest alone: leases, what gates see now, who nobody registered, restores.
GRANT INSERT, UPDATE ON lane_leases, gate_readings, gateway_status, unknown_gateways TO tallygate_ingest;
GRANT INSERT, UPDATE, DELETE ON ingest_workers TO tallygate_ingest;
GRANT INSERT ON incarnations TO tallygate_ingest;
-- Readings: signals, not books. Rollups are added to in place; what is old the function drops, and nobody else.
GRANT INSERT ON readings, reading_series TO tallygate_ingest;
GRANT INSERT, UPDATE ON reading_minutes, reading_hours TO tallygate_ingest;
REVOKE ALL ON FUNCTION keep_readings(integer, integer, integer), apply_reading_retention() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION keep_readings(integer, integer, integer) TO tallygate_ingest;

-- The re-costing job runs as ingest does: snapshots are derived, and it may throw them away.
GRANT INSERT, DELETE ON cost_cuts, cost_cut_pools, cost_cut_layers TO tallygate_ingest, tallygate_api;
-- So do the snapshots of balances.
GRANT INSERT, UPDATE, DELETE ON balance_snapshots TO tallygate_ingest;
GRANT INSERT, UPDATE ON balance_marks, snapshot_balances TO tallygate_ingest;

-- The API alone: master data, requests, people.
GRANT INSERT, UPDATE ON items, locations, parties, tags, gates, gateways TO tallygate_api;
GRANT INSERT ON expectations, cloud_requests TO tallygate_api;
-- Rates: their time, place in the chain and digest are the database's own.
GRANT INSERT (company_id, currency, day, source, rate_nano, recorded_by) ON exchange_rates TO tallygate_api;
GRANT UPDATE (open_until, note) ON expectations TO tallygate_api;
GRANT INSERT, UPDATE ON work_orders, work_order_components, dimension_sets TO tallygate_api;
GRANT INSERT ON dimension_set_values TO tallygate_api;
-- The chart: accounts are added, changed and ended; what the books forbid of that, the database refuses.
GRANT INSERT (company_id, number, name_zh, name_en, role, site_id, parent_id, account_type, is_postable, is_control,
              is_monetary, has_items, valid_from, valid_to),
      UPDATE (number, name_zh, name_en, role, site_id, parent_id, account_type, is_postable, is_control,
              is_monetary, has_items, valid_from, valid_to)
    ON accounts TO tallygate_api;
GRANT INSERT, UPDATE (need), DELETE ON account_dimensions TO tallygate_api;
GRANT INSERT (company_id, code, name_zh, name_en), UPDATE (name_zh, name_en) ON dimension_types TO tallygate_api;
GRANT INSERT (company_id, type_id, code, name, valid_from, valid_to), UPDATE (name, valid_from, valid_to)
    ON dimension_values TO tallygate_api;
REVOKE ALL ON FUNCTION hold_chart() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hold_chart() TO tallygate_api;
-- Posting rules begin and end; nothing else of one ever changes.
GRANT INSERT (company_id, kind, item_class, site_id, reason, party_class, debit_role, credit_role, priority,
              dimension_id, made_by)
    ON posting_rules TO tallygate_api;
GRANT UPDATE (ended_at, ended_by) ON posting_rules TO tallygate_api;
GRANT INSERT, UPDATE, DELETE ON allocation_rules TO tallygate_api;
GRANT INSERT, UPDATE ON people, api_keys TO tallygate_api;
GRANT INSERT, DELETE ON person_roles TO tallygate_api;
GRANT INSERT, UPDATE, DELETE ON sessions TO tallygate_api;
