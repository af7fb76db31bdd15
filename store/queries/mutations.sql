-- name: enqueue
INSERT INTO outbound.mutations (
  tenant_id, entity, operation, record_id, places, payload, lane, lane_above, ref, state, initiated_by, key_id, idempotency_key,
  request_hash, base, base_hash, is_forced, reverts, attempts, run_at, created_at, history
)
VALUES (
  :tenant_id, :entity, :operation, :record_id, :places, :payload, :lane, :lane_above, :ref, :state, :initiated_by, :key_id,
  :idempotency_key, :request_hash, :base, :base_hash, FALSE, :reverts, 0, :now, :now, :step
)
ON CONFLICT (tenant_id, idempotency_key) DO NOTHING
RETURNING *;

-- name: mutation_by_idempotency_key
SELECT *
FROM outbound.mutations
WHERE tenant_id = :tenant_id AND idempotency_key = :idempotency_key;

-- name: mutation
SELECT *
FROM outbound.mutations
WHERE mutation_id = :mutation_id AND tenant_id = COALESCE(:tenant_id, tenant_id);

-- name: claim
-- The oldest of each lane alone, and only while none of it is under way or unknown. A change of a whole list waits for
-- those of its records that are older, and they for it, but not for what waits behind an unknown one. What is due is
-- looked up once:
-- PostgreSQL would run a subquery again and again, and take more than it may.
WITH due AS MATERIALIZED (
  SELECT m.mutation_id
  FROM outbound.mutations AS m
  WHERE m.state = 'pending' AND m.run_at <= :now
    AND NOT EXISTS (
      SELECT 1
      FROM outbound.mutations AS other
      WHERE other.lane = m.lane AND other.state IN ('processing', 'unknown')
    )
    AND NOT EXISTS (
      SELECT 1
      FROM outbound.mutations AS older
      WHERE older.lane = m.lane AND older.state = 'pending' AND older.mutation_id < m.mutation_id
    )
    AND NOT EXISTS (
      SELECT 1
      FROM outbound.mutations AS whole
      WHERE whole.lane = m.lane_above AND whole.state = 'processing'
    )
    AND NOT EXISTS (
      SELECT 1
      FROM outbound.mutations AS whole
      WHERE whole.lane = m.lane_above AND whole.state = 'pending' AND whole.mutation_id < m.mutation_id
        AND NOT EXISTS (
          SELECT 1 FROM outbound.mutations AS doubt WHERE doubt.lane = whole.lane AND doubt.state = 'unknown'
        )
    )
    AND NOT EXISTS (
      SELECT 1
      FROM outbound.mutations AS part
      WHERE part.lane_above = m.lane AND part.state = 'processing'
    )
    AND NOT EXISTS (
      SELECT 1
      FROM outbound.mutations AS part
      WHERE part.lane_above = m.lane AND part.state = 'pending' AND part.mutation_id < m.mutation_id
        AND NOT EXISTS (
          SELECT 1 FROM outbound.mutations AS doubt WHERE doubt.lane = part.lane AND doubt.state = 'unknown'
        )
    )
  ORDER BY m.run_at, m.mutation_id
  LIMIT :most
  FOR UPDATE SKIP LOCKED
)
UPDATE outbound.mutations AS claimed
SET
  state = 'processing',
  attempts = claimed.attempts + 1,
  lease_token = :token,
  lease_owner = :owner,
  lease_until = :lease_until,
  sent_at = NULL,
  history = claimed.history || :step
WHERE claimed.state = 'pending' AND claimed.mutation_id IN (SELECT due.mutation_id FROM due)
RETURNING *;

-- name: take_over
-- Those whose runner did not come back in time.
WITH late AS MATERIALIZED (
  SELECT m.mutation_id
  FROM outbound.mutations AS m
  WHERE m.state = 'processing' AND m.lease_until < :now
  ORDER BY m.mutation_id
  LIMIT :most
  FOR UPDATE SKIP LOCKED
)
UPDATE outbound.mutations AS taken
SET lease_token = :token, lease_owner = :owner, lease_until = :lease_until, history = taken.history || :step
WHERE taken.state = 'processing' AND taken.lease_until < :now AND taken.mutation_id IN (SELECT late.mutation_id FROM late)
RETURNING *;

-- name: mark_sent
UPDATE outbound.mutations
SET sent_at = :now, lease_until = :lease_until, before = :before, merged = :merged, history = history || :step
WHERE mutation_id = :mutation_id AND state = 'processing' AND lease_token = :token
RETURNING mutation_id;

-- name: put_off
UPDATE outbound.mutations
SET lease_token = NULL, lease_owner = NULL, lease_until = :until, history = history || :step
WHERE mutation_id = :mutation_id AND state = 'processing' AND lease_token = :token
RETURNING mutation_id;

-- name: done_meanwhile
SELECT *
FROM outbound.mutations
WHERE lane = :lane AND state = 'completed' AND mutation_id < :mutation_id
  AND (finished_at >= :since OR landing IS NOT NULL OR landed_at >= :since)
