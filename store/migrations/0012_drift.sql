-- What records of an entity were seen to hold: kinds of value by path, as far as columns are made of them.
CREATE TABLE system.shapes (
  tenant_id BIGINT NOT NULL,
  entity TEXT NOT NULL,
  path TEXT NOT NULL,
  kinds TEXT NOT NULL, -- in how many records each was: integer:995,string:5
  is_constant BOOLEAN NOT NULL, -- every record that was looked at had it
  last_seen TIMESTAMPTZ NOT NULL,
  PRIMARY KEY (tenant_id, entity, path)
);

-- Where records differ from the field registry or from what they were.
CREATE TABLE system.drift (
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
