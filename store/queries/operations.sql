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
SET finished_at = :finished_at, status = 'failed', error = :error, is_pending = TRUE
WHERE tenant_id = :tenant_id AND entity = :entity AND finished_at IS NULL
RETURNING sync_batch_id;

-- name: note_pending
-- The warehouse did not take a batch's rows, which wait for the next run.
UPDATE system.sync_batches
SET is_pending = TRUE
WHERE sync_batch_id = :sync_batch_id;

-- name: oldest_unsettled
-- When the oldest read of an entity began of which rows may still land: it is under way, or they wait in a working folder. A read
-- that was completed behind such a one has landed what waits there itself. A reconciliation has not: it leaves the cursor alone.
SELECT b.started_at
FROM system.sync_batches AS b
WHERE b.tenant_id = :tenant_id AND b.entity = :entity AND (b.finished_at IS NULL OR b.is_pending)
  AND (
    b.finished_at IS NULL
    OR NOT EXISTS (
      SELECT 1 FROM system.sync_batches AS later
      WHERE later.tenant_id = b.tenant_id AND later.entity = b.entity AND later.started_at > b.started_at
        AND later.status = 'completed' AND later.feed <> 'reconcile'
    )
  )
ORDER BY b.started_at
LIMIT 1;

-- name: last_model_run
SELECT started_at, fingerprint
FROM system.model_runs
WHERE status = 'completed'
ORDER BY started_at DESC
LIMIT 1;

-- name: note_extraction
INSERT INTO system.extractions (work, mark)
VALUES (:work, :mark)
ON CONFLICT (work) DO UPDATE SET mark = EXCLUDED.mark;

-- name: last_extraction
SELECT mark
FROM system.extractions
WHERE work = :work;

-- name: note_landed
-- Rows of an entity have landed, or may have; models are to show them.
INSERT INTO system.stale_entities AS stale (entity, landings, since)
VALUES (:entity, 1, :now)
ON CONFLICT (entity) DO UPDATE
SET landings = stale.landings + 1;

-- name: stale_entities
SELECT entity, landings, since
FROM system.stale_entities
ORDER BY entity;

-- name: forget_stale
-- The models show an entity as it was after so many landings; it stays where more came.
DELETE FROM system.stale_entities
WHERE entity = :entity AND landings = :landings;

-- name: still_stale
-- What came while the models ran waits since they began.
UPDATE system.stale_entities
SET since = :since
WHERE entity = :entity;

-- name: start_model_run
INSERT INTO system.model_runs (model_run_id, started_at, status, fingerprint)
VALUES (:model_run_id, :started_at, 'running', :fingerprint);

-- name: finish_model_run
UPDATE system.model_runs
SET finished_at = :finished_at, status = :status, error = :error
WHERE model_run_id = :model_run_id;

-- name: take_from_budget
-- GCRA: the request may go at the stored arrival time less what a burst allows, which is so many seconds from now. What time it
-- is the store alone says: clocks of several hosts differ. It is asked when the row is ours, which others may have had meanwhile.
INSERT INTO system.rate_budgets AS budget (application, tenant_id, arrival, busy_since)
VALUES (
  :application,
  :tenant_id,
  EXTRACT(EPOCH FROM CLOCK_TIMESTAMP()) + :interval,
  EXTRACT(EPOCH FROM CLOCK_TIMESTAMP())
)
ON CONFLICT (application, tenant_id) DO UPDATE
SET
  arrival = CASE
    WHEN budget.arrival > EXTRACT(EPOCH FROM CLOCK_TIMESTAMP()) THEN budget.arrival
    ELSE EXTRACT(EPOCH FROM CLOCK_TIMESTAMP())
  END + :interval,
  busy_since = CASE
    WHEN budget.arrival > EXTRACT(EPOCH FROM CLOCK_TIMESTAMP()) THEN budget.busy_since
    ELSE EXTRACT(EPOCH FROM CLOCK_TIMESTAMP())
  END
RETURNING arrival - :burst_seconds - EXTRACT(EPOCH FROM CLOCK_TIMESTAMP()) AS wait_seconds;

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
  r.entity,
  (
    SELECT MAX(b.finished_at)
    FROM system.sync_batches AS b
    WHERE b.tenant_id = r.tenant_id AND b.entity = r.entity AND b.status = 'completed'
  ) AS last_success,
  (
    SELECT MAX(b.finished_at)
    FROM system.sync_batches AS b
    WHERE b.tenant_id = r.tenant_id AND b.entity = r.entity AND b.status = 'failed'
  ) AS last_failure,
  (
    SELECT MAX(b.finished_at)
    FROM system.sync_batches AS b
    WHERE b.tenant_id = r.tenant_id AND b.entity = r.entity AND b.status = 'unavailable'
  ) AS last_unavailable,
  COALESCE(d.fetched, 0) AS fetched_24h,
  COALESCE(d.appended, 0) AS appended_24h
