-- name: newest_upgrade
SELECT upgrade_id, version, number
FROM system.upgrades
ORDER BY upgrade_id DESC
LIMIT 1;

-- name: note_upgrade
INSERT INTO system.upgrades (upgrade_id, version, number, done_at)
VALUES (:upgrade_id, :version, :number, :done_at);

-- name: migrations_done
SELECT COALESCE(MAX(number), 0) AS number
FROM system.migrations;

-- name: note_migration
INSERT INTO system.migrations (number, done_at)
VALUES (:number, :done_at);
