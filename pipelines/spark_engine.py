"""SQLMesh's Spark engine for tables of Parquet files in a folder: what Parquet and Spark lack is made up for by files.

A table's rows stand in partitions by `key_bucket`: a hash of its key, or the day for the log of changes, whose rows stay. A
merge writes those partitions anew in which something changed, elsewhere, and then puts them in place (`pipelines.swapping`).
What there is stands in the folder too (`store.files`): Spark is told of a table or view when a statement names it.
"""

import shutil
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlglot import exp, parse_one
from sqlmesh.core.dialect import to_schema
from sqlmesh.core.engine_adapter.shared import DataObject, DataObjectType
from sqlmesh.core.engine_adapter.spark import SparkEngineAdapter
from sqlmesh.utils.errors import SQLMeshError

from pipelines.spark_session import Told
from pipelines.spark_text import for_duckdb, for_spark, types_for_duckdb, types_for_spark, with_raw_tables
from pipelines.swapping import BUCKET, ROWS, Working, empty_of, finish, swap
from store.files import Shown, erase, landed_tables, note, noted, noted_as, show_functions, text, write_empty

BUCKETS = 16
LOG = {"record_id", "synced_at", "payload_hash"}
KEYS = (("tenant_id", "st_id"), ("tenant_id", "customer_id"))
UNKNOWN = (None, exp.DataType.Type.UNKNOWN)


def bucket_of(columns: Iterable[str]) -> tuple[set[str], str]:
    """By which columns a table with these is partitioned, and how in Spark's words; by none, its rows stand together."""
    known = set(columns)
    if known >= LOG:
        return {"synced_at"}, "CAST(DATE_FORMAT(synced_at, 'yyyyMMdd') AS INT)"
    for key in KEYS:
        if known.issuperset(key):
            return {*key}, f"CAST(PMOD(XXHASH64({', '.join(key)}), {BUCKETS}) AS INT)"
    return set(), "0"


