-- name: last_reads
-- By entity of a tenant: when it was last read whole, not open, or failed; without reconciliations, and reads that were stopped.
SELECT
  r.entity,
  (
    SELECT MAX(b.finished_at)
    FROM system.sync_batches AS b
    WHERE b.tenant_id = r.tenant_id AND b.entity = r.entity AND b.status = 'completed' AND b.feed <> 'reconcile'
  ) AS completed_at,
  (
    SELECT MAX(b.finished_at)
    FROM system.sync_batches AS b
    WHERE b.tenant_id = r.tenant_id AND b.entity = r.entity AND b.status = 'unavailable' AND b.feed <> 'reconcile'
  ) AS unavailable_at,
  (
    SELECT MAX(b.finished_at)
    FROM system.sync_batches AS b
    WHERE b.tenant_id = r.tenant_id AND b.entity = r.entity AND b.status = 'failed' AND b.feed <> 'reconcile'
      AND COALESCE(b.error, '') <> :stopped
  ) AS failed_at
FROM system.read_entities AS r
WHERE r.tenant_id = :tenant_id
ORDER BY r.entity;

-- name: reads_by_hour
-- What a tenant's reads brought, by the hour in UTC in which they ended: its first 13 characters are all that both stores write alike.
SELECT
  SUBSTR(CAST(finished_at AS TEXT), 1, 13) AS hour,
  SUM(fetched) AS fetched,
  SUM(appended) AS appended,
  SUM(requests) AS requests
FROM system.sync_batches
WHERE tenant_id = :tenant_id AND finished_at >= :since
GROUP BY 1
ORDER BY 1;

-- name: alarms_of_tenant
-- Since when what is wrong with a tenant, or with the service, is known.
SELECT check_name, tenant_id, subject, since
FROM system.alarms
WHERE tenant_id IN (0, :tenant_id) AND NOT is_over;

-- name: reconciliations_of_tenant
-- Each entity's newest look at what ServiceTitan has; those that found something first.
SELECT r.entity, r.finished_at, r.status, r.missing_in_copy, r.vanished, r.differing, r.appended, r.reason
FROM system.reconciled_entities AS e
INNER JOIN system.reconciliations AS r
  ON r.tenant_id = e.tenant_id AND r.entity = e.entity AND r.started_at = (
    SELECT MAX(n.started_at)
    FROM system.reconciliations AS n
    WHERE n.tenant_id = e.tenant_id AND n.entity = e.entity AND n.status IN ('completed', 'unproven')
  )
WHERE e.tenant_id = :tenant_id
ORDER BY r.missing_in_copy + r.vanished + r.differing DESC, r.finished_at DESC, r.entity;

-- name: any_read
-- Whether a tenant was ever read.
SELECT sync_batch_id
FROM system.sync_batches
WHERE tenant_id = :tenant_id AND finished_at IS NOT NULL
LIMIT 1;
