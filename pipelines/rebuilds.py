"""What bringing the models up to date would do to a warehouse, told before it is done: tables that are built anew, functions.

Nothing is changed here. A plan builds a changed table beside the present one, so readers go on until it is whole.
"""

import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from store.warehouse import DuckDB, DuckLake, Postgres, SparkFiles

BODY = re.compile(r"AS \$\$(.*)\$\$\s*$", re.DOTALL)
NAMED = re.compile(r"(?:FUNCTION|MACRO) raw\.(\w+)")
RAW = "raw"


@dataclass(frozen=True, slots=True)
class Rebuild:
    """A model that a plan would change. `rows`: about how many it reads or holds; None where nobody knows."""

    model: str
    change: str  # new, changed, indirect or removed
    kind: str  # table or view: a view costs nothing
    rows: int | None


def functions_that_differ(warehouse: DuckDB | Postgres) -> list[str]:
    """The functions in the schema `raw` that a plan would make or make anew. The project must be loaded.

    Of a DuckDB file in which this process has made them nothing can be told.
    """
    if isinstance(warehouse, SparkFiles):
        return []  # it has none: what they do stands in the models' text
    statements = sys.modules["macros.functions"].FUNCTIONS[warehouse.dialect]
    if isinstance(warehouse, DuckLake):
        wanted = in_a_lake(statements)
    else:
        wanted = in_duckdb(statements) if isinstance(warehouse, DuckDB) else in_postgres(statements)
    query = OF_DUCKDB if isinstance(warehouse, DuckDB) else OF_POSTGRES
    found = dict(warehouse.fetch(query))
    return sorted(name for name, body in wanted.items() if found.get(name) != body)


def in_postgres(statements: tuple[str, ...]) -> dict[str, str]:
    """By name a function's text, as PostgreSQL keeps it."""
    named = [(NAMED.search(text), BODY.search(text)) for text in statements]
    return {name[1]: body[1] for name, body in named if name and body}


def in_duckdb(statements: tuple[str, ...]) -> dict[str, str]:
    """By name a macro's text, as DuckDB shows it of a file that was closed since: one just made is shown otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "functions.duckdb"
        with duckdb.connect(file) as connection:
            for statement in statements:
                connection.execute(statement)
        with duckdb.connect(file) as connection:
            return dict(connection.execute(OF_DUCKDB).fetchall())


def in_a_lake(statements: tuple[str, ...]) -> dict[str, str]:
    """By name a macro's text, as DuckDB shows it of a lake: always as of one just made, since the catalog keeps its statement."""
    with duckdb.connect() as connection:
        for statement in statements:
            connection.execute(statement)
        return dict(connection.execute(OF_DUCKDB).fetchall())


OF_POSTGRES = """SELECT p.proname, p.prosrc FROM pg_proc AS p
INNER JOIN pg_namespace AS n ON n.oid = p.pronamespace WHERE n.nspname = 'raw'"""
OF_DUCKDB = "SELECT function_name, macro_definition FROM duckdb_functions() WHERE schema_name = 'raw'"


def rebuilds(context: Any, warehouse: DuckDB | Postgres) -> list[Rebuild]:
    """What a plan of the loaded project would change, in the order in which it would. Raises what SQLMesh raises."""
    plan = context.plan_builder("prod", skip_tests=True).build()
    difference, filled = plan.context_diff, {one.snapshot_id.name for one in plan.missing_intervals}
    new = {one.name: difference.snapshots[one] for one in difference.added}
    found = []
    for name in context.dag.sorted:
        if name in new and not new[name].is_symbolic:
            found.append(rebuild(new[name], "new", None, warehouse))
        elif name in difference.modified_snapshots and not difference.metadata_updated(name):
            now, before = difference.modified_snapshots[name]
            if name in filled or now.is_view or now.version != before.version:
                change = "changed" if difference.directly_modified(name) else "indirect"
                found.append(rebuild(now, change, before, warehouse))
    gone = [one for one in difference.removed_snapshots.values() if not one.is_symbolic]
    return [*found, *(Rebuild(shown(one.name), "removed", kind(one), None) for one in gone)]


def kind(snapshot: Any) -> str:
    """Whether a model is a view."""
    return "view" if snapshot.is_view else "table"


def rebuild(snapshot: Any, change: str, before: Any, warehouse: DuckDB | Postgres) -> Rebuild:
    """One model. A new one reads the raw tables that it names; a changed one held what its present table holds."""
    if snapshot.is_view:
        return Rebuild(shown(snapshot.name), change, kind(snapshot), None)
    tables = [before.table_name()] if before is not None else list(sources(snapshot))
    counts = [rows(warehouse, *place(table)) for table in tables]
    known = [count for count in counts if count is not None]
    return Rebuild(shown(snapshot.name), change, kind(snapshot), sum(known) if known else None)


def sources(snapshot: Any) -> Iterator[str]:
    """The raw tables that a model reads."""
    return (name for name in sorted(snapshot.model.depends_on) if place(name)[0] == RAW)


def place(name: str) -> tuple[str, str]:
    """Schema and bare name of a table, from SQLMesh's full one."""
    schema, table = name.replace('"', "").split(".")[-2:]
    return schema, table


def shown(name: str) -> str:
    """A model's name as people write it."""
    return ".".join(place(name))


def rows(warehouse: DuckDB | Postgres, schema: str, table: str) -> int | None:
    """About how many rows a table has, by what the engine knows of it; None where there is no such table."""
    if isinstance(warehouse, SparkFiles):
        return warehouse.counted(schema, table)
    if isinstance(warehouse, DuckDB):
        query = "SELECT estimated_size FROM duckdb_tables() WHERE schema_name = ? AND table_name = ?"
        found = warehouse.fetch(query, (schema, table))
        return int(found[0][0]) if found else None
    found = warehouse.fetch(ESTIMATE, (schema, table))
    if not found:
        return None
    if found[0][0] >= 0:
        return int(found[0][0])
    return int(
        warehouse.fetch(f'SELECT COUNT(*) FROM "{schema}"."{table}"')[0][0]
    )  # never analyzed: it is small, or new


ESTIMATE = """SELECT CAST(c.reltuples AS BIGINT) FROM pg_class AS c
INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s"""
