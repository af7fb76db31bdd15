-- name: publications
-- With when the first run of the models ended that each does not show yet.
SELECT
  p.name,
  p.place,
  p.is_shown,
  p.definition,
  p.mark,
  p.lake,
  p.source,
  p.snapshot,
  p.watermark,
  p.row_count,
  p.changed,
  p.modeled_until,
  p.published_at,
  p.refusal,
  (
    SELECT MIN(r.finished_at)
    FROM system.model_runs AS r
    WHERE r.status = 'completed' AND (p.modeled_until IS NULL OR r.started_at > p.modeled_until)
  ) AS behind_since
FROM system.publications AS p
ORDER BY p.name, p.place;

-- name: shown_publications
SELECT name
FROM system.publications
WHERE is_shown;

-- name: note_publication
INSERT INTO system.publications AS p (
  name, place, is_shown, definition, mark, lake, source, snapshot, watermark, row_count, changed, modeled_until, published_at
)
VALUES (
  :name, :place, FALSE, :definition, :mark, :lake, :source, :snapshot, :watermark, :row_count, :changed, :modeled_until, :now
)
ON CONFLICT (name, place) DO UPDATE
SET
  definition = EXCLUDED.definition,
  mark = EXCLUDED.mark,
  lake = EXCLUDED.lake,
  source = EXCLUDED.source,
  snapshot = EXCLUDED.snapshot,
  watermark = EXCLUDED.watermark,
  row_count = EXCLUDED.row_count,
  changed = EXCLUDED.changed,
  modeled_until = EXCLUDED.modeled_until,
  published_at = EXCLUDED.published_at;

-- name: show_publication
UPDATE system.publications
SET is_shown = TRUE, refusal = NULL
WHERE name = :name AND place = :place;

-- name: hide_publication
UPDATE system.publications
SET is_shown = FALSE
WHERE name = :name AND place = :place;

-- name: refuse_publication
INSERT INTO system.publications AS p (
  name, place, is_shown, definition, mark, lake, source, snapshot, row_count, changed, published_at, refusal
)
VALUES (:name, :place, FALSE, '', '', '', '', 0, 0, 0, :now, :refusal)
ON CONFLICT (name, place) DO UPDATE
SET is_shown = FALSE, refusal = EXCLUDED.refusal;

-- name: forget_publication
DELETE FROM system.publications
WHERE name = :name AND place = :place;

-- name: former_views
SELECT name, definition
FROM system.former_views
ORDER BY name;

-- name: keep_former_view
INSERT INTO system.former_views AS f (name, definition)
VALUES (:name, :definition)
ON CONFLICT (name) DO UPDATE
SET definition = EXCLUDED.definition;

-- name: forget_former_view
DELETE FROM system.former_views
WHERE name = :name;
