"""Readers: short queries from many threads, long ones in pieces, and nothing written."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest

from store.exceptions import StoreUnreachableError
from store.reader import Reader, open_reader
from store.reading import NotBuiltError, TooSlowError
from store.settings import Settings
from store.warehouse import open_warehouse


@pytest.fixture
def reader(settings: Settings) -> Iterator[Reader]:
    warehouse = open_warehouse(settings)
    found = open_reader(settings, warehouse)
    yield found
    found.close()
    warehouse.close()


def test_many_threads_read_at_once(reader: Reader):
    """Each gets its own answer."""
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: reader.fetch(f"SELECT {number}"), range(200)))
    assert found == [[(number,)] for number in range(200)]


def test_pieces_are_all_the_rows_in_order(reader: Reader):
    """Several times as many as one piece holds; the reader goes on after one that was left in the middle."""
    query = "SELECT n FROM GENERATE_SERIES(1, 2600) AS s(n) ORDER BY n"
    pieces = list(reader.pieces(query))
    assert len(pieces) > 3
    assert [number for piece in pieces for (number,) in piece] == list(range(1, 2601))
    left = reader.pieces(query)
    next(left)
    left.close()
    assert reader.fetch("SELECT 1") == [(1,)]


def test_a_table_that_is_not_there_yet_is_told(reader: Reader):
    """So that a consumer hears what to do, not an engine's words."""
    for query in ("SELECT * FROM master.nothing", "SELECT nothing FROM (SELECT 1 AS n) AS s"):
        with pytest.raises(NotBuiltError, match="lazi sync"):
            reader.fetch(query)
    assert reader.fetch("SELECT 1") == [(1,)]


def test_postgresql_writes_nothing_and_takes_no_longer_than_it_may(postgres_url: str, tmp_path):
    """The connection itself is read-only; a slow query ends."""
    reader = open_reader(Settings(postgres_url, tmp_path, 3001, "warning"))
    with pytest.raises(StoreUnreachableError, match="read-only transaction"):
        reader.fetch("CREATE TABLE public.t (n int)")
    with reader.lent() as connection, connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 50")
    with pytest.raises(TooSlowError, match="Ask for less"):
        reader.fetch("SELECT PG_SLEEP(5)")
    reader.close()


def test_a_connection_that_was_lost_is_replaced(postgres_url: str, tmp_path):
    """While nobody used it."""
    reader = open_reader(Settings(postgres_url, tmp_path, 3001, "warning"))
    reader.fetch("SELECT 1")
    killer = psycopg2.connect(postgres_url)
    with killer.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    killer.close()
    assert reader.fetch("SELECT 2") == [(2,)]
    reader.close()
