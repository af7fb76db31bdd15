-- One row: who asks, and what the role that is to read has at present.
SELECT
  CURRENT_USER AS owner,
  CURRENT_DATABASE() AS database,
  r.rolname AS role,
  r.rolcanlogin AS can_log_in,
  COALESCE(r.rolname = CURRENT_USER, FALSE) AS is_owner,
  HAS_DATABASE_PRIVILEGE(r.oid, CURRENT_DATABASE(), 'CONNECT') AS can_connect,
  HAS_DATABASE_PRIVILEGE(CURRENT_DATABASE(), 'CONNECT WITH GRANT OPTION') AS can_let_connect,
  ARRAY(
    SELECT n.nspname::TEXT
    FROM pg_namespace AS n
    WHERE n.nspname = ANY(%(schemas)s)
  ) AS known_schemas,
  ARRAY(
    SELECT n.nspname::TEXT
    FROM pg_namespace AS n
    WHERE n.nspname = ANY(%(secret)s) AND HAS_SCHEMA_PRIVILEGE(r.oid, n.oid, 'USAGE')
    ORDER BY n.nspname
  ) AS secret_schemas,
  ARRAY(
    SELECT FORMAT('%%I.%%I', n.nspname, c.relname)
    FROM pg_class AS c
    INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY(%(schemas)s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT PG_HAS_ROLE(c.relowner, 'USAGE')
    ORDER BY n.nspname, c.relname
  ) AS of_others,
  ARRAY(
    SELECT FORMAT('%%I.%%I', n.nspname, c.relname)
    FROM pg_class AS c
    INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY(%(schemas)s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND PG_HAS_ROLE(c.relowner, 'USAGE')
    ORDER BY n.nspname, c.relname
  ) AS ours,
  ARRAY(
    SELECT o.rolname::TEXT
    FROM pg_roles AS o
    WHERE o.rolname NOT LIKE 'pg\_%%' AND o.rolname <> CURRENT_USER AND NOT o.rolsuper
    ORDER BY o.rolname
  ) AS roles
FROM (SELECT 1 AS one) AS always
LEFT JOIN pg_roles AS r ON r.rolname = %(role)s
