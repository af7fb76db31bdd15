-- name: start_batch
INSERT INTO system.sync_batches (sync_batch_id, tenant_id, entity, started_at, status, feed)
VALUES (:sync_batch_id, :tenant_id, :entity, :started_at, 'running', :feed);

-- name: finish_batch
UPDATE system.sync_batches
SET
  finished_at = :finished_at,
  status = :status,
  fetched = :fetched,
  appended = :appended,
  unchanged = :unchanged,
  bytes = :bytes,
  requests = :requests,
  retries = :retries,
  repaired = :repaired,
  pages = :pages,
  covered_from = :covered_from,
  covered_to = :covered_to,
  error = :error
WHERE sync_batch_id = :sync_batch_id;

-- name: bury_batches
UPDATE system.sync_batches
SET finished_at = :finished_at, status = 'failed', error = :error
WHERE tenant_id = :tenant_id AND entity = :entity AND finished_at IS NULL
RETURNING sync_batch_id;

-- name: last_model_run
SELECT started_at, fingerprint
FROM system.model_runs
WHERE status = 'completed'
ORDER BY started_at DESC
LIMIT 1;

-- name: note_landed
-- Rows of an entity have landed, or may have; models are to show them.
INSERT INTO system.stale_entities AS stale (entity, landings)
VALUES (:entity, 1)
ON CONFLICT (entity) DO UPDATE
SET landings = stale.landings + 1;

-- name: stale_entities
SELECT entity, landings
FROM system.stale_entities
ORDER BY entity;

-- name: forget_stale
-- The models show an entity as it was after so many landings; it stays where more came.
DELETE FROM system.stale_entities
WHERE entity = :entity AND landings = :landings;

-- name: start_model_run
INSERT INTO system.model_runs (model_run_id, started_at, status, fingerprint)
VALUES (:model_run_id, :started_at, 'running', :fingerprint);

-- name: finish_model_run
UPDATE system.model_runs
SET finished_at = :finished_at, status = :status, error = :error
WHERE model_run_id = :model_run_id;

-- name: take_from_budget
-- GCRA: the request may go at the stored arrival time less what a burst allows.
INSERT INTO system.rate_budgets AS budget (application, tenant_id, arrival)
VALUES (:application, :tenant_id, :now + :interval)
ON CONFLICT (application, tenant_id) DO UPDATE
SET arrival = CASE WHEN budget.arrival > :now THEN budget.arrival ELSE :now END + :interval
RETURNING arrival;

-- name: add_reconciliation
INSERT INTO system.reconciliations (
  reconciliation_id, tenant_id, entity, started_at, finished_at, status, proof, served, in_copy, missing_in_copy,
  vanished, marked_deleted, reappeared, differing, appended, requests, reason
)
VALUES (
  :reconciliation_id, :tenant_id, :entity, :started_at, :finished_at, :status, :proof, :served, :in_copy, :missing_in_copy,
  :vanished, :marked_deleted, :reappeared, :differing, :appended, :requests, :reason
);

-- name: reconciliations_of_entity
SELECT *
FROM system.reconciliations
WHERE entity = :entity
ORDER BY started_at;

-- name: batches_of_entity
SELECT *
FROM system.sync_batches
WHERE entity = :entity
ORDER BY started_at;

-- name: add_key
INSERT INTO system.api_keys (key_id, name, secret_hash, scopes, tenant_id, per_minute, per_hour, created_at)
VALUES (:key_id, :name, :secret_hash, :scopes, :tenant_id, :per_minute, :per_hour, :created_at);

-- name: keys
SELECT *
FROM system.api_keys
ORDER BY created_at, key_id;

-- name: key
SELECT *
FROM system.api_keys
WHERE key_id = :key_id;

-- name: revoke_key
UPDATE system.api_keys
SET revoked_at = :revoked_at
WHERE key_id = :key_id AND revoked_at IS NULL;

-- name: note_key_used
UPDATE system.api_keys
SET last_used_at = :used_at
WHERE key_id = :key_id;

-- name: request_models
INSERT INTO system.model_requests (requested_by, requested_at)
VALUES (:requested_by, :requested_at)
ON CONFLICT (requested_by) DO UPDATE
SET requested_at = :requested_at;

-- name: models_requested
SELECT COUNT(*) AS requests
FROM system.model_requests
WHERE requested_at >= :since;

-- name: freshness
-- By entity: when it was last read whole and when a reading last failed.
SELECT
  entity,
  MAX(CASE WHEN status = 'completed' THEN finished_at END) AS last_success,
  MAX(CASE WHEN status = 'failed' THEN finished_at END) AS last_failure,
  MAX(CASE WHEN status = 'unavailable' THEN finished_at END) AS last_unavailable,
  SUM(CASE WHEN finished_at >= :since THEN fetched ELSE 0 END) AS fetched_24h,
  SUM(CASE WHEN finished_at >= :since THEN appended ELSE 0 END) AS appended_24h
FROM system.sync_batches
WHERE tenant_id = :tenant_id
GROUP BY entity
ORDER BY entity;

-- name: last_errors
-- The newest failure of each entity.
SELECT failed.entity, failed.error
FROM system.sync_batches AS failed
INNER JOIN (
  SELECT entity, MAX(finished_at) AS finished_at
  FROM system.sync_batches
  WHERE tenant_id = :tenant_id AND status = 'failed'
  GROUP BY entity
) AS newest
  ON newest.entity = failed.entity AND newest.finished_at = failed.finished_at
WHERE failed.tenant_id = :tenant_id AND failed.status = 'failed';

-- name: budgets
SELECT application, tenant_id, arrival
FROM system.rate_budgets;

-- name: last_completed_models
SELECT MAX(finished_at) AS finished_at
FROM system.model_runs
WHERE status = 'completed';

-- name: last_successes
SELECT tenant_id, entity, MAX(finished_at) AS last_success
FROM system.sync_batches
WHERE status = 'completed'
GROUP BY tenant_id, entity
ORDER BY tenant_id, entity;
