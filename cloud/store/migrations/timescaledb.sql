-- Run after the migrations where the timescaledb extension can be had: the time series become hypertables,
-- partitioned by recorded_at, so that old chunks are never written again.
--
-- Thirty days a chunk, by measurement (docs/measurements/timescaledb.md): a look-up that names no time is planned for
-- every chunk, which after ten years costs 59 ms with chunks of a week and 10 ms with these; writing is no slower.
-- A house with a million movements a day may want a week: SELECT set_chunk_time_interval('movements', INTERVAL '7 days').
SELECT create_hypertable('movements', by_range('recorded_at', INTERVAL '30 days'), if_not_exists => true, migrate_data => true);
SELECT create_hypertable('observations', by_range('recorded_at', INTERVAL '30 days'), if_not_exists => true, migrate_data => true);
