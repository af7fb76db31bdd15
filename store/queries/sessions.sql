-- name: end_session
INSERT INTO system.ended_sessions (nonce, ended_at)
VALUES (:nonce, :now)
ON CONFLICT (nonce) DO NOTHING;

-- name: forget_ended_sessions
-- Those whose cookie is too old by now.
DELETE FROM system.ended_sessions
WHERE ended_at < :before;

-- name: ended_session
SELECT nonce
FROM system.ended_sessions
WHERE nonce = :nonce;
