-- Rows of an earlier run that a later one loads: its own batches do not tell of them, and models must run for them.
CREATE TABLE system.late_loads (
  entity TEXT NOT NULL,
  noted_at TIMESTAMPTZ NOT NULL
);
