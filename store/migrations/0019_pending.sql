-- Batches of which rows may wait in a host's working folder: its process died, or the warehouse did not take them. They land with
-- the next run there, dated when ServiceTitan was asked. SQLite's indexes have no schema: each store drops by one name.
ALTER TABLE system.sync_batches ADD COLUMN is_pending BOOLEAN NOT NULL DEFAULT FALSE;

CREATE INDEX sync_batches_unsettled ON system.sync_batches (tenant_id, entity, started_at)
WHERE finished_at IS NULL OR is_pending;
DROP INDEX IF EXISTS sync_batches_under_way;
DROP INDEX IF EXISTS system.sync_batches_under_way;
