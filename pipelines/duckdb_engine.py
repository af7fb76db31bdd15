"""SQLMesh's DuckDB engines, with merges that readers never see half done: on this process's own connection, and on a lake.

SQLMesh merges on DuckDB by deleting and inserting; between the two a reader would miss rows. Here both are one
transaction.
"""

from collections.abc import Callable
from typing import Any

from sqlglot import exp
from sqlmesh.core.config.connection import DuckDBConnectionConfig
from sqlmesh.core.engine_adapter.base import EngineAdapter
from sqlmesh.core.engine_adapter.duckdb import DuckDBEngineAdapter
from sqlmesh.core.engine_adapter.shared import DataObject, DataObjectType

from store.lake import CATALOG, CATALOG_TABLES


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


class LakeEngineAdapter(AtomicDuckDBEngineAdapter):
    """Merges by the statement of that name: what SQLMesh would delete and insert stands for a moment in a table of its own."""

    def merge(self, *args: Any, **kwargs: Any) -> None:
        """See the base class, past what stands in for MERGE on DuckDB."""
        EngineAdapter.merge(self, *args, **kwargs)

    def _merge(self, target_table: Any, query: Any, on: Any, whens: exp.Whens) -> None:
        """See the base class. DuckDB takes no table's name before a column that is set."""
        for update in whens.find_all(exp.Update):
            for assignment in update.expressions:
                assignment.set("this", exp.column(assignment.this.this.copy()))
        super()._merge(target_table, query, on, whens)

    def _get_data_objects(self, schema_name: Any, object_names: set[str] | None = None) -> list[DataObject]:
        """See the base class. By the lake's own catalog: DuckDB would read all of it anew behind each change."""
        schema = schema_name.sql(dialect=self.dialect) if isinstance(schema_name, exp.Expression) else schema_name
        rows = self.fetchall(OBJECTS.format(schema=exp.to_table(schema).name.replace("'", "''")))
        return [
            DataObject(catalog=CATALOG, schema=schema, name=name, type=DataObjectType.from_str(kind))
            for schema, name, kind in rows
            if not object_names or name in object_names
        ]


OBJECTS = f"""SELECT s.schema_name, o.name, o.kind FROM (
  SELECT schema_id, table_name AS name, 'table' AS kind, end_snapshot FROM {CATALOG_TABLES}.ducklake_table
  UNION ALL SELECT schema_id, view_name, 'view', end_snapshot FROM {CATALOG_TABLES}.ducklake_view
) AS o INNER JOIN {CATALOG_TABLES}.ducklake_schema AS s ON s.schema_id = o.schema_id
WHERE o.end_snapshot IS NULL AND s.end_snapshot IS NULL AND s.schema_name = '{{schema}}'"""


class LakeEngineConnectionConfig(DuckDBConnectionConfig):
    """A connection of the engine above."""

    @property
    def _engine_adapter(self) -> type[LakeEngineAdapter]:
        return LakeEngineAdapter
