"""Indexes of modelled tables. DuckDB's tables need none; PostgreSQL's are unnamed, so that each table version has its own."""

from typing import Any

from sqlglot import exp, parse_one
from sqlmesh import macro

MASTER = (("tenant_id", "st_id"), ("synced_at",), ("modeled_at",))


@macro()
def index(evaluator: Any, *columns: exp.Expression) -> exp.Expression | None:
    """`@index(tenant_id, st_id)`: an index on the model's table, made with the table on engines that have indexes."""
    if not makes_indexes(evaluator):
        return None
    return create(evaluator.this_model, [column.sql(dialect="postgres") for column in columns])


@macro()
def master_indexes(evaluator: Any) -> list[exp.Expression]:
    """The indexes of every master table; nothing on other models, whose files name their own."""
    if not makes_indexes(evaluator) or "master_store" not in evaluator.this_model:
        return []
    return [create(evaluator.this_model, columns) for columns in MASTER]


def makes_indexes(evaluator: Any) -> bool:
    """Whether a table is being created on an engine that has indexes."""
    adapter = evaluator.locals.get("engine_adapter")
    return adapter is not None and adapter.dialect == "postgres" and evaluator.runtime_stage == "creating"


def create(table: str, columns: Any) -> exp.Expression:
    """The statement for an index without a name."""
    return parse_one(f"CREATE INDEX ON {table} USING BTREE ({', '.join(columns)})", read="postgres")