FROM system.read_entities AS r
LEFT JOIN (
  SELECT entity, SUM(fetched) AS fetched, SUM(appended) AS appended
  FROM system.sync_batches
  WHERE tenant_id = :tenant_id AND finished_at >= :since
  GROUP BY entity
) AS d
  ON d.entity = r.entity
WHERE r.tenant_id = :tenant_id
ORDER BY r.entity;

-- name: last_errors
-- The newest failure of each entity, NULL where none failed.
SELECT
  e.entity,
  (
    SELECT b.error
    FROM system.sync_batches AS b
    WHERE b.tenant_id = e.tenant_id AND b.entity = e.entity AND b.status = 'failed'
    ORDER BY b.finished_at DESC
    LIMIT 1
  ) AS error
FROM system.read_entities AS e
WHERE e.tenant_id = :tenant_id;

-- name: budgets
-- What is promised ahead, below zero where nothing was asked for since, and for how long requests have come without a pause.
SELECT
  application,
  tenant_id,
  arrival - EXTRACT(EPOCH FROM CLOCK_TIMESTAMP()) AS ahead_seconds,
  EXTRACT(EPOCH FROM CLOCK_TIMESTAMP()) - busy_since AS busy_seconds
FROM system.rate_budgets;

-- name: last_completed_models
SELECT MAX(finished_at) AS finished_at
FROM system.model_runs
WHERE status = 'completed';

-- name: last_successes
SELECT r.tenant_id, r.entity, r.last_success
FROM (
  SELECT
    e.tenant_id,
    e.entity,
    (
      SELECT MAX(b.finished_at)
      FROM system.sync_batches AS b
      WHERE b.tenant_id = e.tenant_id AND b.entity = e.entity AND b.status = 'completed'
    ) AS last_success
  FROM system.read_entities AS e
) AS r
WHERE r.last_success IS NOT NULL
ORDER BY r.tenant_id, r.entity;

-- name: plan_turn
-- When something is due, for the first time or again; never later than its present interval says.
INSERT INTO system.turns AS turn (tenant_id, duty, due_at)
VALUES (:tenant_id, :duty, :due_at)
ON CONFLICT (tenant_id, duty) DO UPDATE
SET due_at = CASE WHEN turn.due_at > :latest THEN :latest ELSE turn.due_at END
RETURNING due_at, begun_at, ended_at;

-- name: take_turn
-- Not before it is due, unless it was cut off; who takes it holds the right to it meanwhile.
UPDATE system.turns
SET begun_at = :now, due_at = :due_at
WHERE tenant_id = :tenant_id AND duty = :duty
  AND (due_at <= :now OR (begun_at IS NOT NULL AND (ended_at IS NULL OR ended_at < begun_at)))
RETURNING begun_at;

-- name: put_turn_off
UPDATE system.turns
SET due_at = :due_at
WHERE tenant_id = :tenant_id AND duty = :duty;

-- name: end_turn
-- One that failed comes again sooner.
UPDATE system.turns
SET
  ended_at = :now,
  error = :error,
  is_locked_out = :is_locked_out,
  due_at = CASE WHEN due_at > :latest THEN :latest ELSE due_at END
WHERE tenant_id = :tenant_id AND duty = :duty AND begun_at = :begun_at;

-- name: turn
SELECT due_at, begun_at, ended_at
FROM system.turns
WHERE tenant_id = :tenant_id AND duty = :duty;

-- name: turns
SELECT *
FROM system.turns
ORDER BY tenant_id, duty;

