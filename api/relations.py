"""What can be read: tables and views of the warehouse, with their columns as a consumer sees them.

Master tables are known from the field registry; `crm` and `audit` from their models' own text, where each column of the
last SELECT is cast, named and commented.
"""

import re
from dataclasses import dataclass
from functools import cache, lru_cache

from sources.servicetitan.catalog import BY_NAME
from sources.servicetitan.master import master_columns
from sources.servicetitan.registry import Column as MasterColumn
from sources.servicetitan.registry import load
from store.project import PROJECT

MODELS = PROJECT / "models"
COMMENTED = re.compile(r"\bAS ([A-Z ]+?(?:\(\d+, ?\d+\))?)\) AS (\w+),? /\* (.+?) \*/")

TAKEN = re.compile(r"^\s+CAST\((.+) AS [A-Z ]+(?:\(\d+, ?\d+\))?\) AS \"?(\w+)\"?,?$", re.MULTILINE)

OURS = {
    "tenant_id": "The ServiceTitan tenant",
    "st_id": "The record's key in ServiceTitan",
    "is_deleted": "Whether ServiceTitan no longer has the record",
    "version_at": "When ServiceTitan says this version was made",
    "payload_hash": "The content hash of this version",
    "sync_batch_id": "The sync or mutation that landed this version",
    "synced_at": "When this version landed in the copy",
    "modeled_at": "When this row was last written in the copy",
    "bad_columns": "Columns whose value does not fit their type, separated by commas; each is null here",
    "parent_st_id": "The key of the record that this one belongs to",
    "window_start": "The first moment of the slice of dates that the record was read for",
    "report_name": "The configured report that the row was read for",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, its SQL type in PostgreSQL's words, what it holds, and how it is taken from a raw row."""

    name: str
    type: str
    description: str = ""
    source: str = ""  # SQL in PostgreSQL's dialect; empty where it is no part of the record

    @property
    def is_number(self) -> bool:
        """Whether its values are whole numbers."""
        return self.type == "BIGINT"

    @property
    def is_scalar(self) -> bool:
        """Whether rows can be sorted by it."""
        return self.type != "JSONB"


@dataclass(frozen=True, slots=True, eq=False)
class Relation:
    """A table or view with a column `tenant_id`. `key` tells a tenant's rows apart."""

    name: str  # with its schema
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    raw_table: str = ""  # where the versions of its records stand; empty for views

    @property
    def identity(self) -> Column:
        """The column by which one row is asked for."""
        return self.column(self.key[0])

    def column(self, name: str) -> Column:
        """A column by name; KeyError when there is none."""
        return by_name(self)[name]

    def has(self, name: str) -> bool:
        """Whether it has a column of this name."""
        return name in by_name(self)


@cache
def by_name(relation: Relation) -> dict[str, Column]:
    """A relation's columns by name."""
    return {column.name: column for column in relation.columns}


@lru_cache(4096)
def picked(relation: Relation, names: tuple[str, ...]) -> list[Column]:
    """Some of a relation's columns."""
    return [relation.column(name) for name in names]


def described(column: MasterColumn) -> str:
    """What a column of a master table holds."""
    return OURS.get(column.name) or f"ServiceTitan's `{'.'.join(column.path)}`"


@cache
def master(entity: str) -> Relation:
    """An entity's master table."""
    row = BY_NAME[entity]
    text = (MODELS / "master" / f"{entity}.sql").read_text(encoding="utf-8")
    sources = {name: source for source, name in TAKEN.findall(text)}
    columns = tuple(
        Column(column.name, column.type, described(column), sources.get(column.name, ""))
        for column in master_columns(row, load()[entity])
    )
    return Relation(f"master.{entity}", columns, ("st_id",), row.raw_table)


@cache
def model(name: str, *key: str) -> Relation:
    """A model that was written by hand, by its name with the schema, `crm.contacts`, and the columns that tell rows apart."""
    schema, _, table = name.partition(".")
    text = (MODELS / schema / f"{table}.sql").read_text(encoding="utf-8")
    columns = tuple(
        Column(column, kind.replace(" ", "") if "(" in kind else kind, description)
        for kind, column, description in COMMENTED.findall(text)
    )
    return Relation(name, columns, key)


@cache
def versions(entity: str) -> Relation:
    """An entity's raw table: every version of each record that landed."""
    row = BY_NAME[entity]
    columns = (
        Column("tenant_id", "BIGINT", OURS["tenant_id"]),
        Column("st_id", str(row.key_type).upper(), OURS["st_id"]),
        Column("payload_hash", "TEXT", OURS["payload_hash"]),
        Column("modified_on", "TIMESTAMPTZ", OURS["version_at"]),
        Column("synced_at", "TIMESTAMPTZ", OURS["synced_at"]),
        Column("is_deleted", "BOOLEAN", OURS["is_deleted"]),
        Column("sync_batch_id", "TEXT", OURS["sync_batch_id"]),
        Column("payload", "JSONB", "The record as ServiceTitan sent it"),
    )
    return Relation(f"raw.{row.raw_table}", columns, ("synced_at", "payload_hash"))
