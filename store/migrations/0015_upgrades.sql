-- Which versions have had this store, and how far its tables were then. Who writes must know of the newest row.
CREATE TABLE system.upgrades (
  upgrade_id BIGINT PRIMARY KEY, -- 1, 2, 3 in the order in which they came
  version TEXT NOT NULL, -- of ST-LAZI
  number BIGINT NOT NULL, -- of the newest migration
  done_at TIMESTAMPTZ NOT NULL
);
