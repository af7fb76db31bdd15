-- Which host extracted last what a tenant reads by a pipeline, by a mark that stands in that host's working folder as well.
-- What waits to be loaded on another host was read before that and is read again, for its rows may be there already.

CREATE TABLE system.extractions (
  work TEXT PRIMARY KEY, -- the lease under which it was done
  mark TEXT NOT NULL
);
