"""A right that one process at a time holds: on PostgreSQL by an advisory lock, which ends with its process.

A DuckDB file belongs to one process anyway, so nothing is held there.
"""

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from store.operations import connect, reachable
from store.settings import Settings

SPACE = 7_210_533  # any number that other users of the database do not take


def silently(_: str) -> None:
    """Wait without a word."""


@contextmanager
def held(settings: Settings, right: str, waits: Callable[[str], None] = silently) -> Iterator[None]:
    """Hold a right, given by name. `waits` is told once, in words, when another process has it."""
    if settings.is_embedded:
        yield
        return
    connection = connect(settings.database_url)
    try:
        connection.autocommit = True
        place = (SPACE, zlib.crc32(right.encode()) - 2**31)
        with reachable(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", place)
            if not cursor.fetchone()[0]:
                waits(f"another process is at work on {right}; waiting for it")
                cursor.execute("SELECT pg_advisory_lock(%s, %s)", place)
        yield
    finally:
        connection.close()
