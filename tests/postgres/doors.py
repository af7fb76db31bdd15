"""Every way by which something of ours reaches PostgreSQL, asked the same."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

from config import gateway
from pipelines.dlt_doors import postgres_at
from store.lock import held
from store.looped import LoopReader, Plan, Question
from store.postgres_operations import PostgresOperations
from store.reader import PostgresReader
from store.session import connect
from store.settings import Settings
from store.warehouse import open_warehouse

Row = tuple[Any, ...]


def by_session(settings: Settings, query: str) -> Row:
    """As locks, migrations and `lazi grant` do."""
    with held(settings, "a door"), closing(connect(settings.session_url)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return tuple(cursor.fetchone())


def by_warehouse(settings: Settings, query: str) -> Row:
    """As syncs do."""
    with closing(open_warehouse(settings)) as warehouse:
        return tuple(warehouse.fetch(query)[0])


def by_operations(settings: Settings, query: str) -> Row:
    """As everything does that keeps what it did."""
    with (
        closing(PostgresOperations(settings.database_url, settings.direct_url)) as operations,
        operations.cursor() as cursor,
    ):
        cursor.execute(operations.before + query)
        return tuple(cursor.fetchone().values())


def by_reader(settings: Settings, query: str) -> Row:
    """As the API does."""
    with closing(PostgresReader(settings.database_url)) as reader:
        return reader.fetch(query)[0]


def by_pieces(settings: Settings, query: str) -> Row:
    """As the API streams."""
    with closing(PostgresReader(settings.database_url)) as reader:
        return next(iter(reader.pieces(query)))[0]


def by_loop(settings: Settings, query: str) -> Row:
    """As the API does from its event loop."""

    async def work() -> Sequence[Row]:
        reader = LoopReader(settings.database_url)
        try:
            return await reader.fetch(Question(query, (), Plan.OWN))
        finally:
            reader.drop()

    return asyncio.run(work())[0]


def by_dlt(settings: Settings, query: str) -> Row:
    """As loads do."""
    import dlt  # noqa: PLC0415  a costly import

    client = postgres_at(settings.session_url).client(
        dlt.Schema("doors"), postgres_at(settings.session_url).spec()._bind_dataset_name("raw")
    )
    with client.sql_client as statements:
        return tuple(statements.execute_sql(query)[0])


def by_sqlmesh(settings: Settings, query: str) -> Row:
    """As models do. The settings stand in the environment."""
    with closing(gateway(settings).connection.create_engine_adapter()) as adapter:
        return tuple(adapter.fetchone(query))


READING: dict[str, Callable[[Settings, str], Row]] = {"reader": by_reader, "pieces": by_pieces, "loop": by_loop}
BY_POOLER = READING | {"operations": by_operations}
BY_SESSION: dict[str, Callable[[Settings, str], Row]] = {
    "session": by_session,
    "warehouse": by_warehouse,
    "dlt": by_dlt,
    "sqlmesh": by_sqlmesh,
}
DOORS = BY_POOLER | BY_SESSION
