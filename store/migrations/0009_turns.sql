-- What is done by itself, when it is due next and how it went. A turn is taken by one process alone.
CREATE TABLE system.turns (
  tenant_id BIGINT NOT NULL,
  duty TEXT NOT NULL,
  due_at TIMESTAMPTZ NOT NULL,
  begun_at TIMESTAMPTZ,
  ended_at TIMESTAMPTZ, -- of the last one that came to its end, and before `begun_at` where one is under way or was cut off
  error TEXT,
  is_locked_out BOOLEAN NOT NULL DEFAULT FALSE, -- by credentials or host, at the last end
  PRIMARY KEY (tenant_id, duty)
);
