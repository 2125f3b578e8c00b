-- migrations --
-- What the schema is made of.
SELECT name FROM schema_migrations ORDER BY name

-- newest_lease --
-- Seconds until ingest's newest lease ends; below 0: that long ago. No row in it when there never was one.
SELECT extract(epoch FROM max(expires_at) - clock_timestamp())::double precision FROM lane_leases
 WHERE isfinite(expires_at)

-- ingest_waits --
-- What ingest workers say in their session's name (cloud/ingest/patience.py); names are shown to every role.
SELECT DISTINCT substr(application_name, length('tallygate ingest: ') + 1)
  FROM pg_stat_activity WHERE datname = current_database() AND starts_with(application_name, 'tallygate ingest: ')
 ORDER BY 1
