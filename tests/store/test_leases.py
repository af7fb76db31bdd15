"""Leases: one holder, taken over when it dies or is cut off, and fenced."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest

from store import leases
from store.exceptions import StoreUnreachableError
from store.leases import Holder, Lease, LeaseLostError, leased
from store.operations import open_operations
from store.settings import Settings
from tests.conftest import MakeDatabase

HOLDS = """
import sys, time
from store.leases import Holder
holder = Holder(sys.argv[1])
assert holder.take("jobs of 1")
print("has it", flush=True)
time.sleep(600)
"""


@pytest.fixture
def url(postgres_url: str, tmp_path: Path) -> str:
    """A database with the operations tables."""
    open_operations(Settings(postgres_url, tmp_path, 3001, "warning")).close()
    return postgres_url


@pytest.fixture
def holders(url: str) -> Iterator[tuple[Holder, Holder]]:
    """Two processes, as the database knows them."""
    first, second = Holder(url), Holder(url)
    yield first, second
    first.end()
    second.end()


def taken(holder: Holder, name: str = "jobs of 1") -> Lease:
    found = holder.take(name)
    assert found is not None
    return found


def run(url: str, statement: str) -> None:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)


END_SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lazi leases'"
RUN_OUT = "UPDATE system.leases SET expires_at = CURRENT_TIMESTAMP - INTERVAL '1 second'"


@contextmanager
def away(url: str, server: MakeDatabase) -> Iterator[None]:
    """A database that lets nobody in, and has ended all sessions."""
    name = urlsplit(url).path.removeprefix("/")
    server.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS FALSE")
    server.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    yield
    server.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS TRUE")


def test_one_of_many_has_it(url: str):
    """However many ask at once; others have other leases meanwhile."""
    with ExitStack() as stack:
        holders = [Holder(url) for _ in range(8)]
        for holder in holders:
            stack.callback(holder.end)
        ready, found = threading.Barrier(len(holders)), []

        def ask(holder: Holder) -> None:
            ready.wait()
            found.append(holder.take("jobs of 1"))

        threads = [threading.Thread(target=ask, args=(holder,)) for holder in holders]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len([lease for lease in found if lease]) == 1
        assert taken(holders[0], "calls of 1").token == 1


def test_it_is_given_back(holders: tuple[Holder, Holder]):
    """Then the next one has it, with a higher token; giving it back once more takes nothing from that one."""
    first, second = holders
    lease = taken(first)
    assert second.take(lease.name) is None
    first.give_back(lease)
    after = taken(second)
    assert after.token > lease.token
    first.give_back(lease)
    after.check()


def test_a_process_that_is_killed_is_overtaken_at_once(url: str, holders: tuple[Holder, Holder]):
    """Long before its lease would run out."""
    with subprocess.Popen([sys.executable, "-c", HOLDS, url], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"has it\n"
        assert holders[0].take("jobs of 1") is None
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        begun = time.monotonic()
        while holders[0].take("jobs of 1") is None:
            assert time.monotonic() - begun < leases.SECONDS / 3
            time.sleep(0.02)


def test_who_was_cut_off_is_overtaken_and_finds_out(url: str, holders: tuple[Holder, Holder]):
    """Its lease has run out although its session is open; it says so before anything is written."""
    first, second = holders
    lease = taken(first)
    run(url, RUN_OUT)
    after = taken(second)
    with pytest.raises(LeaseLostError, match="taken over jobs of 1"):
        lease.check()
    after.check()


def test_a_lease_outlives_its_session(url: str, holders: tuple[Holder, Holder]):
    """The server was started again: who asks first goes on with it, and nobody else has it then."""
    first, second = holders
    lease = taken(first)
    run(url, END_SESSIONS)
    lease.check()
    assert second.take(lease.name) is None


def test_what_could_not_be_given_back_can_be_taken_again(
    url: str, make_database: MakeDatabase, holders: tuple[Holder, Holder]
):
    """By the process that had it, which lives on, and with a higher token; what it had before is no longer its own."""
    first, second = holders
    before = taken(first)
    with away(url, make_database):
        first.give_back(before)
    lease = taken(first)
    assert lease.token > before.token
    assert second.take(lease.name) is None
    lease.check()
    with pytest.raises(LeaseLostError):
        before.check()


def test_what_could_not_be_given_back_runs_out(url: str, make_database: MakeDatabase, holders: tuple[Holder, Holder]):
    """Although the process that had it lives on and renews what it uses: another one has it then."""
    first, second = holders
    lease, other = taken(first), taken(first, "calls of 1")
    with away(url, make_database):
        first.give_back(lease)
    assert first.renewed() == {(other.name, other.token)}
    assert second.take(lease.name) is None
    run(url, RUN_OUT)
    first.renewed()
    taken(second)
    assert second.take(other.name) is None


def test_taking_is_repeated_when_its_answer_was_lost(holders: tuple[Holder, Holder], monkeypatch: pytest.MonkeyPatch):
    """What was taken without our hearing of it is ours."""
    first, second = holders
    once, lost = first.once, [leases.TAKE]

    def losing(statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        found = once(statement, values)
        if statement in lost:
            lost.remove(statement)
            raise StoreUnreachableError
        return found

    monkeypatch.setattr(first, "once", losing)
    lease = taken(first)
    assert (lease.token, lost) == (2, [])
    assert second.take(lease.name) is None
    lease.check()


def test_what_is_in_use_is_not_taken_twice_by_one_process(holders: tuple[Holder, Holder]):
    """Whoever asks for it there; it keeps its token."""
    lease = taken(holders[0])
    assert holders[0].take(lease.name) is None
    lease.check()


@contextmanager
def believed_alive(url: str, holder: Holder) -> Iterator[Any]:
    """A session that has a holder's number, as one has it that was lost without the server's knowing."""
    with closing(psycopg2.connect(url)) as lost, lost.cursor() as cursor:
        lost.autocommit = True
        holder.over.set()  # or it may renew before its number is taken
        run(url, END_SESSIONS)
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", (leases.HOLDERS, holder.number))
        yield cursor


def test_a_session_that_the_server_holds_for_alive_is_ended(url: str, holders: tuple[Holder, Holder]):
    """It has our number and nobody is at its other end: who makes a new session does not wait for it, and keeps its leases."""
    first, second = holders
    lease = taken(first)
    with believed_alive(url, first) as cursor:
        had: list[Lease | None] = []
        thread = threading.Thread(target=lambda: had.append(first.take("calls of 1")), daemon=True)
        thread.start()
        thread.join(10)
        assert had
        assert had[0]
        lease.check()
        assert second.take(lease.name) is None
        with pytest.raises(psycopg2.OperationalError):
            cursor.execute("SELECT 1")


def test_a_session_that_does_not_end_is_not_waited_for(
    url: str, holders: tuple[Holder, Holder], monkeypatch: pytest.MonkeyPatch
):
    """It is told, and once it is gone all goes on, with the number by which others know us."""
    monkeypatch.setattr(leases, "END_FORMER", "SELECT %(holder)s")
    monkeypatch.setattr(leases, "PAUSE", 0.001)
    first, second = holders
    lease = taken(first)
    with believed_alive(url, first) as cursor:
        for _ in range(2):
            with pytest.raises(StoreUnreachableError, match="does not end the session"):
                lease.check()
        cursor.execute("SELECT pg_advisory_unlock_all()")
    lease.check()
    assert second.take(lease.name) is None


def test_a_network_that_is_silent_ends_the_session_before_its_leases_are_long_gone(holders: tuple[Holder, Holder]):
    """What is sent to nowhere does not keep a process from finding that out."""
    told = holders[0].connection.info.dsn_parameters
    assert told["tcp_user_timeout"] == str(leases.SECONDS * 1000)


def test_leases_are_renewed(url: str, monkeypatch: pytest.MonkeyPatch):
    """As long as the process lives, without being asked."""
    monkeypatch.setattr(leases, "RENEWED_EVERY", 0.05)
    holder = Holder(url)
    lease = taken(holder)
    run(url, "UPDATE system.leases SET expires_at = CURRENT_TIMESTAMP + INTERVAL '1 second'")
    limit = time.monotonic() + 10
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        seconds = 0.0
        while seconds < 20 and time.monotonic() < limit:
            cursor.execute("SELECT EXTRACT(EPOCH FROM expires_at - CURRENT_TIMESTAMP) FROM system.leases")
            seconds = float(cursor.fetchone()[0])
            time.sleep(0.02)
    assert seconds > 20
    lease.check()
    holder.end()


def test_who_waits_is_told_once_and_then_has_it(url: str, holders: tuple[Holder, Holder]):
    """In words."""
    said: list[str] = []
    lease = taken(holders[0])
    threading.Timer(0.3, lambda: holders[0].give_back(lease)).start()
    with leased(url, lease.name, said.append) as ours:
        assert ours.token > lease.token
    assert said == ["another process is at work on jobs of 1; waiting for it"]
