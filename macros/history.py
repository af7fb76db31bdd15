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
  LAG(r.synced_at) OVER {entity}_in_order AS previous_synced_at,
  LAG(r.modified_on) OVER {entity}_in_order AS previous_modified_on
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

UNTOLD = """
SELECT v.* FROM ({versions}) AS v
WHERE NOT EXISTS (
  SELECT 1 FROM {log} AS l
  WHERE {same_record} AND l.synced_at = v.synced_at AND l.payload_hash = v.payload_hash
) OR (
  v.previous_hash IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM {log} AS l
    WHERE {same_record}
      AND (COALESCE(l.version_at, {dawn}), l.synced_at, l.payload_hash)
        >= (COALESCE(v.previous_modified_on, {dawn}), v.previous_synced_at, v.previous_hash)
      AND (COALESCE(l.version_at, {dawn}), l.synced_at, l.payload_hash)
        < (COALESCE(v.modified_on, {dawn}), v.synced_at, v.payload_hash)
  )
)
"""
"""Of a pruned entity: the versions that the log lacks, and those right behind one that it lacks. The log knows what stood
between the versions that are left: what it says of them was compared with versions that are gone, and stays.
"""
SAME_RECORD = "l.entity = '{entity}' AND l.tenant_id = v.tenant_id AND l.record_id = v.record_id"
DAWN = "CAST('0001-01-01' AS TIMESTAMPTZ)"  # where a version stands that was never modified

PRUNED = "SELECT 1 FROM information_schema.tables WHERE table_schema = 'raw' AND table_name = '_lazi_pruned'"

NOTHING = """
SELECT
  CAST(NULL AS TEXT) AS entity, CAST(NULL AS BIGINT) AS tenant_id, CAST(NULL AS TEXT) AS record_id,
  CAST(NULL AS JSONB) AS payload, CAST(NULL AS TIMESTAMPTZ) AS modified_on, CAST(NULL AS TEXT) AS payload_hash,
  CAST(NULL AS BOOLEAN) AS is_deleted, CAST(NULL AS TEXT) AS sync_batch_id, CAST(NULL AS TIMESTAMPTZ) AS synced_at,
  CAST(NULL AS JSONB) AS previous_payload, CAST(NULL AS TEXT) AS previous_hash, CAST(NULL AS BOOLEAN) AS was_deleted,
  CAST(NULL AS TIMESTAMPTZ) AS previous_synced_at, CAST(NULL AS TIMESTAMPTZ) AS previous_modified_on
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
    gone = pruned(adapter) if mark and entities else set()
    queries = [versions_of(name, log, mark, is_pruned=name in gone) for name in entities]
    return union([parse_one(query, read="postgres") for query in queries])


def pruned(adapter: Any) -> set[str]:
    """The entities of which versions were taken away."""
    if not adapter.fetchall(PRUNED):
        return set()
    return {name for (name,) in adapter.fetchall("SELECT entity FROM raw._lazi_pruned")}


def versions_of(entity: str, log: str, mark: str, *, is_pruned: bool = False) -> str:
    """The query for one entity's versions: of all its records, or with a mark of those that the log lacks."""
    scope = UNLOGGED.format(entity=entity, log=log, mark=mark) if mark else ""
    found = VERSIONS.format(entity=entity, scope=scope)
    if not is_pruned:
        return found
    return UNTOLD.format(versions=found, same_record=SAME_RECORD.format(entity=entity), dawn=DAWN, log=log)


def union(queries: list[exp.Expression]) -> exp.Expression:
    """All rows of all queries; none of no query. Halved again and again, because a chain of unions nests too deeply."""
    if not queries:
        return parse_one(NOTHING, read="postgres")
    if len(queries) == 1:
        return queries[0]
    half = len(queries) // 2
    return exp.Union(this=union(queries[:half]), expression=union(queries[half:]), distinct=False)
