MODEL (
  name audit.columns,
  kind SEED (
    path 'columns.generated.csv'
  ),
  description 'Where each typed master column finds its value in the payload. Columns of text and JSON take anything and are left out. The file is written by `lazi discover openapi`.',
  grains ((entity, column_name)),
  columns (
    entity TEXT,
    column_name TEXT,
    json_path TEXT,
    sql_type TEXT
  ),
  column_descriptions (
    entity = 'ServiceTitan''s word for the kind of record, in snake_case',
    column_name = 'The master column',
    json_path = 'Where its value stands in the payload, with dots between objects',
    sql_type = 'The type that the value is given'
  ),
  audits (
    not_null(columns := (entity, column_name, json_path, sql_type)),
    unique_combination_of_columns(columns := (entity, column_name))
  )
)
