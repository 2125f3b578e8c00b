-- migrations --
-- What the schema is made of.
SELECT name FROM schema_migrations ORDER BY name

-- newest_lease --
-- Seconds until ingest's newest lease ends; below 0: that long ago. No row in it when there never was one.
SELECT extract(epoch FROM max(expires_at) - clock_timestamp())::double precision FROM lane_leases
 WHERE isfinite(expires_at)
