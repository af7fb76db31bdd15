-- name: runs_of_entity
-- Its newest reads that began before a moment.
SELECT *
FROM system.sync_batches
WHERE tenant_id = :tenant_id AND entity = :entity AND started_at < :before
ORDER BY started_at DESC
LIMIT :most;

-- name: reads_under_way
-- Or cut off: a process that was killed wrote no end.
SELECT entity, started_at, feed
FROM system.sync_batches
WHERE tenant_id = :tenant_id AND finished_at IS NULL
ORDER BY started_at;

-- name: unbroken_links
-- The newest links of which each began where the one before it ended: since when, how many, and where the first one began.
-- A read from the beginning begins anew.
WITH links AS (
  SELECT
    started_at,
    COALESCE(covered_from, '') AS place,
    LAG(covered_to) OVER (ORDER BY started_at) AS place_before,
    fetched,
    appended
  FROM system.sync_batches
  WHERE tenant_id = :tenant_id AND entity = :entity AND covered_to IS NOT NULL
),
first AS (
  SELECT MAX(started_at) AS started_at
  FROM links
  WHERE place = '' OR place_before IS NULL OR place <> place_before
)
SELECT
  f.started_at AS since,
  MAX(CASE WHEN k.started_at = f.started_at THEN k.place END) AS place,
  COUNT(*) AS links,
  SUM(k.fetched) AS fetched,
  SUM(k.appended) AS appended
FROM first AS f
INNER JOIN links AS k ON k.started_at >= f.started_at
GROUP BY f.started_at;

-- name: links_that_ended_at
-- One of them, that began before a moment.
SELECT sync_batch_id
FROM system.sync_batches
WHERE tenant_id = :tenant_id AND entity = :entity AND covered_to = :place AND started_at < :before
LIMIT 1;

-- name: newest_links
SELECT sync_batch_id, started_at, status, covered_from, covered_to, pages, fetched, appended, bytes
FROM system.sync_batches
WHERE tenant_id = :tenant_id AND entity = :entity AND covered_to IS NOT NULL
ORDER BY started_at DESC
LIMIT :most;

-- name: links_of_entity
-- All that proves that nothing was skipped, in the order of time.
SELECT sync_batch_id, started_at, status, covered_from, covered_to, pages, fetched, appended, bytes
FROM system.sync_batches
WHERE tenant_id = :tenant_id AND entity = :entity AND covered_to IS NOT NULL
ORDER BY started_at;

-- name: last_turn
SELECT due_at, begun_at, ended_at, error
FROM system.turns
WHERE tenant_id = :tenant_id AND duty = :duty;

-- name: last_reconciliation
SELECT *
FROM system.reconciliations
WHERE tenant_id = :tenant_id AND entity = :entity
ORDER BY started_at DESC
LIMIT 1;

-- name: drift_of_entity
SELECT path, kind, detail, first_seen, last_seen, records
FROM system.drift
WHERE tenant_id = :tenant_id AND entity = :entity
ORDER BY path, kind, detail;

-- name: last_reads_of_entity
-- As `last_reads`, of one entity.
SELECT
  (
    SELECT MAX(finished_at)
    FROM system.sync_batches
    WHERE tenant_id = :tenant_id AND entity = :entity AND status = 'completed' AND feed <> 'reconcile'
  ) AS completed_at,
  (
    SELECT MAX(finished_at)
    FROM system.sync_batches
    WHERE tenant_id = :tenant_id AND entity = :entity AND status = 'unavailable' AND feed <> 'reconcile'
  ) AS unavailable_at,
  (
    SELECT MAX(finished_at)
    FROM system.sync_batches
    WHERE tenant_id = :tenant_id AND entity = :entity AND status = 'failed' AND feed <> 'reconcile'
      AND COALESCE(error, '') <> :stopped
  ) AS failed_at;
