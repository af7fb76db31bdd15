MODEL (
  name audit.log,
  kind INCREMENTAL_BY_UNIQUE_KEY (
    unique_key (entity, tenant_id, record_id, synced_at, payload_hash)
  ),
  description 'What changed in ServiceTitan: each landed version of each record of every entity, compared with the version before it. Derived from raw, so it can be rebuilt at any time; a version that lands late corrects what its successor says.',
  grains ((entity, tenant_id, record_id, synced_at, payload_hash)),
  tags (any_entity),
  depends_on (),
  audits (
    not_null(columns := (entity, tenant_id, record_id, operation, actor_type, synced_at, payload_hash)),
    accepted_values(column := operation, is_in := ('insert', 'update', 'delete', 'restore'))
  ),
  optimize_query false,
  columns (
    entity TEXT,
    tenant_id BIGINT,
    record_id TEXT,
    operation TEXT,
    changed_fields JSONB,
    changes JSONB,
    actor_type TEXT,
    actor_id TEXT,
    mutation_id TEXT,
    version_at TIMESTAMPTZ,
    synced_at TIMESTAMPTZ,
    payload_hash TEXT,
    previous_hash TEXT,
    is_deleted BOOLEAN,
    sync_batch_id TEXT,
    modeled_at TIMESTAMPTZ
  )
);

WITH versions AS (
  @landed_versions()
), compared AS (
  SELECT
    v.entity,
    v.tenant_id,
    v.record_id,
    v.payload,
    v.modified_on,
    v.payload_hash,
    v.previous_hash,
    v.is_deleted,
    v.was_deleted,
    v.sync_batch_id,
    v.synced_at,
    CASE WHEN NOT v.previous_hash IS NULL THEN raw.changed_fields(v.previous_payload, v.payload) END AS changes
  FROM versions AS v
  WHERE
    v.previous_hash IS NULL OR v.previous_hash <> v.payload_hash OR v.previous_synced_at <> v.synced_at
  OFFSET 0
)
SELECT
  CAST(c.entity AS TEXT) AS entity, /* ServiceTitan's word for the kind of record, in snake_case: `jobs` */
  CAST(c.tenant_id AS BIGINT) AS tenant_id, /* The ServiceTitan tenant */
  CAST(c.record_id AS TEXT) AS record_id, /* The record's key, `st_id` of its raw and master tables, as text */
  CAST(CASE
    WHEN c.previous_hash IS NULL THEN 'insert'
    WHEN c.is_deleted AND NOT c.was_deleted THEN 'delete'
    WHEN c.was_deleted AND NOT c.is_deleted THEN 'restore'
    ELSE 'update'
  END AS TEXT) AS operation, /* insert (the first version that landed), update, delete or restore */
  CAST(raw.field_names(c.changes) AS JSONB) AS changed_fields, /* Names of the top-level fields that differ, sorted; NULL for an insert */
  CAST(c.changes AS JSONB) AS changes, /* By field name `{"old": ..., "new": ...}`; NULL for an insert */
  CAST(CASE WHEN STARTS_WITH(c.sync_batch_id, 'mutation:') THEN 'lazi' ELSE 'servicetitan' END AS TEXT) AS actor_type, /* `lazi` when the version came of a mutation pushed from here, else `servicetitan` */
  CAST(CASE
    WHEN SPLIT_PART(c.sync_batch_id, ':', 3) <> '' AND STARTS_WITH(c.sync_batch_id, 'mutation:')
    THEN SUBSTRING(c.sync_batch_id, LENGTH(SPLIT_PART(c.sync_batch_id, ':', 2)) + 11)
    WHEN c.previous_hash IS NULL
    THEN COALESCE((c.payload ->> 'createdById'), (c.payload ->> 'createdBy'))
    ELSE COALESCE((c.payload ->> 'modifiedById'), (c.payload ->> 'modifiedBy'))
  END AS TEXT) AS actor_id, /* Who initiated the mutation that made this version; else the ServiceTitan user that the record names as its creator or last editor, NULL where it names none */
  CAST(CASE WHEN STARTS_WITH(c.sync_batch_id, 'mutation:') THEN SPLIT_PART(c.sync_batch_id, ':', 2) END AS TEXT) AS mutation_id, /* The mutation that made this version, if one did */
  CAST(c.modified_on AS TIMESTAMPTZ) AS version_at, /* When ServiceTitan says the record was modified */
  CAST(c.synced_at AS TIMESTAMPTZ) AS synced_at, /* When the version landed here */
  CAST(c.payload_hash AS TEXT) AS payload_hash, /* The version's content hash, as in raw */
  CAST(c.previous_hash AS TEXT) AS previous_hash, /* The content hash of the version it is compared with */
  CAST(c.is_deleted AS BOOLEAN) AS is_deleted, /* Whether the record is deleted as of this version */
  CAST(c.sync_batch_id AS TEXT) AS sync_batch_id, /* The sync or mutation that landed it */
  CAST(CURRENT_TIMESTAMP AS TIMESTAMPTZ) AS modeled_at /* When this row was written */
FROM compared AS c;

@index(tenant_id, entity, record_id, synced_at);

@index(synced_at)
