-- One row: what the database is, and the statements that would give the role the rights that it lacks.
WITH own AS (
  SELECT s.name, n.oid
  FROM UNNEST(%(schemas)s) AS s(name)
  INNER JOIN pg_namespace AS n ON n.nspname = s.name
),
relations AS (
  SELECT o.name, c.relname
  FROM own AS o
  INNER JOIN pg_class AS c ON c.relnamespace = o.oid
  WHERE
    c.relkind IN ('r', 'p', 'v', 'm')
    AND o.name NOT IN ('master', 'crm', 'audit') -- there somebody may have views of their own
    AND NOT PG_HAS_ROLE(c.relowner, 'USAGE')
)
SELECT
  CURRENT_SETTING('server_version_num')::INT / 10000 AS version,
  PG_ENCODING_TO_CHAR(d.encoding) AS encoding,
  PG_IS_IN_RECOVERY() AS is_standby,
  CURRENT_SETTING('standard_conforming_strings') = 'on' AS has_plain_strings,
  FORMAT('`%%s`', CURRENT_USER) AS role,
  QUOTE_IDENT(CURRENT_USER) AS role_quoted,
  FORMAT('`%%s`', d.datname) AS database,
  FORMAT('`%%s`', PG_GET_USERBYID(d.datdba)) AS owner,
  ARRAY(
    SELECT FORMAT('GRANT CREATE ON DATABASE %%I TO %%I', d.datname, CURRENT_USER)
    WHERE NOT HAS_DATABASE_PRIVILEGE(d.oid, 'CREATE')
  ) AS on_database,
  ARRAY(
    SELECT FORMAT('GRANT USAGE, CREATE ON SCHEMA %%I TO %%I', o.name, CURRENT_USER)
    FROM own AS o
    WHERE NOT (HAS_SCHEMA_PRIVILEGE(o.oid, 'USAGE') AND HAS_SCHEMA_PRIVILEGE(o.oid, 'CREATE'))
    ORDER BY o.name
  ) AS on_schemas,
  ARRAY(
    SELECT FORMAT('ALTER TABLE %%I.%%I OWNER TO %%I', r.name, r.relname, CURRENT_USER) -- views too
    FROM relations AS r
    ORDER BY r.name, r.relname
  ) AS on_relations
FROM pg_database AS d
WHERE d.datname = CURRENT_DATABASE()
