"""How many of an entity's records have no value in a column: counted in one query, of a sample where there are very many."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from sqlglot import exp

from api.pages.kept import Kept
from api.query import Query, Writer, column
from api.relations import Relation, master
from store.reader import Reader

KEPT_SECONDS = 300
LARGEST = 32 * 2**20  # bytes of a table that PostgreSQL looks through whole, a few tens of milliseconds
FEW = 1000  # records of a tenant in a sample that are too few to say anything: then the tenant has not many

TABLE = """
SELECT n.nspname, t.relname, COALESCE(PG_RELATION_SIZE(t.oid), 0)
FROM pg_rewrite AS r
INNER JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::REGCLASS AND d.objid = r.oid AND d.refclassid = 'pg_class'::REGCLASS
INNER JOIN pg_class AS t ON t.oid = d.refobjid AND t.relkind = 'r'
INNER JOIN pg_namespace AS n ON n.oid = t.relnamespace
WHERE r.ev_class = TO_REGCLASS(%s)
ORDER BY 3 DESC
LIMIT 1
"""
"""The table that a view shows, and how large it is; a plan may take it away meanwhile."""


@dataclass(frozen=True, slots=True)
class Shares:
    """How many records were looked at, and by column how many of them have no value."""

    records: int = 0
    empty: Mapping[str, int] = field(default_factory=dict)
    is_sample: bool = False

    def of(self, name: str) -> float | None:
        """A column's share, from 0 to 1; None where nothing is known."""
        return self.empty[name] / self.records if self.records and name in self.empty else None


class NullShares:
    """The shares of each tenant's entities, kept for some minutes."""

    def __init__(self, reader: Reader) -> None:
        """Nothing is known yet."""
        self.reader, self.kept = reader, Kept(self.find)

    def of(self, tenant: int, entity: str) -> Shares:
        """An entity's. Raises StoreError."""
        return self.kept.of((tenant, entity), int(time.monotonic() // KEPT_SECONDS))

    def find(self, key: tuple[int, str]) -> Shares:
        """Count. Raises StoreError."""
        tenant, entity = key
        relation = master(entity)
        if sample := self.sample(relation):
            found = self.counted(relation, tenant, *sample)
            if found.records >= FEW:
                return found
        return self.counted(relation, tenant)

    def sample(self, relation: Relation) -> tuple[str, float] | None:
        """The table to look at in place of the whole relation, and how many per cent of it; None: it is no sample."""
        if self.reader.dialect != "postgres":
            return None  # DuckDB counts a million records' columns in a moment
        for schema, name, size in self.reader.fetch(TABLE, [relation.name]):
            if size > LARGEST:
                return f'"{schema}"."{name}"', round(100 * LARGEST / size, 4)
        return None

    def counted(self, relation: Relation, tenant: int, table: str = "", percent: float = 0.0) -> Shares:
        """Count in the relation, or in a part of a table. Raises StoreError."""
        made = counts(relation, table or relation.name, percent, self.reader.dialect)
        [(records, *present)] = self.reader.fetch(made.sql, [tenant])
        names = [each.name for each in relation.columns]
        return Shares(records, {n: records - p for n, p in zip(names, present, strict=True)}, is_sample=bool(table))


@lru_cache(512)
def counts(relation: Relation, table: str, percent: float, dialect: str) -> Query:
    """Counts a tenant's living records, and those with a value in each column, in so many per cent of a table's blocks."""
    writer = Writer(dialect)
    looked_at = exp.to_table(table)
    if percent:
        sample = exp.TableSample(method=exp.Var(this="SYSTEM"), percent=exp.Literal.number(percent))
        looked_at.set("sample", sample)
    present = [exp.Count(this=column(each.name)) for each in relation.columns]
    found = exp.select(exp.Count(this=exp.Star()), *present).from_(looked_at)
    found = found.where(exp.EQ(this=column("tenant_id"), expression=writer.value("tenant")), copy=False)
    return writer.written(found.where(exp.not_(column("is_deleted")), copy=False))
