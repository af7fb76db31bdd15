"""Reading the warehouse for people who wait: many short queries from threads, and long ones handed over in pieces.

A reader writes nothing. PostgreSQL is told so and ends a query that takes too long; DuckDB is read through the process's
one root connection, beside whatever is being loaded or modelled, each query on a snapshot of its own.
"""

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Protocol

import duckdb
import psycopg2

from store.exceptions import StoreUnreachableError
from store.looped import LoopReader
from store.pooler import keeps_sessions
from store.reading import LOCALLY, READ_ONLY, Row, told
from store.server import reach, reachable
from store.session import connect
from store.settings import Engine, Settings
from store.warehouse import DuckDB, Postgres, open_warehouse

PIECE = 500  # rows handed over at once


class Reader(Protocol):
    """What both engines do. Safe to use from several threads."""

    dialect: str

    @property
    def looped(self) -> LoopReader | None:
        """The same from an event loop, where the engine has a way."""
        ...

    def fetch(self, query: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query. Raises NotBuiltError, TooSlowError or StoreUnreachableError."""
        ...

    def pieces(self, query: str, values: Sequence[Any] = ()) -> Iterator[list[Row]]:
        """The rows of a query as of one moment, some at a time; closing the iterator ends the query. Raises as `fetch`."""
        ...

    def close(self) -> None:
        """Let go of the store."""
        ...


class PostgresReader:
    """Connections to PostgreSQL that are lent to one thread at a time and can only read."""

    dialect = "postgres"

    def __init__(self, url: str) -> None:
        """Connect once, to see whether it can be done. Raises StoreUnreachableError."""
        self.url, self.looped, self.is_session = url, LoopReader(url), keeps_sessions(url)
        self.before = "" if self.is_session else LOCALLY  # what goes before a query, in the same message
        self.free: queue.LifoQueue[Any] = queue.LifoQueue()
        self.free.put(self.connected())

    def connected(self) -> Any:
        """A new connection."""
        connection = connect(self.url, READ_ONLY) if self.is_session else reach(self.url)
        connection.autocommit = True
        return connection

    @contextmanager
    def lent(self) -> Iterator[Any]:
        """A connection; one that was lost is not given back."""
        try:
            connection = self.free.get_nowait()
        except queue.Empty:
            connection = self.connected()
        try:
            with reachable(), told():
                yield connection
        finally:
            if not connection.closed:
                self.free.put(connection)

    def fetch(self, query: str, values: Sequence[Any] = ()) -> list[Row]:
        """See Reader.fetch. A connection that was lost while nobody used it is replaced once."""
        try:
            return self.once(query, values)
        except StoreUnreachableError:
            self.drop()
            return self.once(query, values)

    def once(self, query: str, values: Sequence[Any]) -> list[Row]:
        """All rows of a query, on one connection."""
        with self.lent() as connection, connection.cursor() as cursor:
            cursor.execute(self.before + query, values or None)
            return cursor.fetchall()  # type: ignore[no-any-return]

    def pieces(self, query: str, values: Sequence[Any] = ()) -> Iterator[list[Row]]:
        """See Reader.pieces: a cursor in the server."""
        with self.lent() as connection:
            connection.autocommit = False
            try:
                with connection.cursor() as cursor:
                    cursor.execute(LOCALLY)
                with connection.cursor("pieces") as cursor:
                    cursor.execute(query, values or None)
                    while found := cursor.fetchmany(PIECE):
                        yield found
            finally:
                with suppress(psycopg2.Error):  # the connection may be what failed
                    connection.rollback()
                    connection.autocommit = True

    def drop(self) -> None:
        """Close every connection that nobody uses."""
        with suppress(queue.Empty):
            while True:
                self.free.get_nowait().close()

    def close(self) -> None:
        """See Reader.close."""
        self.drop()
        self.looped.drop()


class DuckDBReader:
    """Cursors on a DuckDB file's root connection, one a thread."""

    dialect = "duckdb"
    looped = None

    def __init__(self, warehouse: DuckDB, *, owns: bool) -> None:
        """Of a warehouse that this process has open, and that is closed with this when it `owns` it."""
        self.warehouse, self.owns, self.local = warehouse, owns, threading.local()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """This thread's cursor."""
        if not hasattr(self.local, "cursor"):
            self.local.cursor = self.warehouse.session()
        self.warehouse.look()
        return self.local.cursor  # type: ignore[no-any-return]

    def fetch(self, query: str, values: Sequence[Any] = ()) -> list[Row]:
        """See Reader.fetch."""
        with told():
            return self.cursor().execute(query, list(values)).fetchall()

    def pieces(self, query: str, values: Sequence[Any] = ()) -> Iterator[list[Row]]:
        """See Reader.pieces."""
        cursor = self.warehouse.session()
        try:
            with told():
                cursor.execute(query, list(values))
                while found := cursor.fetchmany(PIECE):
                    yield found
        finally:
            cursor.close()

    def close(self) -> None:
        """See Reader.close."""
        if self.owns:
            self.warehouse.close()


def open_reader(settings: Settings, warehouse: DuckDB | Postgres | None = None) -> Reader:
    """A reader of these settings' warehouse; through `warehouse`, when this process has it open, except on PostgreSQL."""
    if settings.engine is Engine.POSTGRES:
        return PostgresReader(settings.database_url)
    found = warehouse or open_warehouse(settings)
    assert isinstance(found, DuckDB)  # noqa: S101  what all other engines are
    return DuckDBReader(found, owns=warehouse is None)
