"""Indexes of modelled tables. DuckDB's tables need none; PostgreSQL's are unnamed, so that each table version has its own."""

from typing import Any

from sqlglot import exp, parse_one
from sqlmesh import macro

MASTER = (("tenant_id", "st_id"), ("synced_at",), ("modeled_at",))
LOOKED_UP = ("customer_id", "location_id", "job_id", "parent_st_id", "modified_on")  # where a table has them


@macro()
def index(evaluator: Any, *columns: exp.Expression) -> exp.Expression | None:
    """`@index(tenant_id, st_id)`: an index on the model's table, made with the table on engines that have indexes."""
    if not makes_indexes(evaluator):
        return None
    return create(evaluator.this_model, [column.sql(dialect="postgres") for column in columns])


@macro()
def master_indexes(evaluator: Any) -> list[exp.Expression]:
    """The indexes of every master table; nothing on other models, whose files name their own.

    Those for rows with a value of a column serve lists sorted by it too: downwards with NULLs last, upwards with NULLs
    first, rows with the same value by their key.
    """
    table = evaluator.this_model
    if not makes_indexes(evaluator) or "master_store" not in table:
        return []
    known = evaluator.locals["engine_adapter"].columns(table)
    looked_up = [name for name in LOOKED_UP if name in known]
    sorted_by = [("tenant_id", f"{name} DESC NULLS LAST", "st_id DESC") for name in looked_up]
    return [create(table, columns) for columns in (*MASTER, *sorted_by)]


@macro()
def search_index(evaluator: Any, *columns: exp.Expression) -> exp.Expression | None:
    """`@search_index(name)`: an index for pieces of text in these columns, where PostgreSQL has the extension pg_trgm."""
    if not makes_indexes(evaluator):
        return None
    schema = evaluator.locals["engine_adapter"].fetchone(parse_one(TRIGRAMS, read="postgres"))
    if not schema:
        return None
    operators = f"{schema[0]}.gin_trgm_ops"
    listed = ", ".join(f"{column.sql(dialect='postgres')} {operators}" for column in columns)
    return parse_one(f"CREATE INDEX ON {evaluator.this_model} USING GIN ({listed})", read="postgres")


TRIGRAMS = """SELECT QUOTE_IDENT(n.nspname) FROM pg_extension AS e
INNER JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm'"""


def makes_indexes(evaluator: Any) -> bool:
    """Whether a table is being created on an engine that has indexes."""
    adapter = evaluator.locals.get("engine_adapter")
    return adapter is not None and adapter.dialect == "postgres" and evaluator.runtime_stage == "creating"


def create(table: str, columns: Any) -> exp.Expression:
    """The statement for an index without a name."""
    return parse_one(f"CREATE INDEX ON {table} USING BTREE ({', '.join(columns)})", read="postgres")
