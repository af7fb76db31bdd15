-- One row for each entity and run: what was asked, what came, what was appended.
CREATE TABLE system.sync_batches (
  sync_batch_id TEXT PRIMARY KEY,
  tenant_id BIGINT NOT NULL,
  entity TEXT NOT NULL,
  started_at TIMESTAMPTZ NOT NULL,
  finished_at TIMESTAMPTZ,
  status TEXT NOT NULL CHECK (status IN ('running', 'completed', 'failed', 'unavailable')),
  feed TEXT NOT NULL,
  fetched BIGINT NOT NULL DEFAULT 0,
  appended BIGINT NOT NULL DEFAULT 0,
  unchanged BIGINT NOT NULL DEFAULT 0,
  bytes BIGINT NOT NULL DEFAULT 0,
  requests BIGINT NOT NULL DEFAULT 0,
  retries BIGINT NOT NULL DEFAULT 0,
  repaired BIGINT NOT NULL DEFAULT 0,
  error TEXT
);

CREATE INDEX sync_batches_by_entity ON system.sync_batches (tenant_id, entity, started_at);

-- When models were last brought up to date, and with which text.
CREATE TABLE system.model_runs (
  model_run_id TEXT PRIMARY KEY,
  started_at TIMESTAMPTZ NOT NULL,
  finished_at TIMESTAMPTZ,
  status TEXT NOT NULL CHECK (status IN ('running', 'completed', 'failed')),
  fingerprint TEXT NOT NULL,
  error TEXT
);

-- The theoretical arrival time of the next request, in seconds since 1970, for one application and tenant.
CREATE TABLE system.rate_budgets (
  application TEXT NOT NULL,
  tenant_id BIGINT NOT NULL,
  arrival DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (application, tenant_id)
);
