"""Transactions, on either engine."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg2


@contextmanager
def transaction(execute: Callable[[str], object], begin: str = "BEGIN") -> Iterator[None]:
    """One transaction: what is executed inside is kept whole or not at all."""
    execute(begin)
    try:
        yield
        execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error, psycopg2.Error):  # the connection may be what failed
            execute("ROLLBACK")
        raise
