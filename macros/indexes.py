"""Indexes of modelled tables. DuckDB's tables need none; PostgreSQL's are unnamed, so that each table version has its own."""

from typing import Any

from sqlglot import exp, parse_one
from sqlmesh import macro

from store.texts import COMPARED_CHARACTERS, SORTED_CHARACTERS

MASTER = (("tenant_id", "st_id"), ("synced_at",), ("modeled_at",))
LOOKED_UP = ("customer_id", "location_id", "job_id", "business_unit_id", "parent_st_id", "modified_on", "created_on")
SORTED_TEXT = ("name",)
COMPARED_TEXT = ("job_status", "address_city", "address_state")
"""Columns that have an index where a table has them. One of few values, as a customer's type, would not gain by one."""

COMPARED_TOGETHER = (("business_unit_id", "job_status", "modified_on"),)
"""A column, a compared text and what their rows are sorted by. PostgreSQL takes the two for independent of each other: where
few rows have both values, it would walk all of the sort's index to find them. The index also holds what else a total asks
for, so that 20,000 rows are counted in 4 ms instead of 70."""


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
    sorts = [name for name in LOOKED_UP if name in known]
    texts = {name for name, kind in known.items() if kind.is_type(*exp.DataType.TEXT_TYPES)}
    sorts += [f"LEFT({name}, {SORTED_CHARACTERS})" for name in SORTED_TEXT if name in texts]
    sorted_by = [("tenant_id", f"{sort} DESC NULLS LAST", "st_id DESC") for sort in sorts]
    compared = [
        ("tenant_id", f"LEFT(LOWER({name}), {COMPARED_CHARACTERS})", "st_id") for name in COMPARED_TEXT if name in texts
    ]
    made = [create(table, columns) for columns in (*MASTER, *sorted_by, *compared)]
    for number, text, sort in COMPARED_TOGETHER:
        if text in texts and {number, sort} <= known.keys():
            beginning = f"LEFT(LOWER({text}), {COMPARED_CHARACTERS})"
            columns = ("tenant_id", number, beginning, f"{sort} DESC NULLS LAST", "st_id DESC")
            made.append(create(table, columns, (text, "is_deleted")))
    return made


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
INNER JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'pg_trgm' AND HAS_SCHEMA_PRIVILEGE(n.oid, 'USAGE')"""
"""An administrator may have put the extension where the role may not go."""


def makes_indexes(evaluator: Any) -> bool:
    """Whether a table is being created on an engine that has indexes."""
    adapter = evaluator.locals.get("engine_adapter")
    return adapter is not None and adapter.dialect == "postgres" and evaluator.runtime_stage == "creating"


def create(table: str, columns: Any, held: Any = ()) -> exp.Expression:
    """The statement for an index without a name; `held` are columns that it has beside those that it is sorted by."""
    also = f" INCLUDE ({', '.join(held)})" if held else ""
    return parse_one(f"CREATE INDEX ON {table} USING BTREE ({', '.join(columns)}){also}", read="postgres")
