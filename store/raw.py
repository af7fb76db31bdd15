"""Raw tables as both engines keep them: the envelope, what is asked of them, and the queries that both share.

It knows nothing of ServiceTitan's entities beyond a table's name and its key's type.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa

Key = int | str


@dataclass(frozen=True, slots=True)
class RawTable:
    """A raw table by its bare name in the schema `raw`, and the type of `st_id` in it: `bigint` or `text`."""

    name: str
    key_type: str
    is_scoped: bool = False  # whether its records are looked up by what they were read for


@dataclass(frozen=True, slots=True)
class Landed:
    """A record by its newest version, as far as reading on from it needs."""

    key: Key
    scope: str | None
    payload: str
    modified_on: datetime | None
    synced_at: datetime

    @property
    def place(self) -> str:
        """Where it stands in the order of landing, as text that `versions_behind` takes."""
        return f"{self.synced_at.astimezone(UTC).isoformat(timespec='microseconds')} {self.key}"


class Version(NamedTuple):
    """The version of a key that landed last, and how it stands among the key's other versions."""

    payload_hash: str
    is_deleted: bool
    height: datetime | None  # the latest `modified_on` of all the key's versions
    is_overtaken: bool  # an earlier one has a later `modified_on`, so that master shows that one


class Copy(NamedTuple):
    """The version of a key that master shows: the latest by `modified_on`, then by landing."""

    key: Key
    payload: str
    payload_hash: str
    modified_on: datetime | None
    scope: str | None


ENVELOPE: tuple[tuple[str, str, bool], ...] = (
    ("tenant_id", "BIGINT", True),
    ("st_id", "", True),  # the table's key type
    ("payload", "JSONB", True),
    ("modified_on", "TIMESTAMPTZ", False),
    ("payload_hash", "TEXT", True),
    ("is_deleted", "BOOLEAN", True),
    ("key_bucket", "SMALLINT", True),
    ("sync_batch_id", "TEXT", True),
    ("synced_at", "TIMESTAMPTZ", True),
    ("_dlt_load_id", "TEXT", True),
    ("scope", "TEXT", False),  # what the record was read for: its parent's key, or its window's first moment
)
"""Columns of every raw table: name, type in PostgreSQL's words, whether a value is demanded."""


def create_table(table: RawTable, json_type: str) -> str:
    """The statement that creates a raw table."""
    types = {"": table.key_type.upper(), "JSONB": json_type}
    lines = [f'"{name}" {types.get(kind, kind)}{" NOT NULL" if demanded else ""}' for name, kind, demanded in ENVELOPE]
    return f"CREATE TABLE IF NOT EXISTS raw.{table.name} ({', '.join(lines)})"


def behind(table: RawTable, payload: str, mark: str) -> str:
    """The query for `versions_behind`; `mark` stands for a value."""
    return (
        f"SELECT r.st_id, r.scope, {payload}, r.modified_on, r.synced_at FROM raw.{table.name} AS r "
        f"WHERE r.tenant_id = {mark} AND NOT r.is_deleted "
        f"AND (r.synced_at > CAST({mark} AS TIMESTAMPTZ) "
        f"OR (r.synced_at = CAST({mark} AS TIMESTAMPTZ) AND CAST(r.st_id AS TEXT) > {mark})) "
        f"AND r.synced_at < CAST({mark} AS TIMESTAMPTZ) "
        f"AND NOT EXISTS (SELECT 1 FROM raw.{table.name} AS n WHERE n.tenant_id = r.tenant_id AND n.st_id = r.st_id "
        f"AND n.synced_at > r.synced_at) ORDER BY r.synced_at, CAST(r.st_id AS TEXT) LIMIT {mark}"
    )


def placed(query: str, tenant_id: int, place: str, limit: int, until: datetime | None) -> tuple[str, tuple[Any, ...]]:
    """A query of `behind` with its values."""
    moment, _, key = (place or f"{BEGINNING} ").partition(" ")
    return query, (tenant_id, moment, moment, key, until.isoformat() if until else END, limit)


def newcomers(table: RawTable, mark: str) -> str:
    """The query for `newcomers`; `mark` stands for a value."""
    return f"SELECT st_id FROM raw.{table.name} WHERE tenant_id = {mark} GROUP BY st_id HAVING MIN(synced_at) >= {mark}"


def landed(rows: Iterable[tuple[Any, ...]]) -> list[Landed]:
    """Rows of key, scope, payload, modification and landing."""
    return [Landed(*row) for row in rows]


BEGINNING, END = "1970-01-01T00:00:00+00:00", "9999-01-01T00:00:00+00:00"
SHOWN_FIRST = "modified_on DESC NULLS LAST, synced_at DESC, payload_hash DESC"
"""The order of a key's versions as master takes them: the first one is shown."""

PUSHED = tuple(name for name, _, _ in ENVELOPE)
"""The columns that `append` writes, in order."""


IDENTITY = "SELECT identity FROM raw._lazi_warehouse"


def identify() -> tuple[str, ...]:
    """The statements that give a warehouse its identity, once."""
    return (
        "CREATE TABLE IF NOT EXISTS raw._lazi_warehouse (identity TEXT NOT NULL)",
        f"INSERT INTO raw._lazi_warehouse SELECT '{uuid.uuid4().hex}' WHERE NOT EXISTS ({IDENTITY})",
    )


def with_load_id(rows: "pa.Table") -> "pa.Table":
    """Rows with what landed them in place of a load of dlt's."""
    return rows.append_column("_dlt_load_id", rows["sync_batch_id"])
