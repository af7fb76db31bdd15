-- Takeovers of databases of the original ST-LAZI, by address without user and password.
CREATE TABLE system.legacy_imports (
  source TEXT PRIMARY KEY, -- database at host:port
  started_at TIMESTAMPTZ NOT NULL, -- of the first one: it stands for dates that the original did not keep
  finished_at TIMESTAMPTZ, -- of the newest one that came to its end
  report TEXT -- JSON, of that one
);

-- How far each of its tables is taken over. A table is read in the order of its records.
CREATE TABLE system.legacy_tables (
  source TEXT NOT NULL,
  table_name TEXT NOT NULL, -- there, with its schema
  entity TEXT NOT NULL, -- here
  place TEXT, -- JSON: the last record that is done, NULL at the beginning and at the end
  tally TEXT, -- JSON: what was found up to there
  is_whole BOOLEAN NOT NULL DEFAULT FALSE, -- whether it was once read to its end
  owes_models BOOLEAN NOT NULL DEFAULT FALSE, -- whether rows landed that the models have yet to be rebuilt for
  updated_at TIMESTAMPTZ NOT NULL,
  PRIMARY KEY (source, table_name)
);

-- Rows that could not be taken over, whole.
CREATE TABLE system.legacy_rejects (
  source TEXT NOT NULL,
  table_name TEXT NOT NULL,
  row_hash TEXT NOT NULL, -- of all values that were read
  reason TEXT NOT NULL,
  record_id TEXT,
  tenant TEXT,
  payload TEXT,
  dates TEXT, -- JSON: the row's dates as the original has them
  found_at TIMESTAMPTZ NOT NULL,
  PRIMARY KEY (source, table_name, row_hash)
);
