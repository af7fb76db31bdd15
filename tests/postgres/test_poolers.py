"""Poolers in transaction mode: what goes by them, what goes past them, and what is said where there is no way past."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import psycopg2
import pytest
from sqlmesh.utils.errors import SQLMeshError

from store.exceptions import StoreSessionError, StoreUnreachableError
from store.pooler import check_same, keeps_sessions, way
from store.postgres_operations import PostgresOperations
from store.reader import PostgresReader
from store.reading import TooSlowError
from store.settings import Settings
from tests.postgres import bouncer
from tests.postgres.conftest import BINS
from tests.postgres.doors import BY_POOLER, BY_SESSION, DOORS, READING
from tests.postgres.server import Server, running, version

PROCESS = "SELECT pg_backend_pid()"


@pytest.fixture(scope="module", params=BINS[:1], ids=[version(each) for each in BINS[:1]])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """One alone: a pooler says the same before all of them."""
    with running(request.param) as found:
        yield found


@pytest.fixture
def pooled(url: str, server: Server, pooler: int, settings: Settings) -> Settings:
    """Settings whose address leads to a pooler, and no other one."""
    return replace(settings, database_url=url.replace(f":{server.port}/", f":{pooler}/"))


@pytest.fixture
def both(pooled: Settings, url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The same with an address past the pooler, also in the environment."""
    monkeypatch.setenv("DATABASE_URL", pooled.database_url)
    monkeypatch.setenv("DATABASE_DIRECT_URL", url)
    return replace(pooled, direct_url=url)


