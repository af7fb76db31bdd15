"""Connections lent for a statement: many threads on few of them, and none that was lost is lent again."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from store.exceptions import StoreUnreachableError
from store.lending import MOST
from store.postgres import Postgres
from tests.store.test_looped import OURS, others

THREADS = 60


@pytest.fixture
def warehouse(postgres_url: str) -> Iterator[Postgres]:
    found = Postgres(postgres_url)
    yield found
    found.close()


def is_alone(url: str) -> bool:
    """Whether all connections are gone; the server notices a closed one a moment later."""
    for _ in range(100):
        if others(url, OURS) == [(0,)]:
            return True
        time.sleep(0.05)
    return False


def asked_by_many(warehouse: Postgres) -> None:
    """Each of many threads asks at once, and gets its own answer."""
    gate = threading.Barrier(THREADS)

    def ask(number: int) -> int:
        gate.wait()
        return int(warehouse.fetch("SELECT %s, pg_sleep(0.01)", (number,))[0][0])

    with ThreadPoolExecutor(THREADS) as threads:
        assert [*threads.map(ask, range(THREADS))] == [*range(THREADS)]


def test_many_threads_share_few_connections_and_closing_ends_them(warehouse: Postgres, postgres_url: str):
    """Who asks after the close gets a new one."""
    asked_by_many(warehouse)
    assert others(postgres_url, OURS) == [(MOST,)]
    warehouse.close()
    assert is_alone(postgres_url)
    assert warehouse.fetch("SELECT 1") == [(1,)]


def test_a_lost_connection_costs_one_question(warehouse: Postgres, postgres_url: str):
    """The server may have lost the others too, so none of those that nobody uses is lent again."""
    asked_by_many(warehouse)
    others(postgres_url, OURS.replace("COUNT(*)", "COUNT(pg_terminate_backend(pid, 1000))"))
    with pytest.raises(StoreUnreachableError, match="went away"):
        warehouse.fetch("SELECT 1")
    asked_by_many(warehouse)


def test_one_that_was_lent_when_the_store_closed_does_not_outlive_its_use(warehouse: Postgres, postgres_url: str):
    """Nor one that is given back in the middle of a transaction."""
    with warehouse.cursor() as cursor:
        warehouse.close()
        cursor.execute("SELECT 1")
    assert is_alone(postgres_url)
    with warehouse.cursor() as cursor:
        cursor.execute("BEGIN")
    assert is_alone(postgres_url)