-- name: reads
-- By tenant and entity: the last good read, and how many failed since, with the newest error. Each is found at an end of an
-- index: what was read before is not looked at.
SELECT r.tenant_id, r.entity, r.last_success, r.failures, r.error
FROM (
  SELECT
    g.tenant_id,
    g.entity,
    g.last_success,
    (
      SELECT COUNT(*)
      FROM system.sync_batches AS b
      WHERE b.tenant_id = g.tenant_id AND b.entity = g.entity AND b.status = 'failed' AND b.feed <> 'reconcile'
        AND b.finished_at > COALESCE(g.last_success, '0001-01-01 00:00:00+00') AND COALESCE(b.error, '') <> :stopped
    ) AS failures,
    (
      SELECT b.error
      FROM system.sync_batches AS b
      WHERE b.tenant_id = g.tenant_id AND b.entity = g.entity AND b.status = 'failed' AND b.feed <> 'reconcile'
        AND b.finished_at > COALESCE(g.last_success, '0001-01-01 00:00:00+00') AND COALESCE(b.error, '') <> :stopped
      ORDER BY b.finished_at DESC
      LIMIT 1
    ) AS error
  FROM (
    SELECT
      e.tenant_id,
      e.entity,
      (
        SELECT MAX(newest.finished_at)
        FROM (
          SELECT MAX(b.finished_at) AS finished_at
          FROM system.sync_batches AS b
          WHERE b.tenant_id = e.tenant_id AND b.entity = e.entity AND b.status = 'completed' AND b.feed <> 'reconcile'
          UNION ALL
          SELECT MAX(b.finished_at) AS finished_at
          FROM system.sync_batches AS b
          WHERE b.tenant_id = e.tenant_id AND b.entity = e.entity AND b.status = 'unavailable' AND b.feed <> 'reconcile'
        ) AS newest
      ) AS last_success
    FROM system.read_entities AS e
  ) AS g
) AS r
WHERE r.last_success IS NOT NULL OR r.failures > 0
ORDER BY r.tenant_id, r.entity;

-- name: last_reconciliations
SELECT r.*
FROM system.reconciled_entities AS e
INNER JOIN system.reconciliations AS r
  ON r.tenant_id = e.tenant_id AND r.entity = e.entity AND r.started_at = (
    SELECT MAX(n.started_at)
    FROM system.reconciliations AS n
    WHERE n.tenant_id = e.tenant_id AND n.entity = e.entity AND n.status IN ('completed', 'unproven')
  );

-- name: last_model_runs
SELECT started_at, finished_at, status, error
FROM system.model_runs
WHERE status <> 'running'
ORDER BY started_at DESC
LIMIT 20;

-- name: alarms
SELECT *
FROM system.alarms
ORDER BY check_name, tenant_id, subject;

-- name: raise_alarm
INSERT INTO system.alarms AS alarm (check_name, tenant_id, subject, level, text, since, seen_at)
VALUES (:check_name, :tenant_id, :subject, :level, :text, :now, :now)
ON CONFLICT (check_name, tenant_id, subject) DO UPDATE
SET level = :level, text = :text, seen_at = :now, is_over = FALSE;

-- name: end_alarm
-- It is over; whoever was told of it is to be told that.
UPDATE system.alarms
SET is_over = TRUE
WHERE check_name = :check_name AND tenant_id = :tenant_id AND subject = :subject AND told_level IS NOT NULL;

-- name: forget_alarm
-- It is over, and nobody was told of it, nor is about to be.
DELETE FROM system.alarms
WHERE check_name = :check_name AND tenant_id = :tenant_id AND subject = :subject AND told_level IS NULL
  AND (claimed_until IS NULL OR claimed_until < :now);

-- name: claim_notice
-- By one process alone, for as long as telling takes: what nobody has told yet.
UPDATE system.alarms
SET claimed_until = :until
WHERE check_name = :check_name AND tenant_id = :tenant_id AND subject = :subject
  AND (claimed_until IS NULL OR claimed_until < :now)
  AND (is_over OR told_level IS NULL OR told_level <> level)
RETURNING level, text, since, is_over;

-- name: note_told
UPDATE system.alarms
SET told_level = :level, claimed_until = NULL
WHERE check_name = :check_name AND tenant_id = :tenant_id AND subject = :subject;

-- name: note_told_over
DELETE FROM system.alarms
WHERE check_name = :check_name AND tenant_id = :tenant_id AND subject = :subject AND is_over;

-- name: note_untold
UPDATE system.alarms
SET claimed_until = NULL
WHERE check_name = :check_name AND tenant_id = :tenant_id AND subject = :subject;

-- name: forget_idle_batches
-- Reads that found nothing and moved no cursor, but for the newest of each entity: the chain of reads is whole without them.
DELETE FROM system.sync_batches AS old
WHERE old.finished_at < :before AND old.status = 'completed' AND old.appended = 0 AND old.repaired = 0
  AND (old.covered_from = old.covered_to OR old.feed = 'reconcile')
  AND EXISTS (
    SELECT 1 FROM system.sync_batches AS later
    WHERE later.tenant_id = old.tenant_id AND later.entity = old.entity AND later.finished_at > old.finished_at
      AND later.status IN ('completed', 'unavailable')
  );

-- name: forget_failed_batches
DELETE FROM system.sync_batches
WHERE finished_at < :before AND status = 'failed' AND appended = 0 AND covered_to IS NULL;