def processes(settings: Settings, times: int = 8) -> int:
    """How many of the server's processes answer one connection."""
    with closing(psycopg2.connect(settings.database_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            found = Counter()
            for _ in range(times):
                cursor.execute(PROCESS)
                found.update(cursor.fetchall())
    return len(found)


def test_a_pooler_is_told_from_a_server(pooled: Settings, url: str):
    """Also from one that keeps sessions; asking leaves no connection behind."""
    assert not keeps_sessions(pooled.database_url)
    assert keeps_sessions(url)
    assert (way(pooled.database_url).has_pooler, way(url).has_pooler) == (True, False)
    assert way(pooled.database_url).version == way(url).version


@pytest.mark.skipif(not bouncer.found(), reason="there is no pgbouncer here")
def test_a_pooler_that_keeps_sessions_is_as_good_as_a_server(
    server: Server, role: str, url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    """Every door opens by it, though it takes no startup options."""
    with bouncer.bouncing(server, role, "session") as port:
        address = url.replace(f":{server.port}/", f":{port}/")
        monkeypatch.setenv("DATABASE_URL", address)
        assert keeps_sessions(address)
        assert "through a pooler that keeps sessions" in way(address).text
        query = "SELECT CURRENT_USER"
        told = {name: door(replace(settings, database_url=address), query) for name, door in DOORS.items()}
    assert told == dict.fromkeys(DOORS, (role,))


def test_what_needs_a_session_says_so(pooled: Settings, monkeypatch: pytest.MonkeyPatch):
    """What the address leads to, which setting helps, and where Supabase has that address."""
    monkeypatch.setenv("DATABASE_URL", pooled.database_url)
    for name, door in BY_SESSION.items():
        with pytest.raises(
            (StoreSessionError, SQLMeshError), match=r"transaction mode.*`DATABASE_DIRECT_URL`.*Supabase.*port 5432"
        ) as told:
            door(pooled, "SELECT 1")
        assert (
            isinstance(told.value, StoreSessionError) or name == "sqlmesh"
        )  # which shows errors of its own kind alone
        assert "p%40ss" not in str(told.value)


def test_with_both_addresses_every_door_opens(both: Settings, role: str):
    """As the same role, in UTC, and able to write where it must."""
    query = "SELECT CURRENT_USER AS u, CURRENT_SETTING('timezone') AS z, CURRENT_SETTING('transaction_read_only') AS r"
    told = {name: door(both, query) for name, door in DOORS.items()}
    assert told == {name: (role, "UTC", "on" if name in READING else "off") for name in DOORS}


def test_what_goes_by_a_pooler_keeps_to_its_settings(server: Server, role: str, both: Settings):
    """Whatever the database sets: the time zone, how transactions are isolated, how long a query may take."""
    name = f"data base-{role}"
    for setting, value in UNUSUAL.items():
        usually = setting.replace("transaction", "default_transaction")
        server.run(f"ALTER DATABASE {{}} SET {usually} = {{value}}", name, value=value)
    server.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {name}", name=name)
    query = ", ".join(f"CURRENT_SETTING('{setting}') AS {setting}" for setting in UNUSUAL)
    for name, door in BY_POOLER.items():
        limit = "30s" if name in READING else "0"
        assert door(both, f"SELECT {query}") == ("UTC", "read committed", limit, "on" if name in READING else "off")


UNUSUAL = {
    "timezone": "Asia/Tokyo",
    "transaction_isolation": "serializable",
    "statement_timeout": "55s",
    "transaction_read_only": "on",
}


def test_nothing_of_ours_is_left_in_a_session_that_others_get(both: Settings):
    """Neither a limit of time nor the vow to write nothing; what is prepared goes unprepared."""
    for door in BY_POOLER.values():
        door(both, "SELECT 1 AS one")
    with closing(psycopg2.connect(both.database_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for _ in range(8):
                cursor.execute(
                    "SELECT CURRENT_SETTING('default_transaction_read_only'), CURRENT_SETTING('statement_timeout'), "
                    "CURRENT_SETTING('idle_in_transaction_session_timeout'), "
                    "(SELECT COUNT(*) FROM pg_prepared_statements), (SELECT COUNT(*) FROM pg_listening_channels())"
                )
                assert cursor.fetchone() == ("off", "0", "0", 0, 0)


def test_a_reader_writes_nothing_and_ends_what_is_slow(pooled: Settings):
    """As without a pooler."""
    with closing(PostgresReader(pooled.database_url)) as reader:
        with pytest.raises(StoreUnreachableError, match="read-only transaction"):
            reader.fetch("CREATE TABLE public.t (n INT)")
        reader.before = reader.before.replace("statement_timeout = 30000", "statement_timeout = 50")
        with pytest.raises(TooSlowError, match="Ask for less"):
            reader.fetch("SELECT PG_SLEEP(5)")
        assert reader.fetch("SELECT %s || '%%'", ("a",)) == [("a%",)]
        numbers = reader.pieces("SELECT n FROM GENERATE_SERIES(1, 1700) AS s(n) ORDER BY n")
        assert [number for piece in numbers for (number,) in piece] == list(range(1, 1701))


def test_operations_of_many_threads_go_by_a_pooler(pooled: Settings):
    """Each batch gets a number of its own, moments come back as they were, and nothing is done twice or by halves."""
    with closing(PostgresOperations(pooled.database_url)) as operations:
        now = datetime.now(UTC).replace(microsecond=123456)

        def take(number: int) -> float:
            application = f"app {number % 3}"
            rows = operations.run(
                "take_from_budget", application=application, tenant_id=1, interval=1.0, burst_seconds=3.0
            )
            return float(rows[0]["wait_seconds"])

        with ThreadPoolExecutor(8) as pool:
            assert len(list(pool.map(take, range(120)))) == 120
        operations.run("request_models", requested_by="a test", requested_at=now)
        assert operations.run("models_requested", since=now.replace(year=2000))[0]["requests"]


def test_without_a_session_work_is_found_by_looking(pooled: Settings, both: Settings):
    """Where it can be listened for, by the other address, another process's word is heard at once."""
    with (
        closing(PostgresOperations(pooled.database_url)) as deaf,
        closing(PostgresOperations(both.database_url, both.direct_url)) as hearing,
    ):
        assert (deaf.listens, hearing.listens) == (False, True)
        assert not hearing.wait(0.01)
        deaf.wake()
        assert hearing.wait(5)
        thread = threading.Timer(0.05, partial(deaf.wake))
        deaf.work.clear()
        thread.start()
        assert deaf.wait(60)  # by a thread of this process, long before a second is over
        thread.join()
        assert not deaf.wait(0.01)


def test_a_direct_address_of_the_same_database_is_recognised_behind_a_pooler(both: Settings):
    """Whatever the time zone of a session."""
    check_same(both.database_url, both.direct_url)


def test_the_pooler_gives_each_transaction_another_session(
    pooled: Settings, pooler: int, request: pytest.FixtureRequest
):
    """Else these tests would prove little; PgBouncer gives the one that rested least."""
    assert pooler
    assert processes(pooled) > 1 or "pgbouncer" in request.node.name
