-- One row for each entity and reconciliation: how ServiceTitan and the copy differed, and what was done about it.
CREATE TABLE system.reconciliations (
  reconciliation_id TEXT PRIMARY KEY, -- also the sync_batch_id of the rows that it appended
  tenant_id BIGINT NOT NULL,
  entity TEXT NOT NULL,
  started_at TIMESTAMPTZ NOT NULL,
  finished_at TIMESTAMPTZ NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('completed', 'unproven', 'failed', 'unavailable', 'skipped')),
  proof TEXT, -- how the read was proven complete
  served BIGINT NOT NULL, -- different keys in the last whole read
  in_copy BIGINT NOT NULL, -- keys in the copy that were not deleted
  missing_in_copy BIGINT NOT NULL, -- served and never landed before, landed now
  vanished BIGINT NOT NULL, -- in the copy and not served
  marked_deleted BIGINT NOT NULL, -- of these, marked: looked for again and not found
  reappeared BIGINT NOT NULL, -- deleted in the copy and served, landed now
  differing BIGINT NOT NULL, -- served otherwise than in the copy, landed now
  appended BIGINT NOT NULL,
  requests BIGINT NOT NULL,
  reason TEXT -- why it was skipped, unproven, unavailable or failed
);

CREATE INDEX reconciliations_by_entity ON system.reconciliations (tenant_id, entity, started_at);
