"""The operations store: SQLite beside the embedded warehouse, or the schemas `system` and `outbound` of PostgreSQL.

One set of queries serves both: SQLite has no schemas, so there `system.sync_batches` is the table
`system_sync_batches`. Safe to use from several threads and processes. Business rows of
ServiceTitan never stand here.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from store.named_queries import Row
from store.pooler import check_same
from store.postgres_operations import PostgresOperations
from store.settings import Settings
from store.sqlite_operations import SqliteOperations

__all__ = ["Operations", "Row", "open_operations", "operations_as_they_are"]


class Operations(Protocol):
    """What both stores do."""

    def run(self, query: str, **values: Any) -> list[Row]:
        """Run a named query in a transaction of its own; its rows, or nothing. Raises TakenError."""
        ...

    def run_all(self, query: str, values: Sequence[dict[str, Any]], *, every: bool = False) -> list[list[Row]]:
        """Run a named query with each of the values, in one transaction; the rows of each. Raises TakenError.

        With `every`, TakenError also where one of them returns no row; nothing is kept then.
        """
        ...

    def wake(self) -> None:
        """Tell who waits, in any process, that there is work."""
        ...

    def wait(self, seconds: float) -> bool:
        """Wait until somebody wakes, at most so long; whether somebody did."""
        ...

    def close(self) -> None:
        """Close what this thread uses; who asks again opens it anew."""
        ...


def open_operations(settings: Settings) -> Operations:
    """The operations store of these settings, migrated."""
    if settings.is_embedded:
        return SqliteOperations(settings.data_dir / "lazi-ops.sqlite")
    if settings.direct_url:
        check_same(settings.database_url, settings.direct_url)
    return PostgresOperations(settings.database_url, settings.direct_url)


def operations_as_they_are(settings: Settings) -> SqliteOperations | PostgresOperations | None:
    """The same for a look: nothing is made or migrated. None where there is no file yet."""
    if settings.is_embedded:
        path = settings.data_dir / "lazi-ops.sqlite"
        return SqliteOperations(path, migrates=False) if path.exists() else None
    return PostgresOperations(settings.database_url, settings.direct_url, migrates=False)
