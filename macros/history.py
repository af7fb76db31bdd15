"""`@landed_versions()`: each version of each record beside the one before it, for `audit.log`.

The raw tables are found in the warehouse, so that an entity needs no line here. A first build reads every version.
Afterwards, of the entities that may have new rows, a record is read when one of its versions landed since a day before
the log's newest entry and is not in the log; then all its versions are read again, because a late one changes what its
successor is compared with.
"""

from typing import Any

from sqlglot import exp, parse_one
from sqlmesh import macro

from macros.functions import make_functions
from macros.newest import watermark

TESTED = ("jobs",)  # entities whose versions a unit test gives

ENTITIES = """
SELECT table_name FROM information_schema.tables
WHERE table_schema = 'raw' AND STARTS_WITH(table_name, 'st_') ORDER BY table_name
"""

LANDED = """
SELECT '{entity}' AS entity
WHERE EXISTS (SELECT 1 FROM raw.st_{entity} AS r WHERE r.synced_at >= CAST('{mark}' AS TIMESTAMPTZ) - INTERVAL '1 DAY')
"""

# DuckDB takes a window's name once a statement, wherever in it
VERSIONS = """
SELECT
  '{entity}' AS entity, r.tenant_id, CAST(r.st_id AS TEXT) AS record_id,
  r.payload, r.modified_on, r.payload_hash, r.is_deleted, r.sync_batch_id, r.synced_at,
  LAG(r.payload) OVER {entity}_in_order AS previous_payload,
  LAG(r.payload_hash) OVER {entity}_in_order AS previous_hash,
  LAG(r.is_deleted) OVER {entity}_in_order AS was_deleted,
  LAG(r.synced_at) OVER {entity}_in_order AS previous_synced_at
FROM raw.st_{entity} AS r
{scope}
WINDOW {entity}_in_order AS (
  PARTITION BY r.tenant_id, r.st_id ORDER BY r.modified_on NULLS FIRST, r.synced_at, r.payload_hash
)
"""

UNLOGGED = """
INNER JOIN (
  SELECT DISTINCT n.tenant_id, n.st_id
  FROM raw.st_{entity} AS n
  LEFT JOIN {log} AS l
    ON l.entity = '{entity}'
    AND l.tenant_id = n.tenant_id
    AND l.record_id = CAST(n.st_id AS TEXT)
    AND l.synced_at = n.synced_at
    AND l.payload_hash = n.payload_hash
    AND l.synced_at >= CAST('{mark}' AS TIMESTAMPTZ) - INTERVAL '1 DAY'
  WHERE n.synced_at >= CAST('{mark}' AS TIMESTAMPTZ) - INTERVAL '1 DAY' AND l.entity IS NULL
) AS t ON t.tenant_id = r.tenant_id AND t.st_id = r.st_id
"""

NOTHING = """
SELECT
  CAST(NULL AS TEXT) AS entity, CAST(NULL AS BIGINT) AS tenant_id, CAST(NULL AS TEXT) AS record_id,
  CAST(NULL AS JSONB) AS payload, CAST(NULL AS TIMESTAMPTZ) AS modified_on, CAST(NULL AS TEXT) AS payload_hash,
  CAST(NULL AS BOOLEAN) AS is_deleted, CAST(NULL AS TEXT) AS sync_batch_id, CAST(NULL AS TIMESTAMPTZ) AS synced_at,
  CAST(NULL AS JSONB) AS previous_payload, CAST(NULL AS TEXT) AS previous_hash, CAST(NULL AS BOOLEAN) AS was_deleted,
  CAST(NULL AS TIMESTAMPTZ) AS previous_synced_at
WHERE FALSE
"""


@macro()
def landed_versions(evaluator: Any) -> exp.Expression:
    """The versions that the log is due, of all entities; none while no engine is asked, and of one in a unit test."""
    adapter = evaluator.locals.get("engine_adapter")
    if evaluator.runtime_stage == "testing":
        make_functions(adapter)
        return union([parse_one(versions_of(name, "", ""), read="postgres") for name in TESTED])
    if adapter is None or evaluator.runtime_stage not in {"creating", "evaluating"}:
        return parse_one(NOTHING, read="postgres")
    log, mark = watermark(evaluator, "synced_at")
    entities = [name.removeprefix("st_") for (name,) in adapter.fetchall(ENTITIES)]
    landed = evaluator.locals.get("landed")  # which entities may have new rows, where who runs the models knows
    if mark and landed is not None:
        entities = [name for name in entities if name in landed]
    if mark and entities:
        probes = union([parse_one(LANDED.format(entity=name, mark=mark), read="postgres") for name in entities])
        entities = [name for (name,) in adapter.fetchall(probes)]
    return union([parse_one(versions_of(name, log, mark), read="postgres") for name in entities])


def versions_of(entity: str, log: str, mark: str) -> str:
    """The query for one entity's versions: of all its records, or with a mark of those that the log lacks."""
    scope = UNLOGGED.format(entity=entity, log=log, mark=mark) if mark else ""
    return VERSIONS.format(entity=entity, scope=scope)


def union(queries: list[exp.Expression]) -> exp.Expression:
    """All rows of all queries; none of no query. Halved again and again, because a chain of unions nests too deeply."""
    if not queries:
        return parse_one(NOTHING, read="postgres")
    if len(queries) == 1:
        return queries[0]
    half = len(queries) // 2
    return exp.Union(this=union(queries[:half]), expression=union(queries[half:]), distinct=False)
