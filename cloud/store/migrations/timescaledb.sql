-- Run after the migrations where the timescaledb extension can be had: the time series become hypertables,
-- partitioned by recorded_at, so that old chunks are never written again.
SELECT create_hypertable('movements', by_range('recorded_at', INTERVAL '7 days'), if_not_exists => true, migrate_data => true);
SELECT create_hypertable('observations', by_range('recorded_at', INTERVAL '7 days'), if_not_exists => true, migrate_data => true);
