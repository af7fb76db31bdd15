"""A right that one thread of one process at a time holds.

On PostgreSQL an advisory lock holds it between processes and ends with its process; work that is shared out among many, as reads
are, is held by a lease instead (`store.leases`), which takes no connection of its own and can be seen to be lost. A DuckDB
file belongs to one process anyway, so there everything is held within this one alone.
"""

import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2

from store import leases
from store.server import reachable
from store.session import connect
from store.settings import Settings

NOTICED = "SET client_connection_check_interval = '5s'"
"""Has a server notice soon that who waits was killed; otherwise its session waits on until the right is free."""
SPACE = 7_210_533  # any number that other users of the database do not take
HERE: dict[tuple[str, str], threading.RLock] = {}
"""By store and right, what threads of this process hold."""
CHANGING = threading.Lock()


Check = Callable[[], None]


def silently(_: str) -> None:
    """Wait without a word."""


@contextmanager
def held(settings: Settings, right: str, waits: Callable[[str], None] = silently) -> Iterator[None]:
    """Hold a right, given by name. `waits` is told once, in words, when somebody else has it."""
    with held_here(settings, right, waits):
        if settings.is_embedded:
            yield
            return
        connection = connect(settings.session_url)
        try:
            connection.autocommit = True
            place = place_of(right)
            with reachable(), connection.cursor() as cursor:
                cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", place)
                if not cursor.fetchone()[0]:
                    waits(f"another process is at work on {right}; waiting for it")
                    with suppress(psycopg2.Error):  # some systems do not tell a server
                        cursor.execute(NOTICED)
                    cursor.execute("SELECT pg_advisory_lock(%s, %s)", place)
            yield
        finally:
            let_go(connection)


@contextmanager
def leased(settings: Settings, right: str, waits: Callable[[str], None] = silently) -> Iterator[Check]:
    """Hold a right to work by a lease. What it gives raises LeaseLostError when somebody has taken the work over."""
    with held_here(settings, right, waits):
        if settings.is_embedded:
            yield keep
            return
        with leases.leased(settings.session_url, right, waits) as lease:
            yield lease.check


@contextmanager
def leased_if_free(settings: Settings, right: str) -> Iterator[bool]:
    """Hold a right to work if nobody has it; whether it is held."""
    lock = lock_of(settings, right)
    if not lock.acquire(blocking=False):
        yield False
        return
    try:
        if settings.is_embedded:
            yield True
            return
        with leases.leased_if_free(settings.session_url, right) as lease:
            yield lease is not None
    finally:
        lock.release()


def keep() -> None:
    """Nobody can take anything over."""


def let_go(connection: Any) -> None:
    """Give a right back now: the server notices a closed connection a moment later."""
    with suppress(psycopg2.Error), connection.cursor() as cursor:  # one that is lost holds nothing
        cursor.execute("SELECT pg_advisory_unlock_all()")
    connection.close()


def place_of(right: str) -> tuple[int, int]:
    """The numbers by which PostgreSQL knows a right."""
    return SPACE, zlib.crc32(right.encode()) - 2**31


@contextmanager
def memory_held(settings: Settings) -> Iterator[None]:
    """Hold the right to much of the embedded store's memory, which loads and models would take from each other."""
    if not settings.is_embedded:
        yield
        return
    with held(settings, "the embedded store's memory"):
        yield


@contextmanager
def held_here(settings: Settings, right: str, waits: Callable[[str], None]) -> Iterator[None]:
    """Hold a right among this process's threads."""
    lock = lock_of(settings, right)
    if not lock.acquire(blocking=False):
        waits(f"another task is at work on {right}; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def lock_of(settings: Settings, right: str) -> threading.RLock:
    """What threads of this process hold for a right."""
    with CHANGING:
        return HERE.setdefault((settings.database_url or str(settings.data_dir.resolve()), right), threading.RLock())
