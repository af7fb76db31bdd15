-- Values that every process of one store must know, and nobody chooses, such as what signs sessions.
CREATE TABLE system.secrets (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
);

-- What is wished for an entity: `sync` reads what is new, `full` everything, `reconcile` compares. All three can wait at once.
-- Those that webhooks left stay: SQLite cannot change a primary key.
CREATE TABLE system.former_wishes AS
SELECT tenant_id, entity, wished_at
FROM system.wishes;

DROP TABLE system.wishes;

CREATE TABLE system.wishes (
  tenant_id BIGINT NOT NULL,
  entity TEXT NOT NULL,
  work TEXT NOT NULL,
  wished_at TIMESTAMPTZ NOT NULL,
  PRIMARY KEY (tenant_id, entity, work)
);

INSERT INTO system.wishes (tenant_id, entity, work, wished_at)
SELECT tenant_id, entity, 'sync', wished_at
FROM system.former_wishes;

DROP TABLE system.former_wishes;

-- Sessions that somebody ended before their time: a copy of their cookie opens nothing either.
CREATE TABLE system.ended_sessions (
  nonce TEXT PRIMARY KEY,
  ended_at TIMESTAMPTZ NOT NULL
);

-- For a year of reads: an entity's last one of each kind stands at an end of the first index, and an hour's all together in
-- the second. The two that go had room for two kinds alone. SQLite's indexes have no schema: each store drops by one name.
CREATE INDEX sync_batches_by_status ON system.sync_batches (tenant_id, entity, status, finished_at, feed);
CREATE INDEX sync_batches_finished ON system.sync_batches (tenant_id, finished_at);
DROP INDEX IF EXISTS sync_batches_good;
DROP INDEX IF EXISTS system.sync_batches_good;
DROP INDEX IF EXISTS sync_batches_failed;
DROP INDEX IF EXISTS system.sync_batches_failed;
CREATE INDEX reconciliations_good ON system.reconciliations (tenant_id, entity, started_at)
WHERE status IN ('completed', 'unproven');
CREATE INDEX model_runs_started ON system.model_runs (started_at);
CREATE INDEX mutations_counted ON outbound.mutations (tenant_id, state, created_at);

-- Which entities there are reads of, from one to the next: DISTINCT would look at every row, and there are millions.
CREATE VIEW system.read_entities (tenant_id, entity) AS
WITH RECURSIVE place (tenant_id, entity) AS (
  SELECT MIN(tenant_id), ''
  FROM system.sync_batches
  UNION ALL
  SELECT
    CASE
      WHEN p.entity IS NULL THEN (SELECT MIN(n.tenant_id) FROM system.sync_batches AS n WHERE n.tenant_id > p.tenant_id)
      ELSE p.tenant_id
    END,
    CASE
      WHEN p.entity IS NULL THEN ''
      ELSE (SELECT MIN(n.entity) FROM system.sync_batches AS n WHERE n.tenant_id = p.tenant_id AND n.entity > p.entity)
    END
  FROM place AS p
  WHERE p.tenant_id IS NOT NULL
)
SELECT tenant_id, entity
FROM place
WHERE tenant_id IS NOT NULL AND entity <> '';

-- The same of reconciliations.
CREATE VIEW system.reconciled_entities (tenant_id, entity) AS
WITH RECURSIVE place (tenant_id, entity) AS (
  SELECT MIN(tenant_id), ''
  FROM system.reconciliations
  UNION ALL
  SELECT
    CASE
      WHEN p.entity IS NULL THEN (SELECT MIN(n.tenant_id) FROM system.reconciliations AS n WHERE n.tenant_id > p.tenant_id)
      ELSE p.tenant_id
    END,
    CASE
      WHEN p.entity IS NULL THEN ''
      ELSE (SELECT MIN(n.entity) FROM system.reconciliations AS n WHERE n.tenant_id = p.tenant_id AND n.entity > p.entity)
    END
  FROM place AS p
  WHERE p.tenant_id IS NOT NULL
)
SELECT tenant_id, entity
FROM place
WHERE tenant_id IS NOT NULL AND entity <> '';
