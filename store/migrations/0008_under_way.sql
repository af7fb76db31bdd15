-- Finds the batches that have not ended among all that did.
CREATE INDEX sync_batches_under_way ON system.sync_batches (tenant_id, entity) WHERE finished_at IS NULL;
