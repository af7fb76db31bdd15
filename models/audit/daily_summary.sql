MODEL (
  name audit.daily_summary,
  kind VIEW,
  cron '@yearly',
  interval_unit year,
  allow_partials false,
  description 'How much changed each day, by entity, operation and actor. A day is a UTC day and counts what landed on it, so a first sync is one large day of inserts.',
  grains ((day, tenant_id, entity, operation, actor_type)),
  audits (
    not_null(columns := (day, tenant_id, entity, operation, actor_type)),
    unique_combination_of_columns(columns := (day, tenant_id, entity, operation, actor_type))
  )
);

SELECT
  CAST((l.synced_at AT TIME ZONE 'UTC') AS DATE) AS day, /* The UTC day on which the versions landed */
  CAST(l.tenant_id AS BIGINT) AS tenant_id, /* The ServiceTitan tenant */
  CAST(l.entity AS TEXT) AS entity, /* ServiceTitan's word for the kind of record */
  CAST(l.operation AS TEXT) AS operation, /* insert, update, delete or restore */
  CAST(l.actor_type AS TEXT) AS actor_type, /* lazi or servicetitan */
  CAST(COUNT(*) AS BIGINT) AS changes, /* Versions that landed */
  CAST(COUNT(DISTINCT l.record_id) AS BIGINT) AS records /* Different records among them */
FROM audit.log AS l
GROUP BY
  CAST((l.synced_at AT TIME ZONE 'UTC') AS DATE),
  l.tenant_id,
  l.entity,
  l.operation,
  l.actor_type
