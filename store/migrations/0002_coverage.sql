-- What a run covered, as text: from where to where its cursor moved (a token, a moment, a place in the parents' order).
-- Empty is the beginning, NULL is nothing.
ALTER TABLE system.sync_batches ADD COLUMN pages BIGINT NOT NULL DEFAULT 0;
ALTER TABLE system.sync_batches ADD COLUMN covered_from TEXT;
ALTER TABLE system.sync_batches ADD COLUMN covered_to TEXT;
