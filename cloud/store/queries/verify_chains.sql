-- links --
-- Promise 3: each batch (table 0), the stored digests of its rows by table and row, and behind a lane's last batch its
-- head (table 9).
COPY (SELECT company_id, lane, batch_no, 0::smallint AS part, 0 AS row_no,
             int2send(layout) || timestamptz_send(recorded_at) || int8send(observed) || int8send(moved) ||
             int4send(octet_length(previous)) || previous || int4send(octet_length(head)) || head ||
             convert_to(worker, 'UTF8') AS content
        FROM batches
       UNION ALL SELECT company_id, lane, batch_no, 1::smallint, row_no, digest FROM movements
       UNION ALL SELECT company_id, lane, batch_no, 2::smallint, row_no, digest FROM value_events
       UNION ALL SELECT company_id, lane, batch_no, 3::smallint, row_no, digest FROM cost_entries
       UNION ALL SELECT company_id, lane, batch_no, 4::smallint, row_no, digest FROM allowance_entries
       UNION ALL SELECT company_id, lane, batch_no, 5::smallint, row_no, digest FROM ledger_documents
       UNION ALL SELECT company_id, lane, batch_no, 6::smallint, row_no, digest FROM journal_entries
       UNION ALL SELECT company_id, lane, batch_no, 7::smallint, row_no, digest FROM observations
       UNION ALL SELECT company_id, lane, 9223372036854775807, 9::smallint, 0, int8send(batch_no) || head FROM lane_heads
       ORDER BY 1, 2, 3, 4, 5) TO STDOUT (FORMAT BINARY)

-- copy_movements --
-- The rows exactly as they were hashed, their batch's layout and their digest before them.
COPY (SELECT coalesce(b.layout, 3::smallint), t.digest, t.company_id, t.recorded_at, t.movement_id, t.kind, t.item_id,
             t.qty_micro, t.from_id, t.to_id, t.party_id, t.document, t.price_micro, t.rate_nano, t.value_micro,
             t.corrects, t.tags, t.occurred_us, t.gateway_id, t.epoch, t.seq, t.lot_id, t.original_id, t.reason,
             t.dimension_id, t.currency, t.lane, t.batch_no, t.row_no
        FROM movements t LEFT JOIN batches b USING (company_id, lane, batch_no)
       ORDER BY t.company_id, t.lane, t.batch_no, t.row_no) TO STDOUT (FORMAT BINARY)

-- copy_value_events --
-- The same.
COPY (SELECT coalesce(b.layout, 3::smallint), t.digest, t.company_id, t.recorded_at, t.event_id, t.kind, t.pool_id,
             t.item_id, t.original_id, t.value_micro, t.period_id, t.dimension_id, t.party_id, t.document, t.reason,
             t.occurred_us, t.currency, t.currency_amount, t.lane, t.batch_no, t.row_no
        FROM value_events t LEFT JOIN batches b USING (company_id, lane, batch_no)
       ORDER BY t.company_id, t.lane, t.batch_no, t.row_no) TO STDOUT (FORMAT BINARY)

-- copy_cost_entries --
-- The same, and behind each row one of its consumption links; links without an entry come last.
COPY (SELECT coalesce(b.layout, 3::smallint), t.digest, t.company_id, t.movement_id, t.step, t.pool_id, t.qty, t.value,
             t.posted, t.corrects, t.posting_date, t.counter_account, t.journal_id, t.counter_dimension, t.lane,
             t.batch_no, t.row_no,
             k.company_id, k.movement_id, k.step, k.link_no, k.pool_id, k.layer_no, k.source_id, k.qty, k.value
        FROM cost_entries t
        FULL JOIN consumption_links k ON k.company_id = t.company_id AND k.movement_id = t.movement_id
                                     AND k.step = t.step
        LEFT JOIN batches b ON b.company_id = t.company_id AND b.lane = t.lane AND b.batch_no = t.batch_no
       ORDER BY t.company_id, t.lane, t.batch_no, t.row_no, t.movement_id, t.step, k.link_no) TO STDOUT (FORMAT BINARY)

-- copy_allowance_entries --
-- As the first.
COPY (SELECT coalesce(b.layout, 3::smallint), t.digest, t.company_id, t.movement_id, t.step, t.pool_id, t.value,
             t.posted, t.posting_date, t.lane, t.batch_no, t.row_no
        FROM allowance_entries t LEFT JOIN batches b USING (company_id, lane, batch_no)
       ORDER BY t.company_id, t.lane, t.batch_no, t.row_no) TO STDOUT (FORMAT BINARY)

-- copy_ledger_documents --
-- The same.
COPY (SELECT coalesce(b.layout, 3::smallint), t.digest, t.company_id, t.recorded_at, t.document_id, t.kind,
             t.party_id, t.number, t.day, t.currency, t.rate_nano, t.narration, t.recorded_by, t.details, t.lane,
             t.batch_no, t.row_no
        FROM ledger_documents t LEFT JOIN batches b USING (company_id, lane, batch_no)
       ORDER BY t.company_id, t.lane, t.batch_no, t.row_no) TO STDOUT (FORMAT BINARY)

-- copy_journal_entries --
-- The same, and behind each entry one of its lines; lines without an entry come last.
COPY (SELECT coalesce(b.layout, 3::smallint), t.digest, t.company_id, t.source_id, t.step, t.origin, t.kind,
             t.posting_date, t.period_id, t.tags, t.corrects, t.document, t.recorded_at, t.lane, t.batch_no, t.row_no,
             l.company_id, l.source_id, l.step, l.line_no, l.account_id, l.dimension_id, l.amount, l.cost_step,
             l.currency, l.currency_amount, l.open_item
        FROM journal_entries t
        FULL JOIN journal_lines l ON l.company_id = t.company_id AND l.source_id = t.source_id AND l.step = t.step
        LEFT JOIN batches b ON b.company_id = t.company_id AND b.lane = t.lane AND b.batch_no = t.batch_no
       ORDER BY t.company_id, t.lane, t.batch_no, t.row_no, t.source_id, t.step, l.line_no) TO STDOUT (FORMAT BINARY)

-- copy_observations --
-- As the first.
COPY (SELECT coalesce(b.layout, 3::smallint), t.digest, t.company_id, t.recorded_at, t.movement_id, t.gateway_id,
             t.epoch, t.seq, t.gate_id, t.epc, t.direction, t.confidence, t.occurred_us, t.claimed_us, t.outcome,
             t.winner, t.evidence, t.lane, t.batch_no, t.row_no
        FROM observations t LEFT JOIN batches b USING (company_id, lane, batch_no)
       ORDER BY t.company_id, t.lane, t.batch_no, t.row_no) TO STDOUT (FORMAT BINARY)
