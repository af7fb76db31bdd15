MODEL (
  name master.report_data,
  kind INCREMENTAL_BY_UNIQUE_KEY (
    unique_key (tenant_id, st_id)
  ),
  description 'The newest pages of each configured report. The newer way of asking for them begins names with a capital letter.',
  grains ((tenant_id, st_id)),
  depends_on (raw.st_report_data),
  audits (one_row_per_key),
  optimize_query false,
  columns (
    tenant_id BIGINT,
    st_id TEXT,
    report_name TEXT,
    page BIGINT,
    page_size BIGINT,
    has_more BOOLEAN,
    total_count BIGINT,
    data JSONB,
    fields JSONB,
    is_deleted BOOLEAN,
    version_at TIMESTAMPTZ,
    payload_hash TEXT,
    sync_batch_id TEXT,
    synced_at TIMESTAMPTZ,
    modeled_at TIMESTAMPTZ,
    bad_columns TEXT
  )
);

@newest(report_data, (
  SELECT
    CAST(scope AS TEXT) AS report_name,
    CAST(COALESCE(payload ->> 'page', payload ->> 'Page') AS BIGINT) AS page,
    CAST(COALESCE(payload ->> 'pageSize', payload ->> 'PageSize') AS BIGINT) AS page_size,
    CAST(COALESCE(payload ->> 'hasMore', payload ->> 'HasMore') AS BOOLEAN) AS has_more,
    CAST(COALESCE(payload ->> 'totalCount', payload ->> 'TotalCount') AS BIGINT) AS total_count,
    CAST(COALESCE(payload -> 'data', payload -> 'Data') AS JSONB) AS data,
    CAST(COALESCE(payload -> 'fields', payload -> 'Fields') AS JSONB) AS fields
))
