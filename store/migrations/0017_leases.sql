-- Who has which piece of work, where several processes share it.

CREATE TABLE system.leases (
  name TEXT PRIMARY KEY,
  holder BIGINT, -- the number that a living process holds an advisory lock on, NULL when nobody has it
  token BIGINT NOT NULL, -- rises whenever it is taken
  expires_at TIMESTAMPTZ NOT NULL
);