ORDER BY finished_at, mutation_id;

-- name: settle
UPDATE outbound.mutations
SET
  state = :state,
  run_at = :run_at,
  attempts = :attempts,
  doubtful_at = :doubtful_at,
  payload = COALESCE(:payload, payload),
  finished_at = :finished_at,
  lease_token = NULL,
  lease_owner = NULL,
  lease_until = NULL,
  landing = :landing,
  new_id = :new_id,
  answer_status = :answer_status,
  answer = :answer,
  after = :after,
  conflict = :conflict,
  merged = :merged,
  not_applied = :not_applied,
  error = :error,
  history = history || :step
WHERE mutation_id = :mutation_id AND state = 'processing' AND lease_token = :token
RETURNING mutation_id;

-- name: decide
-- A person's word on a mutation that nobody works on.
UPDATE outbound.mutations
SET
  state = :state,
  run_at = :now,
  attempts = 0,
  finished_at = :finished_at,
  is_forced = :is_forced,
  base = COALESCE(:base, base),
  payload = COALESCE(:payload, payload),
  doubtful_at = :doubtful_at,
  approved_by = COALESCE(:approved_by, approved_by),
  new_id = COALESCE(:new_id, new_id),
  error = :error,
  history = history || :step
WHERE mutation_id = :mutation_id AND state = :was
RETURNING *;

-- name: landable
SELECT mutation_id, tenant_id, entity, initiated_by, landing, finished_at
FROM outbound.mutations
WHERE landing IS NOT NULL
ORDER BY mutation_id
LIMIT :most;

-- name: mark_landed
-- Unless it was tried again since, and has another outcome.
UPDATE outbound.mutations
SET landing = NULL, landed_at = :now
WHERE mutation_id = :mutation_id AND finished_at = COALESCE(:finished_at, finished_at);

-- name: mutations
-- Newest first, behind a mutation.
SELECT *
FROM outbound.mutations
WHERE tenant_id = COALESCE(:tenant_id, tenant_id)
  AND mutation_id < :behind
  AND state = COALESCE(:state, state)
  AND entity = COALESCE(:entity, entity)
  AND operation = COALESCE(:operation, operation)
  AND COALESCE(record_id, '') = COALESCE(:record_id, record_id, '')
  AND initiated_by = COALESCE(:initiated_by, initiated_by)
  AND created_at >= :since
ORDER BY mutation_id DESC
LIMIT :most;

-- name: count_mutations
SELECT state, COUNT(*) AS mutations, MIN(created_at) AS oldest
FROM outbound.mutations
WHERE tenant_id = COALESCE(:tenant_id, tenant_id)
GROUP BY state;

-- name: rivals
-- Who may have made the same thing.
SELECT payload, new_id
FROM outbound.mutations
WHERE tenant_id = :tenant_id
  AND entity = :entity
  AND operation = :operation
  AND mutation_id <> :mutation_id
  AND (
    state IN ('processing', 'unknown') OR new_id = :new_id
    OR (state = 'completed' AND new_id IS NULL AND finished_at >= :since)
  )
ORDER BY mutation_id;

-- name: next_due
-- When the next waiting one may go.
SELECT MIN(run_at) AS run_at
FROM outbound.mutations
WHERE state = 'pending';

-- name: mutations_at_work
-- By tenant and state, what is not at its end, and what failed lately.
SELECT tenant_id, state, COUNT(*) AS mutations, MIN(run_at) AS oldest
FROM outbound.mutations
WHERE state IN ('pending', 'conflict', 'unknown') OR (state = 'failed' AND finished_at > :since)
GROUP BY tenant_id, state
ORDER BY tenant_id, state;

-- name: mutations_standing
-- By state how many a tenant has, and the newest.
SELECT state, COUNT(*) AS mutations, MAX(mutation_id) AS newest
FROM outbound.mutations
WHERE tenant_id = :tenant_id
GROUP BY state;

-- name: newer_mutations
-- How many came since one, under the filters of `mutations`.
SELECT COUNT(*) AS mutations
FROM outbound.mutations
WHERE tenant_id = :tenant_id
  AND mutation_id > :above
  AND state = COALESCE(:state, state)
  AND entity = COALESCE(:entity, entity)
  AND operation = COALESCE(:operation, operation)
  AND COALESCE(record_id, '') = COALESCE(:record_id, record_id, '')
  AND initiated_by = COALESCE(:initiated_by, initiated_by)
  AND created_at >= :since;

-- name: state_of_mutation
SELECT state
FROM outbound.mutations
WHERE mutation_id = :mutation_id AND tenant_id = :tenant_id;

-- name: mutations_of_record
-- The newest of one record, by their index: what `mutations` asks could be anybody's, and is looked for in all of them.
SELECT *
FROM outbound.mutations
WHERE tenant_id = :tenant_id AND entity = :entity AND record_id = :record_id
ORDER BY mutation_id DESC
LIMIT :most;