-- name: forget_model_runs
DELETE FROM system.model_runs
WHERE finished_at < :before AND started_at < (SELECT MAX(started_at) FROM system.model_runs WHERE status = 'completed');

-- name: forget_reconciliations
-- But for the newest of each entity.
DELETE FROM system.reconciliations AS old
WHERE old.finished_at < :before AND EXISTS (
  SELECT 1 FROM system.reconciliations AS later
  WHERE later.tenant_id = old.tenant_id AND later.entity = old.entity AND later.started_at > old.started_at
    AND later.status IN ('completed', 'unproven')
);

-- name: forget_webhook_events
DELETE FROM system.webhook_events
WHERE received_at < :before;

-- name: forget_errands
DELETE FROM system.errands
WHERE asked_at < :before;

-- name: add_webhook_event
INSERT INTO system.webhook_events (tenant_id, digest, received_at, entities, body)
VALUES (:tenant_id, :digest, :received_at, :entities, :body)
ON CONFLICT (tenant_id, digest) DO NOTHING
RETURNING event_id;

-- name: webhook_events
SELECT *
FROM system.webhook_events
ORDER BY event_id DESC
LIMIT :most;

-- name: shapes
SELECT path, kinds, is_constant
FROM system.shapes
WHERE tenant_id = :tenant_id AND entity = :entity;

-- name: note_shape
INSERT INTO system.shapes AS shape (tenant_id, entity, path, kinds, is_constant, last_seen)
VALUES (:tenant_id, :entity, :path, :kinds, :is_constant, :now)
ON CONFLICT (tenant_id, entity, path) DO UPDATE
SET kinds = :kinds, is_constant = :is_constant, last_seen = :now;

-- name: note_drift
INSERT INTO system.drift AS drift (tenant_id, entity, path, kind, detail, first_seen, last_seen, records)
VALUES (:tenant_id, :entity, :path, :kind, :detail, :now, :now, :records)
ON CONFLICT (tenant_id, entity, path, kind, detail) DO UPDATE
SET last_seen = :now, records = drift.records + :records;

-- name: drift
-- With how many records of each kind of value were looked at there.
SELECT d.*, s.kinds
FROM system.drift AS d
LEFT JOIN system.shapes AS s ON s.tenant_id = d.tenant_id AND s.entity = d.entity AND s.path = d.path
ORDER BY d.entity, d.path, d.kind, d.detail, d.tenant_id;

-- name: drift_of_tenants
SELECT tenant_id, COUNT(*) AS differences
FROM system.drift
GROUP BY tenant_id
ORDER BY tenant_id;

-- name: forget_drift
DELETE FROM system.drift
WHERE entity = :entity AND path = :path AND kind = :kind AND detail = :detail;

-- name: ask_errand
INSERT INTO system.errands (kind, arguments, asked_at)
VALUES (:kind, :arguments, :now)
RETURNING errand_id;

-- name: take_errand
-- The oldest that nobody has taken, if somebody still waits for it.
UPDATE system.errands
SET taken_at = :now, beaten_at = :now
WHERE errand_id = (
  SELECT MIN(errand_id) FROM system.errands WHERE taken_at IS NULL AND ended_at IS NULL AND asked_at > :since
) AND taken_at IS NULL AND ended_at IS NULL
RETURNING errand_id, kind, arguments;

-- name: beat_errand
-- A sign of life of whoever does it.
UPDATE system.errands
SET beaten_at = :now
WHERE errand_id = :errand_id AND ended_at IS NULL;

-- name: withdraw_errand
-- Unless somebody has taken it, or given a sign of life, since it was looked at.
UPDATE system.errands
SET ended_at = :now, error = 'withdrawn'
WHERE errand_id = :errand_id AND beaten_at IS NOT DISTINCT FROM :heard AND ended_at IS NULL
RETURNING errand_id;

-- name: end_errand
UPDATE system.errands
SET ended_at = :now, result = :result, error = :error
WHERE errand_id = :errand_id AND ended_at IS NULL;

-- name: bury_errands
-- Those that somebody took who is gone.
UPDATE system.errands
SET ended_at = :now, error = :error
WHERE taken_at IS NOT NULL AND ended_at IS NULL;

-- name: errand
SELECT *
FROM system.errands
WHERE errand_id = :errand_id;

-- name: mutation_bases
-- The versions that changes are based on: by tenant and hash.
SELECT DISTINCT tenant_id, base_hash
FROM outbound.mutations
WHERE base_hash IS NOT NULL;

-- name: keep_secret
INSERT INTO system.secrets (name, value)
VALUES (:name, :value)
ON CONFLICT (name) DO NOTHING;

-- name: secret
SELECT value
FROM system.secrets
WHERE name = :name;