class SparkFilesEngineAdapter(SparkEngineAdapter):
    """Spark, on tables of files."""

    @property
    def files(self) -> Path:
        """The folder of all files."""
        return Path(self._extra_config["files"])

    # statements

    def execute(self, expressions: Any, *args: Any, **kwargs: Any) -> None:
        """See the base class. Spark is told first what the statements name."""
        for each in expressions if isinstance(expressions, list | tuple) else [expressions]:
            if isinstance(each, exp.Query):
                self.tell(each)
        super().execute(expressions, *args, **kwargs)

    def tell(self, query: Any) -> None:
        """Let Spark know the tables and views that a query names, and those that these name."""
        for table in query.find_all(exp.Table):
            Told.tell(self.spark, self.files, table.db, table.name, self.view)

    def view(self, found: Shown) -> str:
        """The query of a view in Spark's words, once Spark knows what it asks for."""
        query = parse_one(found.made, read="postgres")
        self.tell(query)
        return self._to_sql(query)

    def _to_sql(self, expression: Any, quote: bool = True, **kwargs: Any) -> str:  # noqa: FBT001, FBT002  as the base class
        """See the base class."""
        return str(super()._to_sql(for_spark(expression), quote, **kwargs))

    def fetchall(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        """See the base class. Macros ask in the project's words, and look for raw tables: those without rows need no reading."""
        asked = parse_one(query, read="postgres") if isinstance(query, str) else query
        return super().fetchall(with_raw_tables(asked, landed_tables(self.files)), *args, **kwargs)

    # what there is

    def _get_data_objects(self, schema_name: Any, object_names: set[str] | None = None) -> list[DataObject]:
        """See the base class."""
        schema = to_schema(schema_name).db
        return [
            DataObject(catalog="spark_catalog", schema=schema, name=found.name, type=DataObjectType(found.kind))
            for found in noted(self.files, schema)
            if object_names is None or found.name in object_names
        ]

    def table_exists(self, table_name: Any) -> bool:
        """See the base class."""
        table = exp.to_table(table_name)
        return noted_as(self.files, table.db, table.name) is not None

    def columns(self, table_name: Any, include_pseudo_columns: bool = False) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002  as the base
        """See the base class; without what only the partitions need."""
        table = exp.to_table(table_name)
        if (found := noted_as(self.files, table.db, table.name)) and found.columns:
            return {name: exp.DataType.build(kind, dialect="postgres") for name, kind in found.columns.items()}
        self.tell(exp.select("*").from_(table))
        return {name: kind for name, kind in super().columns(table_name).items() if name != BUCKET}

    def create_schema(self, *_: Any, **__: Any) -> None:
        """See the base class. One is there with the first thing in it."""

    def _drop_object(self, name: Any, *arguments: Any, **named: Any) -> None:
        """See the base class. Files go with their table."""
        kind = str(named.get("kind") or dict(enumerate(arguments)).get(1, "TABLE"))
        is_one = kind.upper() in {"TABLE", "VIEW"}
        table = exp.to_table(name) if is_one else to_schema(name)
        gone = [each for each in noted(self.files, table.db) if not is_one or each.name == table.name]
        finish(self.files)  # a table that is made anew under the same name must not meet an old journal
        for found in gone:
            Told.forget(self.spark, found.schema, found.name, found.kind)
            erase(self.files, found.schema, found.name)
            if found.kind == "table":
                shutil.rmtree(self.folder(exp.table_(found.name, found.schema)), ignore_errors=True)
        self._clear_data_object_cache(name if is_one else None)

    # tables

    def folder(self, table_name: Any) -> Path:
        """Where a table's files stand."""
        table = exp.to_table(table_name)
        return self.files / table.db / table.name

    def _create_table_from_columns(
        self,
        table_name: Any,
        target_columns_to_types: dict[str, Any],
        primary_key: Any = None,  # noqa: ARG002  as the base class
        exists: bool = True,  # noqa: FBT001, FBT002  as the base class
        *_: Any,
        **__: Any,
    ) -> None:
        """See the base class. An empty file shows the columns."""
        if exists and self.table_exists(table_name):
            return
        table, folder, types = (
            exp.to_table(table_name),
            self.folder(table_name),
            types_for_duckdb(target_columns_to_types),
        )
        write_empty(empty_of(folder), {name: "TEXT" if kind == "JSON" else kind for name, kind in types.items()})
        picked = ", ".join(f'CAST("{name}" AS {kind}) AS "{name}"' for name, kind in types.items())
        read = f"read_parquet({text(folder / '*' / '*.parquet')}, hive_partitioning = FALSE)"
        columns = {name: kind.sql(dialect="postgres") for name, kind in target_columns_to_types.items()}
        listed = ", ".join(f"`{name}` {kind}" for name, kind in types_for_spark(target_columns_to_types).items())
        place = str(folder).replace("'", "\\'")
        made = f"({listed}, {BUCKET} INT) USING PARQUET PARTITIONED BY ({BUCKET}) LOCATION '{place}'"
        note(self.files, Shown("table", table.db, table.name, f"SELECT {picked} FROM {read}", made, columns))
        self._clear_data_object_cache(table_name)

    def _create_table_from_source_queries(
        self, table_name: Any, source_queries: Any, target_columns_to_types: Any = None, *_: Any, **__: Any
    ) -> None:
        """See the base class: the table first, then its rows."""
        declared = target_columns_to_types or {}
        with source_queries[0] as query:
            self.tell(query)
            given = {
                field.name: exp.DataType.build(field.dataType.simpleString(), dialect="spark")
                for field in self.spark.sql(self._to_sql(query)).schema
            }
        types = {
            name: kind if (found := declared.get(name)) is None or found.this in UNKNOWN else found
            for name, kind in given.items()
        }
        self._create_table_from_columns(table_name, types)
        self._insert_overwrite_by_condition(table_name, source_queries, types)

    def alter_table(self, alter_expressions: Any, *_: Any, **__: Any) -> None:
        """Refuse: files keep the columns that they have."""
        if alter_expressions:
            raise SQLMeshError(
                "Tables of Parquet files are not altered. Plan without `--forward-only`: it makes new ones."
            )

    # rows

    def rows(self, query: Any, columns: dict[str, Any], where: Any = None) -> Any:
        """A query's rows, or those for which a condition holds, as a data frame of Spark's, with where each belongs."""
        ordered = self._order_projections_and_filter(query, columns, where=where, coerce_types=True)
        self.tell(ordered)
        frame = self.spark.sql(self._to_sql(ordered))
        return frame.selectExpr(*(f"`{name}`" for name in columns), f"{bucket_of(columns)[1]} AS {BUCKET}")

    def present(self, table_name: Any, columns: Iterable[str]) -> Any:
        """The rows that a table has, in the same form."""
        query = exp.select(*(exp.column(name, quoted=True) for name in [*columns, BUCKET])).from_(
            exp.to_table(table_name)
        )
        self.tell(query)
        return self.spark.sql(self._to_sql(query))

    def working(self, table_name: Any) -> Working:
        """A folder for new partitions of a table, before anything is read that goes into them."""
        return Working(self.files, self.folder(table_name))

    def place(self, frame: Any, work: Working, *, everything: bool, touched: Iterable[int] = ()) -> None:
        """Write rows, each partition as one file, and put them in place."""
        frame.repartition(BUCKET).write.partitionBy(BUCKET).parquet(str(work.folder / ROWS))
        swap(work, everything=everything, touched=touched)

    def _insert_overwrite_by_condition(
        self,
        table_name: Any,
        source_queries: Any,
        target_columns_to_types: Any = None,
        where: Any = None,
        *_: Any,
        **__: Any,
    ) -> None:
        """See the base class. With a condition only rows come for which it holds, and those stay for which it does not."""
        columns = target_columns_to_types or self.columns(table_name)
        for number, source in enumerate(source_queries):
            with source as query, self.working(table_name) as work:
                frame = self.rows(query, columns, where)
                if number:
                    frame = self.present(table_name, columns).unionByName(frame)
                elif where is not None:
                    stays = exp.func("COALESCE", exp.not_(where), exp.true())
                    frame = self.present(table_name, columns).where(self._to_sql(stays)).unionByName(frame)
                self.place(frame, work, everything=True)

    def _insert_append_query(
        self, table_name: Any, query: Any, target_columns_to_types: Any, *_: Any, **__: Any
    ) -> None:
        """See the base class."""
        with self.working(table_name) as work:
            frame = self.present(table_name, target_columns_to_types).unionByName(
                self.rows(query, target_columns_to_types)
            )
            self.place(frame, work, everything=True)

    def merge(  # noqa: PLR0917  as the base class
        self,
        target_table: Any,
        source_table: Any,
        target_columns_to_types: Any,
        unique_key: Sequence[Any],
        when_matched: Any = None,
        merge_filter: Any = None,
        source_columns: Any = None,
        **_: Any,
    ) -> None:
        """See the base class: a row takes the place of the one with its key. Nothing is written where there are no rows."""
        if when_matched or merge_filter:
            raise SQLMeshError("On Parquet files a merge replaces rows: leave `when_matched` and `merge_filter` out.")
        sources, columns = self._get_source_queries_and_columns_to_types(
            source_table, target_columns_to_types, target_table=target_table, source_columns=source_columns
        )
        columns = columns or self.columns(target_table)
        keys = [part.name for part in unique_key]
        is_whole = not bucket_of(columns)[0] or not bucket_of(columns)[0].issubset(
            keys
        )  # a row may leave its partition
        for source in sources:
            with source as query, self.working(target_table) as work:
                fresh = self.written(self.rows(query, columns), work.folder / "fresh")
                touched = sorted(row[0] for row in fresh.select(BUCKET).distinct().collect())
                if not touched:
                    continue
                present = self.present(target_table, columns)
                if not is_whole:
                    present = present.where(f"{BUCKET} IN ({', '.join(map(str, touched))})")
                stays = present.join(fresh.select(*keys), keys, "left_anti").select(*columns, BUCKET)
                self.place(stays.unionByName(fresh), work, everything=is_whole, touched=touched)

    def written(self, frame: Any, folder: Path) -> Any:
        """The same rows, kept in files: what they come from is about to change."""
        frame.write.parquet(str(folder))
        return self.spark.read.schema(frame.schema).parquet(str(folder))

    # views

    def create_view(self, view_name: Any, query_or_df: Any, *_: Any, **__: Any) -> None:
        """See the base class. Spark is told when it is asked for it."""
        if not isinstance(query_or_df, exp.Query):
            raise SQLMeshError("A view shows a query. Make a model of rows a table: `kind FULL`.")
        show_functions(self.files, import_module("macros.spark").OF_READERS)
        table = exp.to_table(view_name)
        Told.forget(self.spark, table.db, table.name, "view")
        query = query_or_df.sql(dialect="postgres", comments=False)
        note(self.files, Shown("view", table.db, table.name, for_duckdb(query_or_df), query))
        self._clear_data_object_cache(view_name)
