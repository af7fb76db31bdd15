-- name: begin_legacy_import
-- The first one's beginning stays: what it stands for must not move.
INSERT INTO system.legacy_imports (source, started_at)
VALUES (:source, :now)
ON CONFLICT (source) DO UPDATE
SET finished_at = NULL;

-- name: first_legacy_import
SELECT started_at
FROM system.legacy_imports
ORDER BY started_at
LIMIT 1;

-- name: end_legacy_import
UPDATE system.legacy_imports
SET finished_at = :now, report = :report
WHERE source = :source;

-- name: legacy_import
SELECT *
FROM system.legacy_imports
WHERE source = :source;

-- name: legacy_table
SELECT *
FROM system.legacy_tables
WHERE source = :source AND table_name = :table_name;

-- name: keep_legacy_place
INSERT INTO system.legacy_tables AS kept (source, table_name, entity, place, tally, is_whole, updated_at)
VALUES (:source, :table_name, :entity, :place, :tally, :is_whole, :now)
ON CONFLICT (source, table_name) DO UPDATE
SET
  entity = :entity,
  place = :place,
  tally = :tally,
  is_whole = :is_whole,
  updated_at = :now;

-- name: owe_legacy_models
INSERT INTO system.legacy_tables AS kept (source, table_name, entity, owes_models, updated_at)
VALUES (:source, :table_name, :entity, TRUE, :now)
ON CONFLICT (source, table_name) DO UPDATE
SET owes_models = TRUE, updated_at = :now;

-- name: legacy_models_owed
SELECT DISTINCT entity
FROM system.legacy_tables
WHERE owes_models
ORDER BY entity;

-- name: legacy_models_made
UPDATE system.legacy_tables
SET owes_models = FALSE
WHERE entity = :entity;

-- name: keep_legacy_reject
INSERT INTO system.legacy_rejects (
  source, table_name, row_hash, reason, record_id, tenant, payload, dates, found_at
)
VALUES (:source, :table_name, :row_hash, :reason, :record_id, :tenant, :payload, :dates, :now)
ON CONFLICT (source, table_name, row_hash) DO NOTHING;

-- name: legacy_rejects
SELECT *
FROM system.legacy_rejects
WHERE source = :source
ORDER BY table_name, row_hash;

-- name: enqueue_legacy
INSERT INTO outbound.mutations (
  tenant_id, entity, operation, record_id, places, payload, lane, lane_above, ref, state, initiated_by, key_id, idempotency_key,
  request_hash, base, base_hash, is_forced, attempts, run_at, sent_at, created_at, finished_at, error, history
)
VALUES (
  :tenant_id, :entity, :operation, :record_id, :places, :payload, :lane, :lane_above, :ref, :state, :initiated_by, :key_id,
  :idempotency_key, :request_hash, :base, :base_hash, FALSE, :attempts, :now, :sent_at, :created_at, :finished_at, :error,
  :history
)
ON CONFLICT (tenant_id, idempotency_key) DO NOTHING
RETURNING mutation_id;
