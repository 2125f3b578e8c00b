-- TimescaleDB where the licence setting is `timescale`, after timescaledb.sql: chunks of movements and observations that
-- nothing is written to any more are compressed, to a fifth. A file of its own because the Apache edition refuses all of
-- it; there, and on plain PostgreSQL, they stay as they are. Neither is ever dropped: they are the hash chain.
--
-- Compression is not a change of the books: the rows are the same bytes to whoever reads them, `tallygate verify` hashes
-- them as before, and the triggers that refuse UPDATE, DELETE and TRUNCATE stand over compressed chunks, too.
--
-- The order within a chunk is that of its look-ups, since a compressed chunk has no other index: movements by id (traces,
-- returns, corrections; ids ascend with time, so nothing is lost of what follows recorded_at), observations by tag.
-- Settings and policies that are there stay as an operator made them.
DO $$
BEGIN
    IF NOT (SELECT compression_enabled FROM timescaledb_information.hypertables
             WHERE hypertable_schema = 'public' AND hypertable_name = 'movements') THEN
        ALTER TABLE movements SET (timescaledb.compress, timescaledb.compress_segmentby = 'company_id',
                                   timescaledb.compress_orderby = 'movement_id');
    END IF;
    IF NOT (SELECT compression_enabled FROM timescaledb_information.hypertables
             WHERE hypertable_schema = 'public' AND hypertable_name = 'observations') THEN
        ALTER TABLE observations SET (timescaledb.compress, timescaledb.compress_segmentby = 'company_id',
                                      timescaledb.compress_orderby = 'epc, occurred_us');
    END IF;
END $$;

-- Sixty days: what is more than thirty days late goes to clarification, so gates and re-costing look back no farther as a
-- rule, and a chunk of thirty days has ended by then.
SELECT add_compression_policy('movements', compress_after => INTERVAL '60 days', if_not_exists => true);
SELECT add_compression_policy('observations', compress_after => INTERVAL '60 days', if_not_exists => true);
