-- What is wrong at present, since when, and what the owner was last told of it.
CREATE TABLE system.alarms (
  check_name TEXT NOT NULL,
  tenant_id BIGINT NOT NULL, -- 0: of the service
  subject TEXT NOT NULL,
  level TEXT NOT NULL,
  text TEXT NOT NULL,
  since TIMESTAMPTZ NOT NULL,
  seen_at TIMESTAMPTZ NOT NULL,
  told_level TEXT, -- NULL: nothing yet
  is_over BOOLEAN NOT NULL DEFAULT FALSE, -- and somebody is still to be told so
  claimed_until TIMESTAMPTZ, -- by who is about to tell it
  PRIMARY KEY (check_name, tenant_id, subject)
);

-- For the newest runs of each entity without all that came before.
CREATE INDEX sync_batches_failed ON system.sync_batches (tenant_id, entity, finished_at, feed) WHERE status = 'failed';
CREATE INDEX sync_batches_good ON system.sync_batches (tenant_id, entity, finished_at, feed)
WHERE status IN ('completed', 'unavailable');

-- Since when rows of an entity wait for the models, and requests for the budget without a pause.
ALTER TABLE system.stale_entities ADD COLUMN since TIMESTAMPTZ;
ALTER TABLE system.rate_budgets ADD COLUMN busy_since DOUBLE PRECISION NOT NULL DEFAULT 0;
