-- What is served from PostgreSQL of a warehouse that stands elsewhere, and how far each table of it is.

CREATE TABLE system.publications (
  name TEXT NOT NULL, -- as consumers know it: crm.customer_360. Empty: the publication as a whole, where it failed
  place TEXT NOT NULL, -- the table that holds its rows, empty for a view
  is_shown BOOLEAN NOT NULL, -- whether the name leads there
  definition TEXT NOT NULL, -- columns, key and indexes of a table as JSON, or a view's query
  mark TEXT NOT NULL, -- of the models' text that it is of
  lake TEXT NOT NULL, -- the identity of the warehouse that its rows come from
  source TEXT NOT NULL, -- the table there
  snapshot BIGINT NOT NULL, -- of that warehouse, up to which changes are there
  watermark TIMESTAMPTZ, -- the greatest modeled_at among its rows
  row_count BIGINT NOT NULL,
  changed BIGINT NOT NULL, -- rows that the last publication wrote or deleted
  modeled_until TIMESTAMPTZ, -- when the newest run of the models began that it shows
  published_at TIMESTAMPTZ NOT NULL,
  refusal TEXT, -- why it cannot be shown or brought up to date
  PRIMARY KEY (name, place)
);

-- Views that stood under names which publications have taken over, to be put back when they are given up.
CREATE TABLE system.former_views (
  name TEXT PRIMARY KEY,
  definition TEXT NOT NULL
);
