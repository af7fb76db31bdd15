/* A master table holds one row for each key, and every row has one. */
AUDIT (
  name one_row_per_key
);

SELECT
  tenant_id,
  st_id
FROM @this_model
GROUP BY
  tenant_id,
  st_id
HAVING
  COUNT(*) > 1
  OR tenant_id IS NULL
  OR st_id IS NULL
