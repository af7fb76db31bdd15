-- Who may use the API. The secret itself stands nowhere, only its SHA-256.
CREATE TABLE system.api_keys (
  key_id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  secret_hash TEXT NOT NULL,
  scopes TEXT NOT NULL, -- words with spaces between: read, mutate, admin
  tenant_id BIGINT NOT NULL,
  per_minute BIGINT, -- requests, NULL is the default and 0 no limit
  per_hour BIGINT,
  created_at TIMESTAMPTZ NOT NULL,
  last_used_at TIMESTAMPTZ,
  revoked_at TIMESTAMPTZ
);

-- When who last asked for the models to be brought up to date, whatever landed.
CREATE TABLE system.model_requests (
  requested_by TEXT PRIMARY KEY,
  requested_at TIMESTAMPTZ NOT NULL
);
