"""HTTP connections, each lent to one thread at a time.

Threads that share one httpx client wait for its pool's lock: with forty of them that took three times as long as the
requests themselves.
"""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import httpx

TIMEOUT = httpx.Timeout(100.0, connect=10.0)  # ServiceTitan itself gives up after 100 s
MOST = 20  # connections at once


@cache
def certificates() -> ssl.SSLContext:
    """Whom to trust, read once: it takes a living process longer than many a request."""
    return httpx.create_ssl_context()


class Lines:
    """The connections to one host. Safe to use from several threads."""

    def __init__(self, most: int = MOST, timeout: httpx.Timeout = TIMEOUT) -> None:
        """Nothing is opened before it is needed."""
        self.timeout = timeout
        self.idle: list[httpx.Client] = []
        self.free = threading.BoundedSemaphore(most)

    @contextmanager
    def one(self) -> Iterator[httpx.Client]:
        """A client for this thread alone, the one that was used last if there is one; waits while all are lent out."""
        with self.free:
            try:
                http = self.idle.pop()
            except IndexError:
                http = httpx.Client(timeout=self.timeout, verify=certificates())
            try:
                yield http
            finally:
                self.idle.append(http)

    def close(self) -> None:
        """Let go of the connections that are not lent out."""
        while self.idle:
            self.idle.pop().close()
