-- name: store_answers
-- Whether the store answers at all.
SELECT 1 AS answers
