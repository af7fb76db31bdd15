-- Finds the batches that have not ended among all that did.
CREATE INDEX sync_batches_under_way ON system.sync_batches (tenant_id, entity) WHERE finished_at IS NULL;

-- Entities of which rows landed that models have yet to show. `landings` grows with each landing, so that a run of the
-- models that began before it does not forget it: clocks and commits of several processes have no common order.
CREATE TABLE system.stale_entities (
  entity TEXT PRIMARY KEY,
  landings BIGINT NOT NULL
);

INSERT INTO system.stale_entities (entity, landings)
SELECT DISTINCT entity, 1
FROM system.sync_batches;

DROP TABLE system.late_loads;
