"""Connections to PostgreSQL that are lent for a statement or a transaction, so that threads may be many and connections few."""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from psycopg2.extensions import TRANSACTION_STATUS_IDLE

MOST = 8  # connections of one lender: PostgreSQL by default takes 100 of everybody


class Lender:
    """At most `MOST` connections; who asks for one more waits until one is given back."""

    def __init__(self, connected: Callable[[], Any]) -> None:
        """Nothing is connected yet."""
        self.connected = connected
        self.turns = threading.BoundedSemaphore(MOST)
        self.free: queue.LifoQueue[Any] = queue.LifoQueue()
        self.drops = 0

    @contextmanager
    def lent(self) -> Iterator[Any]:
        """A connection, for this thread until the end of the block. Whoever has one must not ask for another.

        One that was lost or left in the middle of something is closed, and so are all that are as old as a lost one: the
        server may have lost them too. Raises as `connected`.
        """
        with self.turns:
            drops = self.drops
            try:
                connection = self.free.get_nowait()
            except queue.Empty:
                connection = self.connected()
            try:
                yield connection
            finally:
                if connection.closed:
                    self.drop()
                elif drops != self.drops or connection.get_transaction_status() != TRANSACTION_STATUS_IDLE:
                    connection.close()
                else:
                    self.free.put(connection)

    def drop(self) -> None:
        """Close every connection: now, or when whoever uses it gives it back."""
        self.drops += 1
        with suppress(queue.Empty):
            while True:
                self.free.get_nowait().close()
