-- name: wish
-- A repetition is a wish of its own: what it tells of may have happened behind the read that grants the first one.
INSERT INTO system.wishes (tenant_id, entity, work, wished_at)
VALUES (:tenant_id, :entity, :work, :wished_at)
ON CONFLICT (tenant_id, entity, work) DO UPDATE
SET wished_at = :wished_at;

-- name: wishes
SELECT entity, work, wished_at
FROM system.wishes
WHERE tenant_id = :tenant_id
ORDER BY wished_at, entity, work;

-- name: wishes_of_entity
SELECT work, wished_at
FROM system.wishes
WHERE tenant_id = :tenant_id AND entity = :entity
ORDER BY wished_at, work;

-- name: forget_wish
-- It was granted, unless it was repeated meanwhile.
DELETE FROM system.wishes
WHERE tenant_id = :tenant_id AND entity = :entity AND work = :work AND wished_at = :wished_at;
