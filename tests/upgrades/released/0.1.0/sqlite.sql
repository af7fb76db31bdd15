BEGIN TRANSACTION;
CREATE TABLE outbound_mutations (
  mutation_id INTEGER PRIMARY KEY AUTOINCREMENT, -- also the order within a lane
  tenant_id BIGINT NOT NULL,
  entity TEXT NOT NULL,
  operation TEXT NOT NULL, -- ServiceTitan's name
  record_id TEXT, -- NULL where it names none: it makes one, or is about many
  places TEXT NOT NULL, -- JSON: the values of the path's parameters
  payload TEXT, -- JSON, NULL for an operation without a body
  lane TEXT, -- what is changed one after another, NULL where nothing waits for it
  ref TEXT NOT NULL, -- by which what it made is found again in ServiceTitan
  state TEXT NOT NULL CHECK (
    state IN ('held', 'pending', 'processing', 'completed', 'failed', 'conflict', 'unknown', 'cancelled')
  ),
  initiated_by TEXT NOT NULL, -- as the request says
  key_id TEXT NOT NULL, -- the API key that queued it
  idempotency_key TEXT,
  request_hash TEXT NOT NULL, -- of all that was asked, to tell a repetition from another use of the key
  base TEXT, -- JSON: the record as whoever wants the change knew it
  base_hash TEXT,
  is_forced BOOLEAN NOT NULL, -- a person decided that it goes over what changed there
  reverts BIGINT, -- the mutation whose inverse this is
  approved_by TEXT,
  attempts BIGINT NOT NULL,
  run_at TIMESTAMPTZ NOT NULL, -- not before
  lease_token TEXT,
  lease_owner TEXT,
  lease_until TIMESTAMPTZ,
  sent_at TIMESTAMPTZ, -- committed before the first byte goes out
  created_at TIMESTAMPTZ NOT NULL,
  finished_at TIMESTAMPTZ,
  landing TEXT, -- JSON: what was read back and is not yet in the copy
  landed_at TIMESTAMPTZ, -- when the copy had its outcome
  new_id TEXT, -- of what it made
  answer_status BIGINT,
  answer TEXT, -- the body, shortened
  before TEXT, -- JSON: the record as it was in ServiceTitan just before
  after TEXT, -- JSON: ... and after
  conflict TEXT, -- JSON: by field base, theirs and mine
  merged TEXT, -- JSON: fields that had changed there meanwhile and are none of ours
  not_applied TEXT, -- JSON: by field wanted and found
  error TEXT,
  history TEXT NOT NULL, lane_above TEXT, doubtful_at TIMESTAMPTZ, -- a line of JSON for each step
  UNIQUE (tenant_id, idempotency_key)
);
INSERT INTO "outbound_mutations" VALUES(1000,1000,'entity 0 with '' and % and ; and é','operation 0 with '' and % and ; and é','record_id 0 with '' and % and ; and é','places 0 with '' and % and ; and é','payload 0 with '' and % and ; and é','lane 0 with '' and % and ; and é','ref 0 with '' and % and ; and é','held','initiated_by 0 with '' and % and ; and é','key_id 0 with '' and % and ; and é','idempotency_key 0 with '' and % and ; and é','request_hash 0 with '' and % and ; and é','base 0 with '' and % and ; and é','base_hash 0 with '' and % and ; and é',1,1000,'approved_by 0 with '' and % and ; and é',1000,'2026-05-01T12:00:00.000000+00:00','lease_token 0 with '' and % and ; and é','lease_owner 0 with '' and % and ; and é','2026-05-01T12:00:00.000000+00:00','2026-05-01T12:00:00.000000+00:00','2026-05-01T12:00:00.000000+00:00','2026-05-01T12:00:00.000000+00:00','landing 0 with '' and % and ; and é','2026-05-01T12:00:00.000000+00:00','new_id 0 with '' and % and ; and é',1000,'answer 0 with '' and % and ; and é','before 0 with '' and % and ; and é','after 0 with '' and % and ; and é','conflict 0 with '' and % and ; and é','merged 0 with '' and % and ; and é','not_applied 0 with '' and % and ; and é','error 0 with '' and % and ; and é','history 0 with '' and % and ; and é','lane_above 0 with '' and % and ; and é','2026-05-01T12:00:00.000000+00:00');
INSERT INTO "outbound_mutations" VALUES(1001,1001,'entity 1 with '' and % and ; and é','operation 1 with '' and % and ; and é','record_id 1 with '' and % and ; and é','places 1 with '' and % and ; and é','payload 1 with '' and % and ; and é','lane 1 with '' and % and ; and é','ref 1 with '' and % and ; and é','held','initiated_by 1 with '' and % and ; and é','key_id 1 with '' and % and ; and é','idempotency_key 1 with '' and % and ; and é','request_hash 1 with '' and % and ; and é','base 1 with '' and % and ; and é','base_hash 1 with '' and % and ; and é',0,1001,'approved_by 1 with '' and % and ; and é',1001,'2026-05-01T12:01:00.000000+00:00','lease_token 1 with '' and % and ; and é','lease_owner 1 with '' and % and ; and é','2026-05-01T12:01:00.000000+00:00','2026-05-01T12:01:00.000000+00:00','2026-05-01T12:01:00.000000+00:00','2026-05-01T12:01:00.000000+00:00','landing 1 with '' and % and ; and é','2026-05-01T12:01:00.000000+00:00','new_id 1 with '' and % and ; and é',1001,'answer 1 with '' and % and ; and é','before 1 with '' and % and ; and é','after 1 with '' and % and ; and é','conflict 1 with '' and % and ; and é','merged 1 with '' and % and ; and é','not_applied 1 with '' and % and ; and é','error 1 with '' and % and ; and é','history 1 with '' and % and ; and é','lane_above 1 with '' and % and ; and é','2026-05-01T12:01:00.000000+00:00');
INSERT INTO "outbound_mutations" VALUES(1002,1002,'entity 2 with '' and % and ; and é','operation 2 with '' and % and ; and é','record_id 2 with '' and % and ; and é','places 2 with '' and % and ; and é','payload 2 with '' and % and ; and é','lane 2 with '' and % and ; and é','ref 2 with '' and % and ; and é','held','initiated_by 2 with '' and % and ; and é','key_id 2 with '' and % and ; and é','idempotency_key 2 with '' and % and ; and é','request_hash 2 with '' and % and ; and é','base 2 with '' and % and ; and é','base_hash 2 with '' and % and ; and é',1,1002,'approved_by 2 with '' and % and ; and é',1002,'2026-05-01T12:02:00.000000+00:00','lease_token 2 with '' and % and ; and é','lease_owner 2 with '' and % and ; and é','2026-05-01T12:02:00.000000+00:00','2026-05-01T12:02:00.000000+00:00','2026-05-01T12:02:00.000000+00:00','2026-05-01T12:02:00.000000+00:00','landing 2 with '' and % and ; and é','2026-05-01T12:02:00.000000+00:00','new_id 2 with '' and % and ; and é',1002,'answer 2 with '' and % and ; and é','before 2 with '' and % and ; and é','after 2 with '' and % and ; and é','conflict 2 with '' and % and ; and é','merged 2 with '' and % and ; and é','not_applied 2 with '' and % and ; and é','error 2 with '' and % and ; and é','history 2 with '' and % and ; and é','lane_above 2 with '' and % and ; and é','2026-05-01T12:02:00.000000+00:00');
CREATE TABLE system_alarms (
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
INSERT INTO "system_alarms" VALUES('check_name 0 with '' and % and ; and é',1000,'subject 0 with '' and % and ; and é','level 0 with '' and % and ; and é','text 0 with '' and % and ; and é','2026-05-01T12:00:00.000000+00:00','2026-05-01T12:00:00.000000+00:00','told_level 0 with '' and % and ; and é',1,'2026-05-01T12:00:00.000000+00:00');
INSERT INTO "system_alarms" VALUES('check_name 1 with '' and % and ; and é',1001,'subject 1 with '' and % and ; and é','level 1 with '' and % and ; and é','text 1 with '' and % and ; and é','2026-05-01T12:01:00.000000+00:00','2026-05-01T12:01:00.000000+00:00','told_level 1 with '' and % and ; and é',0,'2026-05-01T12:01:00.000000+00:00');
INSERT INTO "system_alarms" VALUES('check_name 2 with '' and % and ; and é',1002,'subject 2 with '' and % and ; and é','level 2 with '' and % and ; and é','text 2 with '' and % and ; and é','2026-05-01T12:02:00.000000+00:00','2026-05-01T12:02:00.000000+00:00','told_level 2 with '' and % and ; and é',1,'2026-05-01T12:02:00.000000+00:00');
CREATE TABLE system_api_keys (
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
INSERT INTO "system_api_keys" VALUES('key_id 0 with '' and % and ; and é','name 0 with '' and % and ; and é','secret_hash 0 with '' and % and ; and é','scopes 0 with '' and % and ; and é',1000,1000,1000,'2026-05-01T12:00:00.000000+00:00','2026-05-01T12:00:00.000000+00:00','2026-05-01T12:00:00.000000+00:00');
INSERT INTO "system_api_keys" VALUES('key_id 1 with '' and % and ; and é','name 1 with '' and % and ; and é','secret_hash 1 with '' and % and ; and é','scopes 1 with '' and % and ; and é',1001,1001,1001,'2026-05-01T12:01:00.000000+00:00','2026-05-01T12:01:00.000000+00:00','2026-05-01T12:01:00.000000+00:00');
INSERT INTO "system_api_keys" VALUES('key_id 2 with '' and % and ; and é','name 2 with '' and % and ; and é','secret_hash 2 with '' and % and ; and é','scopes 2 with '' and % and ; and é',1002,1002,1002,'2026-05-01T12:02:00.000000+00:00','2026-05-01T12:02:00.000000+00:00','2026-05-01T12:02:00.000000+00:00');
CREATE TABLE system_drift (
  tenant_id BIGINT NOT NULL,
  entity TEXT NOT NULL,
  path TEXT NOT NULL,
  kind TEXT NOT NULL, -- added, vanished, retyped, value or null
  detail TEXT NOT NULL,
  first_seen TIMESTAMPTZ NOT NULL,
  last_seen TIMESTAMPTZ NOT NULL,
  records BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, entity, path, kind, detail)
);
INSERT INTO "system_drift" VALUES(1000,'entity 0 with '' and % and ; and é','path 0 with '' and % and ; and é','kind 0 with '' and % and ; and é','detail 0 with '' and % and ; and é','2026-05-01T12:00:00.000000+00:00','2026-05-01T12:00:00.000000+00:00',1000);
INSERT INTO "system_drift" VALUES(1001,'entity 1 with '' and % and ; and é','path 1 with '' and % and ; and é','kind 1 with '' and % and ; and é','detail 1 with '' and % and ; and é','2026-05-01T12:01:00.000000+00:00','2026-05-01T12:01:00.000000+00:00',1001);
INSERT INTO "system_drift" VALUES(1002,'entity 2 with '' and % and ; and é','path 2 with '' and % and ; and é','kind 2 with '' and % and ; and é','detail 2 with '' and % and ; and é','2026-05-01T12:02:00.000000+00:00','2026-05-01T12:02:00.000000+00:00',1002);
CREATE TABLE system_ended_sessions (
  nonce TEXT PRIMARY KEY,
  ended_at TIMESTAMPTZ NOT NULL
);
INSERT INTO "system_ended_sessions" VALUES('nonce 0 with '' and % and ; and é','2026-05-01T12:00:00.000000+00:00');
INSERT INTO "system_ended_sessions" VALUES('nonce 1 with '' and % and ; and é','2026-05-01T12:01:00.000000+00:00');
INSERT INTO "system_ended_sessions" VALUES('nonce 2 with '' and % and ; and é','2026-05-01T12:02:00.000000+00:00');
CREATE TABLE system_errands (
  errand_id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL, -- backup, export or prune
  arguments TEXT NOT NULL, -- JSON
  asked_at TIMESTAMPTZ NOT NULL,
  taken_at TIMESTAMPTZ,
  beaten_at TIMESTAMPTZ, -- the last sign of life of whoever took it
  ended_at TIMESTAMPTZ,
  result TEXT, -- JSON
  error TEXT
);
INSERT INTO "system_errands" VALUES(1000,'kind 0 with '' and % and ; and é','arguments 0 with '' and % and ; and é','2026-05-01T12:00:00.000000+00:00','2026-05-01T12:00:00.000000+00:00','2026-05-01T12:00:00.000000+00:00','2026-05-01T12:00:00.000000+00:00','result 0 with '' and % and ; and é','error 0 with '' and % and ; and é');
INSERT INTO "system_errands" VALUES(1001,'kind 1 with '' and % and ; and é','arguments 1 with '' and % and ; and é','2026-05-01T12:01:00.000000+00:00','2026-05-01T12:01:00.000000+00:00','2026-05-01T12:01:00.000000+00:00','2026-05-01T12:01:00.000000+00:00','result 1 with '' and % and ; and é','error 1 with '' and % and ; and é');
INSERT INTO "system_errands" VALUES(1002,'kind 2 with '' and % and ; and é','arguments 2 with '' and % and ; and é','2026-05-01T12:02:00.000000+00:00','2026-05-01T12:02:00.000000+00:00','2026-05-01T12:02:00.000000+00:00','2026-05-01T12:02:00.000000+00:00','result 2 with '' and % and ; and é','error 2 with '' and % and ; and é');
CREATE TABLE system_legacy_imports (
  source TEXT PRIMARY KEY, -- database at host:port
  started_at TIMESTAMPTZ NOT NULL, -- of the first one: it stands for dates that the original did not keep
  finished_at TIMESTAMPTZ, -- of the newest one that came to its end
  report TEXT -- JSON, of that one
);
INSERT INTO "system_legacy_imports" VALUES('source 0 with '' and % and ; and é','2026-05-01T12:00:00.000000+00:00','2026-05-01T12:00:00.000000+00:00','report 0 with '' and % and ; and é');
INSERT INTO "system_legacy_imports" VALUES('source 1 with '' and % and ; and é','2026-05-01T12:01:00.000000+00:00','2026-05-01T12:01:00.000000+00:00','report 1 with '' and % and ; and é');
INSERT INTO "system_legacy_imports" VALUES('source 2 with '' and % and ; and é','2026-05-01T12:02:00.000000+00:00','2026-05-01T12:02:00.000000+00:00','report 2 with '' and % and ; and é');
CREATE TABLE system_legacy_rejects (
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
INSERT INTO "system_legacy_rejects" VALUES('source 0 with '' and % and ; and é','table_name 0 with '' and % and ; and é','row_hash 0 with '' and % and ; and é','reason 0 with '' and % and ; and é','record_id 0 with '' and % and ; and é','tenant 0 with '' and % and ; and é','payload 0 with '' and % and ; and é','dates 0 with '' and % and ; and é','2026-05-01T12:00:00.000000+00:00');
INSERT INTO "system_legacy_rejects" VALUES('source 1 with '' and % and ; and é','table_name 1 with '' and % and ; and é','row_hash 1 with '' and % and ; and é','reason 1 with '' and % and ; and é','record_id 1 with '' and % and ; and é','tenant 1 with '' and % and ; and é','payload 1 with '' and % and ; and é','dates 1 with '' and % and ; and é','2026-05-01T12:01:00.000000+00:00');
INSERT INTO "system_legacy_rejects" VALUES('source 2 with '' and % and ; and é','table_name 2 with '' and % and ; and é','row_hash 2 with '' and % and ; and é','reason 2 with '' and % and ; and é','record_id 2 with '' and % and ; and é','tenant 2 with '' and % and ; and é','payload 2 with '' and % and ; and é','dates 2 with '' and % and ; and é','2026-05-01T12:02:00.000000+00:00');
CREATE TABLE system_legacy_tables (
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
INSERT INTO "system_legacy_tables" VALUES('source 0 with '' and % and ; and é','table_name 0 with '' and % and ; and é','entity 0 with '' and % and ; and é','place 0 with '' and % and ; and é','tally 0 with '' and % and ; and é',1,1,'2026-05-01T12:00:00.000000+00:00');
INSERT INTO "system_legacy_tables" VALUES('source 1 with '' and % and ; and é','table_name 1 with '' and % and ; and é','entity 1 with '' and % and ; and é','place 1 with '' and % and ; and é','tally 1 with '' and % and ; and é',0,0,'2026-05-01T12:01:00.000000+00:00');
INSERT INTO "system_legacy_tables" VALUES('source 2 with '' and % and ; and é','table_name 2 with '' and % and ; and é','entity 2 with '' and % and ; and é','place 2 with '' and % and ; and é','tally 2 with '' and % and ; and é',1,1,'2026-05-01T12:02:00.000000+00:00');
CREATE TABLE system_model_requests (
  requested_by TEXT PRIMARY KEY,
  requested_at TIMESTAMPTZ NOT NULL
);
INSERT INTO "system_model_requests" VALUES('requested_by 0 with '' and % and ; and é','2026-05-01T12:00:00.000000+00:00');
INSERT INTO "system_model_requests" VALUES('requested_by 1 with '' and % and ; and é','2026-05-01T12:01:00.000000+00:00');
INSERT INTO "system_model_requests" VALUES('requested_by 2 with '' and % and ; and é','2026-05-01T12:02:00.000000+00:00');
CREATE TABLE system_model_runs (
  model_run_id TEXT PRIMARY KEY,
  started_at TIMESTAMPTZ NOT NULL,
  finished_at TIMESTAMPTZ,
  status TEXT NOT NULL CHECK (status IN ('running', 'completed', 'failed')),
  fingerprint TEXT NOT NULL,
  error TEXT
);
INSERT INTO "system_model_runs" VALUES('model_run_id 0 with '' and % and ; and é','2026-05-01T12:00:00.000000+00:00','2026-05-01T12:00:00.000000+00:00','running','fingerprint 0 with '' and % and ; and é','error 0 with '' and % and ; and é');
INSERT INTO "system_model_runs" VALUES('model_run_id 1 with '' and % and ; and é','2026-05-01T12:01:00.000000+00:00','2026-05-01T12:01:00.000000+00:00','running','fingerprint 1 with '' and % and ; and é','error 1 with '' and % and ; and é');
INSERT INTO "system_model_runs" VALUES('model_run_id 2 with '' and % and ; and é','2026-05-01T12:02:00.000000+00:00','2026-05-01T12:02:00.000000+00:00','running','fingerprint 2 with '' and % and ; and é','error 2 with '' and % and ; and é');
CREATE TABLE system_rate_budgets (
  application TEXT NOT NULL,
  tenant_id BIGINT NOT NULL,
  arrival DOUBLE PRECISION NOT NULL, busy_since DOUBLE PRECISION NOT NULL DEFAULT 0,
  PRIMARY KEY (application, tenant_id)
);
INSERT INTO "system_rate_budgets" VALUES('application 0 with '' and % and ; and é',1000,1000.0,1000.0);
INSERT INTO "system_rate_budgets" VALUES('application 1 with '' and % and ; and é',1001,1001.0,1001.0);
INSERT INTO "system_rate_budgets" VALUES('application 2 with '' and % and ; and é',1002,1002.0,1002.0);
CREATE TABLE system_reconciliations (
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
INSERT INTO "system_reconciliations" VALUES('reconciliation_id 0 with '' and % and ; and é',1000,'entity 0 with '' and % and ; and é','2026-05-01T12:00:00.000000+00:00','2026-05-01T12:00:00.000000+00:00','completed','proof 0 with '' and % and ; and é',1000,1000,1000,1000,1000,1000,1000,1000,1000,'reason 0 with '' and % and ; and é');
INSERT INTO "system_reconciliations" VALUES('reconciliation_id 1 with '' and % and ; and é',1001,'entity 1 with '' and % and ; and é','2026-05-01T12:01:00.000000+00:00','2026-05-01T12:01:00.000000+00:00','completed','proof 1 with '' and % and ; and é',1001,1001,1001,1001,1001,1001,1001,1001,1001,'reason 1 with '' and % and ; and é');
INSERT INTO "system_reconciliations" VALUES('reconciliation_id 2 with '' and % and ; and é',1002,'entity 2 with '' and % and ; and é','2026-05-01T12:02:00.000000+00:00','2026-05-01T12:02:00.000000+00:00','completed','proof 2 with '' and % and ; and é',1002,1002,1002,1002,1002,1002,1002,1002,1002,'reason 2 with '' and % and ; and é');
CREATE TABLE system_secrets (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
);
INSERT INTO "system_secrets" VALUES('name 0 with '' and % and ; and é','value 0 with '' and % and ; and é');
INSERT INTO "system_secrets" VALUES('name 1 with '' and % and ; and é','value 1 with '' and % and ; and é');
INSERT INTO "system_secrets" VALUES('name 2 with '' and % and ; and é','value 2 with '' and % and ; and é');
CREATE TABLE system_shapes (
  tenant_id BIGINT NOT NULL,
  entity TEXT NOT NULL,
  path TEXT NOT NULL,
  kinds TEXT NOT NULL, -- in how many records each was: integer:995,string:5
  is_constant BOOLEAN NOT NULL, -- every record that was looked at had it
  last_seen TIMESTAMPTZ NOT NULL,
  PRIMARY KEY (tenant_id, entity, path)
);
INSERT INTO "system_shapes" VALUES(1000,'entity 0 with '' and % and ; and é','path 0 with '' and % and ; and é','kinds 0 with '' and % and ; and é',1,'2026-05-01T12:00:00.000000+00:00');
INSERT INTO "system_shapes" VALUES(1001,'entity 1 with '' and % and ; and é','path 1 with '' and % and ; and é','kinds 1 with '' and % and ; and é',0,'2026-05-01T12:01:00.000000+00:00');
INSERT INTO "system_shapes" VALUES(1002,'entity 2 with '' and % and ; and é','path 2 with '' and % and ; and é','kinds 2 with '' and % and ; and é',1,'2026-05-01T12:02:00.000000+00:00');
CREATE TABLE system_stale_entities (
  entity TEXT PRIMARY KEY,
  landings BIGINT NOT NULL
, since TIMESTAMPTZ);
INSERT INTO "system_stale_entities" VALUES('entity 0 with '' and % and ; and é',1000,'2026-05-01T12:00:00.000000+00:00');
INSERT INTO "system_stale_entities" VALUES('entity 1 with '' and % and ; and é',1001,'2026-05-01T12:01:00.000000+00:00');
INSERT INTO "system_stale_entities" VALUES('entity 2 with '' and % and ; and é',1002,'2026-05-01T12:02:00.000000+00:00');
CREATE TABLE system_sync_batches (
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
, pages BIGINT NOT NULL DEFAULT 0, covered_from TEXT, covered_to TEXT);
INSERT INTO "system_sync_batches" VALUES('sync_batch_id 0 with '' and % and ; and é',1000,'entity 0 with '' and % and ; and é','2026-05-01T12:00:00.000000+00:00','2026-05-01T12:00:00.000000+00:00','running','feed 0 with '' and % and ; and é',1000,1000,1000,1000,1000,1000,1000,'error 0 with '' and % and ; and é',1000,'covered_from 0 with '' and % and ; and é','covered_to 0 with '' and % and ; and é');
INSERT INTO "system_sync_batches" VALUES('sync_batch_id 1 with '' and % and ; and é',1001,'entity 1 with '' and % and ; and é','2026-05-01T12:01:00.000000+00:00','2026-05-01T12:01:00.000000+00:00','running','feed 1 with '' and % and ; and é',1001,1001,1001,1001,1001,1001,1001,'error 1 with '' and % and ; and é',1001,'covered_from 1 with '' and % and ; and é','covered_to 1 with '' and % and ; and é');
INSERT INTO "system_sync_batches" VALUES('sync_batch_id 2 with '' and % and ; and é',1002,'entity 2 with '' and % and ; and é','2026-05-01T12:02:00.000000+00:00','2026-05-01T12:02:00.000000+00:00','running','feed 2 with '' and % and ; and é',1002,1002,1002,1002,1002,1002,1002,'error 2 with '' and % and ; and é',1002,'covered_from 2 with '' and % and ; and é','covered_to 2 with '' and % and ; and é');
CREATE TABLE system_turns (
  tenant_id BIGINT NOT NULL,
  duty TEXT NOT NULL,
  due_at TIMESTAMPTZ NOT NULL,
  begun_at TIMESTAMPTZ,
  ended_at TIMESTAMPTZ, -- of the last one that came to its end, and before `begun_at` where one is under way or was cut off
  error TEXT,
  is_locked_out BOOLEAN NOT NULL DEFAULT FALSE, -- by credentials or host, at the last end
  PRIMARY KEY (tenant_id, duty)
);
INSERT INTO "system_turns" VALUES(1000,'duty 0 with '' and % and ; and é','2026-05-01T12:00:00.000000+00:00','2026-05-01T12:00:00.000000+00:00','2026-05-01T12:00:00.000000+00:00','error 0 with '' and % and ; and é',1);
INSERT INTO "system_turns" VALUES(1001,'duty 1 with '' and % and ; and é','2026-05-01T12:01:00.000000+00:00','2026-05-01T12:01:00.000000+00:00','2026-05-01T12:01:00.000000+00:00','error 1 with '' and % and ; and é',0);
INSERT INTO "system_turns" VALUES(1002,'duty 2 with '' and % and ; and é','2026-05-01T12:02:00.000000+00:00','2026-05-01T12:02:00.000000+00:00','2026-05-01T12:02:00.000000+00:00','error 2 with '' and % and ; and é',1);
CREATE TABLE system_upgrades (
  upgrade_id BIGINT PRIMARY KEY, -- 1, 2, 3 in the order in which they came
  version TEXT NOT NULL, -- of ST-LAZI
  number BIGINT NOT NULL, -- of the newest migration
  done_at TIMESTAMPTZ NOT NULL
);
INSERT INTO "system_upgrades" VALUES(1,'0.1.0',16,'2026-11-28T01:37:29.770662+00:00');
CREATE TABLE system_webhook_events (
  event_id INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant_id BIGINT NOT NULL,
  digest TEXT NOT NULL, -- of the body
  received_at TIMESTAMPTZ NOT NULL,
  entities TEXT NOT NULL, -- that it names, with commas between, empty where none is known
  body TEXT NOT NULL,
  UNIQUE (tenant_id, digest)
);
INSERT INTO "system_webhook_events" VALUES(1000,1000,'digest 0 with '' and % and ; and é','2026-05-01T12:00:00.000000+00:00','entities 0 with '' and % and ; and é','body 0 with '' and % and ; and é');
INSERT INTO "system_webhook_events" VALUES(1001,1001,'digest 1 with '' and % and ; and é','2026-05-01T12:01:00.000000+00:00','entities 1 with '' and % and ; and é','body 1 with '' and % and ; and é');
INSERT INTO "system_webhook_events" VALUES(1002,1002,'digest 2 with '' and % and ; and é','2026-05-01T12:02:00.000000+00:00','entities 2 with '' and % and ; and é','body 2 with '' and % and ; and é');
CREATE TABLE system_wishes (
  tenant_id BIGINT NOT NULL,
  entity TEXT NOT NULL,
  work TEXT NOT NULL,
  wished_at TIMESTAMPTZ NOT NULL,
  PRIMARY KEY (tenant_id, entity, work)
);
INSERT INTO "system_wishes" VALUES(1000,'entity 0 with '' and % and ; and é','work 0 with '' and % and ; and é','2026-05-01T12:00:00.000000+00:00');
INSERT INTO "system_wishes" VALUES(1001,'entity 1 with '' and % and ; and é','work 1 with '' and % and ; and é','2026-05-01T12:01:00.000000+00:00');
INSERT INTO "system_wishes" VALUES(1002,'entity 2 with '' and % and ; and é','work 2 with '' and % and ; and é','2026-05-01T12:02:00.000000+00:00');
CREATE INDEX sync_batches_by_entity ON system_sync_batches (tenant_id, entity, started_at);
CREATE INDEX reconciliations_by_entity ON system_reconciliations (tenant_id, entity, started_at);
CREATE INDEX mutations_ready ON outbound_mutations (run_at, mutation_id) WHERE state = 'pending';
CREATE INDEX mutations_leased ON outbound_mutations (lease_until) WHERE state = 'processing';
CREATE INDEX mutations_of_lane ON outbound_mutations (lane, state, mutation_id);
CREATE INDEX mutations_landing ON outbound_mutations (mutation_id) WHERE landing IS NOT NULL;
CREATE INDEX mutations_of_record ON outbound_mutations (tenant_id, entity, record_id, mutation_id);
CREATE INDEX mutations_by_state ON outbound_mutations (tenant_id, state, mutation_id);
CREATE UNIQUE INDEX mutations_in_flight ON outbound_mutations (lane) WHERE state = 'processing';
CREATE INDEX mutations_below ON outbound_mutations (lane_above, state, mutation_id);
CREATE INDEX sync_batches_under_way ON system_sync_batches (tenant_id, entity) WHERE finished_at IS NULL;
CREATE INDEX sync_batches_by_status ON system_sync_batches (tenant_id, entity, status, finished_at, feed);
CREATE INDEX sync_batches_finished ON system_sync_batches (tenant_id, finished_at);
CREATE INDEX reconciliations_good ON system_reconciliations (tenant_id, entity, started_at)
WHERE status IN ('completed', 'unproven');
CREATE INDEX model_runs_started ON system_model_runs (started_at);
CREATE INDEX mutations_counted ON outbound_mutations (tenant_id, state, created_at);
CREATE VIEW system_read_entities (tenant_id, entity) AS
WITH RECURSIVE place (tenant_id, entity) AS (
  SELECT MIN(tenant_id), ''
  FROM system_sync_batches
  UNION ALL
  SELECT
    CASE
      WHEN p.entity IS NULL THEN (SELECT MIN(n.tenant_id) FROM system_sync_batches AS n WHERE n.tenant_id > p.tenant_id)
      ELSE p.tenant_id
    END,
    CASE
      WHEN p.entity IS NULL THEN ''
      ELSE (SELECT MIN(n.entity) FROM system_sync_batches AS n WHERE n.tenant_id = p.tenant_id AND n.entity > p.entity)
    END
  FROM place AS p
  WHERE p.tenant_id IS NOT NULL
)
SELECT tenant_id, entity
FROM place
WHERE tenant_id IS NOT NULL AND entity <> '';
CREATE VIEW system_reconciled_entities (tenant_id, entity) AS
WITH RECURSIVE place (tenant_id, entity) AS (
  SELECT MIN(tenant_id), ''
  FROM system_reconciliations
  UNION ALL
  SELECT
    CASE
      WHEN p.entity IS NULL THEN (SELECT MIN(n.tenant_id) FROM system_reconciliations AS n WHERE n.tenant_id > p.tenant_id)
      ELSE p.tenant_id
    END,
    CASE
      WHEN p.entity IS NULL THEN ''
      ELSE (SELECT MIN(n.entity) FROM system_reconciliations AS n WHERE n.tenant_id = p.tenant_id AND n.entity > p.entity)
    END
  FROM place AS p
  WHERE p.tenant_id IS NOT NULL
)
SELECT tenant_id, entity
FROM place
WHERE tenant_id IS NOT NULL AND entity <> '';
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('outbound_mutations',1002);
INSERT INTO "sqlite_sequence" VALUES('system_errands',1002);
INSERT INTO "sqlite_sequence" VALUES('system_webhook_events',1002);
COMMIT;
PRAGMA user_version = 16;
