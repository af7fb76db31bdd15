"""What landed records hold, asked of the warehouse: kinds of value by path, as deep as columns are made of them.

One query a level and batch. A record is taken apart where it stands; nothing of it comes here but names, kinds, counts,
and the values of fields that have a list of known ones.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sources.servicetitan.reading import Outcome
from sources.servicetitan.registry import can_be_column
from store.warehouse import DuckDB, Postgres

KINDS = {
    "VARCHAR": "string",
    "BIGINT": "integer",
    "UBIGINT": "integer",
    "HUGEINT": "integer",
    "UHUGEINT": "integer",
    "DOUBLE": "number",
    "DECIMAL": "number",
    "BOOLEAN": "boolean",
    "OBJECT": "object",
    "ARRAY": "array",
    "NULL": "null",
}
"""The registry's words for DuckDB's; PostgreSQL uses them itself."""
MOST_VALUES = 200  # of a field with known ones; who has more has no list
CLOCKS = timedelta(minutes=10)  # by which a clock may have been set back while a batch was read

OF_BATCH = {
    "duckdb": "FROM raw.{table} WHERE sync_batch_id = ? AND synced_at >= ? AND NOT is_deleted",
    "postgres": "FROM raw.{table} WHERE sync_batch_id = %s AND synced_at >= %s AND NOT is_deleted",
}
"""A batch's records. Its first moment says no more than its name does, but has an index, or leaves whole pages out."""
EACH = {
    "duckdb": """
SELECT ? || j.key AS path, j.type, CASE WHEN j.key IN (SELECT UNNEST(?)) THEN j.value ->> '$' END, COUNT(*)
FROM (SELECT JSON_EXTRACT(payload, ?) AS value {batch}) AS o,
  JSON_EACH(CASE WHEN JSON_TYPE(o.value) = 'OBJECT' THEN o.value END) AS j
GROUP BY ALL""",
    "postgres": """
SELECT o.prefix || j.key, CASE
    WHEN JSONB_TYPEOF(j.value) <> 'number' THEN JSONB_TYPEOF(j.value)
    WHEN MOD(CAST(j.value #>> '{{}}' AS NUMERIC), 1) = 0 THEN 'integer'
    ELSE 'number'
  END, CASE WHEN o.prefix || j.key = ANY(%s) THEN j.value #>> '{{}}' END, COUNT(*)
FROM (
  SELECT p.prefix, r.payload #> STRING_TO_ARRAY(p.place, '.') AS value
  FROM (SELECT payload {batch}) AS r CROSS JOIN UNNEST(%s, %s) AS p (prefix, place)
) AS o
CROSS JOIN LATERAL JSONB_EACH(CASE WHEN JSONB_TYPEOF(o.value) = 'object' THEN o.value END) AS j
GROUP BY 1, 2, 3""",
}
"""What stands in some objects of each record; on DuckDB in one. An object's place is taken out first: to take every part of a
record apart, only to find the objects among them, costs four times as much, and to UNNEST several places six times."""


@dataclass(slots=True)
class Shape:
    """What a batch's records hold: by path the records with each kind of value, and by path the values seen."""

    records: int = 0
    kinds: dict[str, dict[str, int]] = field(default_factory=dict)
    values: dict[str, set[str]] = field(default_factory=dict)

    def has_object(self, path: str) -> bool:
        """Whether some record has an object there; `` is the record itself."""
        return not path or "object" in self.kinds.get(path, {})

    def is_constant(self, path: str) -> bool:
        """Whether every record has it."""
        return sum(self.kinds.get(path, {}).values()) == self.records

    def see(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Count what the warehouse says: path, kind, value or nothing, and number of records."""
        for path, kind, value, times in rows:
            word, kinds = KINDS.get(kind, kind), self.kinds.setdefault(path, {})
            kinds[word] = kinds.get(word, 0) + times
            if value is not None:
                self.values.setdefault(path, set()).add(value)


def shape(warehouse: DuckDB | Postgres, outcome: Outcome, known: Iterable[str]) -> Shape:
    """The shape of the records that a reading appended; `known` are paths whose values are wanted."""
    wanted, found = list(known), Shape()
    batch, values = batch_of(outcome, warehouse.dialect)
    found.records = int(warehouse.fetch(f"SELECT COUNT(*) {batch}", values)[0][0])
    if found.records:
        found.see(each(warehouse, outcome, wanted, [""]))
    if objects := [name for name in found.kinds if found.has_object(name) and can_be_column(name)]:
        found.see(each(warehouse, outcome, wanted, objects))
    found.values = {path: some for path, some in found.values.items() if len(some) <= MOST_VALUES}
    return found


def batch_of(outcome: Outcome, dialect: str) -> tuple[str, tuple[str, datetime]]:
    """Where the records stand that a reading appended, and the values of that."""
    which = (outcome.sync_batch_id, outcome.started_at - CLOCKS)
    return OF_BATCH[dialect].format(table=outcome.entity.raw_table), which


def each(
    warehouse: DuckDB | Postgres, outcome: Outcome, wanted: list[str], objects: list[str]
) -> list[tuple[Any, ...]]:
    """Path, kind, value where it is wanted, and number of what stands in these objects; `` is the record itself."""
    batch, which = batch_of(outcome, warehouse.dialect)
    query, prefixes = EACH[warehouse.dialect].format(batch=batch), [f"{name}." if name else "" for name in objects]
    if warehouse.dialect == "postgres":
        return warehouse.fetch(query, (wanted, *which, prefixes, objects))
    found: list[tuple[Any, ...]] = []
    for name, prefix in zip(objects, prefixes, strict=True):
        below = [path.removeprefix(prefix) for path in wanted if path.startswith(prefix)]
        found += warehouse.fetch(query, (prefix, below, f'$."{name}"' if name else "$", *which))
    return found
