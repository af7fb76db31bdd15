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

-- name: last_model_run
SELECT started_at, fingerprint
FROM system.model_runs
WHERE status = 'completed'
ORDER BY started_at DESC
LIMIT 1;

-- name: changed_entities
-- Entities with rows appended since a moment. A batch that never finished may have appended: its process died.
SELECT DISTINCT entity
FROM system.sync_batches
WHERE (appended > 0 AND finished_at >= :since)
  OR (finished_at IS NULL AND started_at >= :since_day)
UNION
SELECT entity
FROM system.late_loads
WHERE noted_at >= :since;

-- name: note_late_load
INSERT INTO system.late_loads (entity, noted_at)
VALUES (:entity, :noted_at);

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
