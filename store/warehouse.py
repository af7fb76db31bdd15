"""The warehouse: where raw tables stand and models are built. One DuckDB file, PostgreSQL, or a lake.

Records are written by dlt; a few, which mutations changed, by `append`.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from store.embedded import DuckDB, open_file
from store.files import SparkFiles
from store.lake import DuckLake
from store.pooler import check_same
from store.postgres import Postgres
from store.raw import ENVELOPE, SHOWN_FIRST, Copy, Key, Landed, RawTable, Version
from store.settings import Engine, Settings

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "ENVELOPE",
    "SHOWN_FIRST",
    "Copy",
    "DuckDB",
    "DuckLake",
    "Key",
    "Landed",
    "Postgres",
    "RawTable",
    "SparkFiles",
    "Version",
    "Warehouse",
    "open_file",
    "open_warehouse",
]


class Warehouse(Protocol):
    """What both engines do. Safe to use from several threads."""

    dialect: str

    def sparing(self) -> AbstractContextManager[None]:
        """A time of bulk loads, for which little memory is mostly enough. Raises StoreMemoryError when it is not."""
        ...

    def prepare(self, tables: Iterable[RawTable]) -> None:
        """Create the raw tables that are missing, append-only, and the warehouse's identity."""
        ...

    @property
    def identity(self) -> str:
        """A name that a prepared warehouse keeps for life: another file or database at the same address has another."""
        ...

    def newest_versions(self, table: RawTable, tenant_id: int, keys: Sequence[Key]) -> dict[Key, Version]:
        """The version of each key that landed last; keys that never landed are left out."""
        ...

    def last_seen(self, table: RawTable, tenant_id: int, keys: Sequence[Key]) -> dict[Key, datetime]:
        """The latest `synced_at` of each key; keys that never landed are left out."""
        ...

    def keys_present(self, table: RawTable, tenant_id: int, before: datetime) -> set[Key]:
        """The keys that master shows as not deleted, by a version that landed before a moment."""
        ...

    def copies(self, table: RawTable, tenant_id: int, keys: Sequence[Key]) -> list[Copy]:
        """The version of each of these keys that master shows."""
        ...

    def versions_behind(
        self, table: RawTable, tenant_id: int, place: str, limit: int, until: datetime | None = None
    ) -> list[Landed]:
        """The newest versions of living records that stand behind a place (see Landed), in order; all for an empty one.

        With `until`, those alone that ServiceTitan was asked for before it.
        """
        ...

    def newcomers(self, table: RawTable, tenant_id: int, since: datetime) -> set[Key]:
        """The keys of which ServiceTitan was not asked for any version before a moment."""
        ...

    def living(self, table: RawTable, tenant_id: int, scopes: Sequence[str]) -> list[tuple[str, Key]]:
        """Scope and key of the records that are in these scopes and not deleted, by the version that landed last."""
        ...

    def has_rows(self, table: RawTable, tenant_id: int) -> bool:
        """Whether anything of this tenant ever landed there."""
        ...

    def append(self, table: RawTable, rows: "pa.Table") -> None:
        """Append a few rows, whose columns are the envelope's, to a raw table in one transaction."""
        ...

    def fetch(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query in the engine's own dialect and parameter style."""
        ...

    def close(self) -> None:
        """Let go of the store."""
        ...


def open_warehouse(settings: Settings) -> DuckDB | Postgres:
    """The warehouse of these settings. Raises StoreError."""
    if settings.engine is Engine.DUCKDB:
        return DuckDB(settings.data_dir / "lazi.duckdb")
    if settings.direct_url:
        check_same(settings.database_url, settings.direct_url)
    if settings.engine is Engine.DUCKLAKE:
        return DuckLake(settings)
    if settings.engine is Engine.SPARK:
        return SparkFiles(settings)
    return Postgres(settings.session_url)
