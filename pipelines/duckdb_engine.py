"""SQLMesh's DuckDB engine, on the connection that this process already holds, with a merge that readers never see half done.

SQLMesh merges on DuckDB by deleting and inserting; between the two a reader would miss rows. Here both are one
transaction.
"""

from collections.abc import Callable
from typing import Any

from sqlmesh.core.config.connection import DuckDBConnectionConfig
from sqlmesh.core.engine_adapter.duckdb import DuckDBEngineAdapter


class AtomicDuckDBEngineAdapter(DuckDBEngineAdapter):
    """Merges and replacements in one transaction."""

    def in_one(self, change: Callable[..., None], *args: Any, **kwargs: Any) -> None:
        """Run a change that readers see whole or not at all."""
        self.execute("BEGIN TRANSACTION")
        try:
            change(*args, **kwargs)
        except BaseException:
            self.execute("ROLLBACK")
            raise
        self.execute("COMMIT")

    def merge(self, *args: Any, **kwargs: Any) -> None:
        """See the base class."""
        self.in_one(super().merge, *args, **kwargs)

    def replace_query(self, *args: Any, **kwargs: Any) -> None:
        """See the base class."""
        self.in_one(super().replace_query, *args, **kwargs)


class AtomicDuckDBConnectionConfig(DuckDBConnectionConfig):
    """A DuckDB connection of the engine above."""

    @property
    def _engine_adapter(self) -> type[AtomicDuckDBEngineAdapter]:
        return AtomicDuckDBEngineAdapter
