"""What each engine of the warehouse is to dlt and to SQLMesh, in one place.

The store's own side of them is `store.warehouse`; SQL functions are `macros.functions`, by dialect.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from store.settings import Engine, Settings
from store.warehouse import DuckDB, Postgres


@dataclass(frozen=True, slots=True)
class Traits:
    """An engine. `destination` and `gateway` are `module:function`, for costly imports are made when they are needed."""

    destination: str  # from the warehouse to dlt's destination
    gateway: str  # from the settings to SQLMesh's gateway
    loader_format: str  # of the files that dlt makes
    lacks: tuple[str, ...] = ()  # of what PostgreSQL has, for people
    published_from: str = (
        ""  # from the settings to the `publishing.Source` of what PostgreSQL serves; empty: it serves itself
    )
    keeps_plans: bool = False  # in memory: as everything was before each of a plan's changes


ENGINES = {
    Engine.DUCKDB: Traits(
        "pipelines.dlt_doors:duckdb_destination", "pipelines.sqlmesh_doors:duckdb_gateway", "parquet", ("indexes",)
    ),
    Engine.POSTGRES: Traits(
        "pipelines.dlt_doors:postgres_destination", "pipelines.sqlmesh_doors:postgres_gateway", "csv"
    ),
    Engine.DUCKLAKE: Traits(
        "pipelines.dlt_doors:ducklake_destination",
        "pipelines.sqlmesh_doors:ducklake_gateway",
        "parquet",
        ("indexes", "comments on columns", "two merges into one table at a time"),
        "pipelines.lake_source:LakeSource",
        keeps_plans=True,
    ),
    Engine.SPARK: Traits(
        "pipelines.dlt_files:spark_destination",
        "pipelines.spark_session:spark_gateway",
        "parquet",
        (
            "indexes",
            "JSONB: it is text",
            "MERGE: partitions in which something changed are written anew",
            "transactions: a reader may meet a partition that is being replaced",
            "pruning",
        ),
    ),
}


def destination(settings: Settings, warehouse: DuckDB | Postgres) -> Any:
    """Where dlt loads to."""
    return called(ENGINES[settings.engine].destination)(warehouse)


def gateway(settings: Settings) -> Any:
    """Where SQLMesh builds models and keeps its state."""
    return called(ENGINES[settings.engine].gateway)(settings)


def called(name: str) -> Callable[..., Any]:
    """The function of this name."""
    module, _, function = name.partition(":")
    return getattr(import_module(module), function)  # type: ignore[no-any-return]
