"""Leases: rights to a piece of work, of which any number of processes and hosts have each at most one holder.

They stand in PostgreSQL (`system.leases`). A process has one session there, whose advisory lock tells that it lives: when it
dies, whoever asks next takes its leases over at once. One that lives and is cut off is overtaken when its leases run out, and
finds that out before it writes: each lease has a token that rises whenever it is taken.
"""

import atexit
import logging
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg2

from store.exceptions import StoreError, StoreUnreachableError
from store.server import reachable
from store.session import connect

SECONDS = 30  # that a lease holds without being renewed
RENEWED_EVERY = SECONDS / 3
HOLDERS = 7_210_534  # the space of the advisory locks that tell which holders live
SHORTEST_LOOK, LONGEST_LOOK = 0.02, 1.0  # seconds between two looks of who waits
TRIES, PAUSE = 40, 0.05  # to have our number, and the seconds between two: a session that is ended takes a moment

LIVES = f"""FROM pg_locks AS p INNER JOIN pg_database AS d ON d.oid = p.database
  WHERE p.locktype = 'advisory' AND d.datname = CURRENT_DATABASE()
    AND p.classid = {HOLDERS} AND p.objid = CAST({{holder}} AS OID)"""
"""The session that tells that a holder lives."""

TAKE = f"""
INSERT INTO system.leases AS l (name, holder, token, expires_at)
VALUES (%(name)s, %(holder)s, 1, CURRENT_TIMESTAMP + INTERVAL '{SECONDS} seconds')
ON CONFLICT (name) DO UPDATE SET holder = EXCLUDED.holder, token = l.token + 1, expires_at = EXCLUDED.expires_at
WHERE l.holder IS NULL OR l.holder = EXCLUDED.holder OR l.expires_at < CURRENT_TIMESTAMP OR NOT EXISTS (
  SELECT 1 {LIVES.format(holder="l.holder")}
)
RETURNING token"""
"""Free, run out, of a holder that is dead, or ours and not in use: it could not be given back, or the answer was lost."""

RENEW = f"""
UPDATE system.leases SET expires_at = CURRENT_TIMESTAMP + INTERVAL '{SECONDS} seconds'
WHERE holder = %(holder)s
  AND (name, token) IN (SELECT * FROM UNNEST(CAST(%(names)s AS TEXT[]), CAST(%(tokens)s AS BIGINT[])))
RETURNING name, token"""

GIVE_BACK = "UPDATE system.leases SET holder = NULL WHERE name = %(name)s AND holder = %(holder)s AND token = %(token)s"

TELL = f"SELECT pg_try_advisory_lock({HOLDERS}, %(holder)s)"
END_FORMER = f"SELECT pg_terminate_backend(p.pid) {LIVES.format(holder='%(holder)s')} AND p.pid <> pg_backend_pid()"
"""Ours that we lost, which the server may not know for hours: whose number it is may end it."""

log = logging.getLogger(__name__)


class LeaseLostError(StoreError):
    """Another process has taken a piece of work over."""


@dataclass(slots=True)
class Lease:
    """A right that this process has. `token` rises whenever it changes hands."""

    holder: "Holder"
    name: str
    token: int

    def check(self) -> None:
        """See that it is still ours, and renew it. Raises LeaseLostError, StoreUnreachableError."""
        if (self.name, self.token) not in self.holder.renewed():
            raise LeaseLostError(
                f"Another process has taken over {self.name}: nothing was heard of this one for {SECONDS} s. It goes on there; "
                "nothing is written here."
            )


class Holder:
    """This process, as one database knows it: its session, its number, and what renews its leases."""

    def __init__(self, url: str) -> None:
        """By an address that leads to sessions. Raises StoreUnreachableError."""
        self.url, self.number = url, secrets.randbelow(2**31)
        self.turn, self.over = threading.RLock(), threading.Event()
        self.connection: Any = None
        self.used: dict[str, int] = {}  # by name, the tokens of leases that are in use here
        self.asked("SELECT 1", {})
        self.thread = threading.Thread(target=self.renew_always, name="leases", daemon=True)
        self.thread.start()

    def asked(self, statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        """What a statement returns. A session that was lost is made anew. Raises StoreUnreachableError."""
        with self.turn:
            try:
                return self.once(statement, values)
            except StoreUnreachableError:
                self.leave()
                return self.once(statement, values)

    def once(self, statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        """What a statement returns, on a session that tells that we live."""
        with reachable():
            if self.connection is None or self.connection.closed:
                self.connection = self.connected()
            with self.connection.cursor() as cursor:
                cursor.execute(statement, {"holder": self.number} | values)
                return cursor.fetchall() if cursor.description else []

    def connected(self) -> Any:
        """A session that tells that we live. One of ours that was lost without the server's knowing is ended.

        Raises StoreUnreachableError.
        """
        with ExitStack() as stack:
            connection = connect(self.url, {"application_name": "lazi leases"}, lost_after=SECONDS)
            stack.callback(connection.close)
            connection.autocommit = True
            with connection.cursor() as cursor:
                for _ in range(TRIES):
                    cursor.execute(TELL, {"holder": self.number})
                    if cursor.fetchone()[0]:
                        stack.pop_all()
                        return connection
                    cursor.execute(END_FORMER, {"holder": self.number})
                    time.sleep(PAUSE)
        raise StoreUnreachableError(
            "PostgreSQL does not end the session by which this process had its leases, and which was lost. It is asked again."
        )

    def leave(self) -> None:
        """Close the session, which may be lost."""
        with suppress(psycopg2.Error):
            if self.connection is not None:
                self.connection.close()
        self.connection = None

    def take(self, name: str) -> Lease | None:
        """A lease, if it can be had now; what is in use here cannot."""
        with self.turn:
            found = [] if name in self.used else self.asked(TAKE, {"name": name})
            if not found:
                return None
            self.used[name] = int(found[0][0])
            return Lease(self, name, self.used[name])

    def give_back(self, lease: Lease) -> None:
        """Let a lease go; one that was lost stays whose it is."""
        with self.turn, suppress(StoreError):  # then it runs out, because it is no longer renewed
            if self.used.get(lease.name) == lease.token:
                del self.used[lease.name]
            self.asked(GIVE_BACK, {"name": lease.name, "token": lease.token})

    def renewed(self) -> set[tuple[str, int]]:
        """Renew all leases that are in use here; names and tokens of those that still are ours. Raises StoreUnreachableError."""
        with self.turn:
            found = self.asked(RENEW, {"names": list(self.used), "tokens": list(self.used.values())})
        return {(name, token) for name, token in found}

    def renew_always(self) -> None:
        """Renew as long as this process lives."""
        while not self.over.wait(RENEWED_EVERY):
            try:
                self.renewed()
            except (StoreError, psycopg2.Error) as error:
                log.warning("leases could not be renewed: %s", error)

    def end(self) -> None:
        """Let everything go."""
        self.over.set()
        with self.turn:
            self.leave()


HOLDERS_HERE: dict[str, Holder] = {}
CHANGING = threading.Lock()


def holder_of(url: str) -> Holder:
    """This process, as the database at an address knows it."""
    with CHANGING:
        if url not in HOLDERS_HERE:
            HOLDERS_HERE[url] = Holder(url)
            if len(HOLDERS_HERE) == 1:
                atexit.register(end_all)
        return HOLDERS_HERE[url]


def end_all() -> None:
    """Let everything go everywhere, as a process ends."""
    with CHANGING:
        for holder in HOLDERS_HERE.values():
            holder.end()
        HOLDERS_HERE.clear()


@contextmanager
def leased(url: str, name: str, waits: Callable[[str], None]) -> Iterator[Lease]:
    """Hold a lease; `waits` is told once, in words, when somebody else has it. Raises StoreUnreachableError."""
    holder, pause, is_told = holder_of(url), SHORTEST_LOOK, False
    while (lease := holder.take(name)) is None:
        if not is_told:
            waits(f"another process is at work on {name}; waiting for it")
            is_told = True
        time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  no secret
        pause = min(pause * 2, LONGEST_LOOK)
    try:
        yield lease
    finally:
        holder.give_back(lease)


@contextmanager
def leased_if_free(url: str, name: str) -> Iterator[Lease | None]:
    """Hold a lease if nobody has it. Raises StoreUnreachableError."""
    holder = holder_of(url)
    lease = holder.take(name)
    try:
        yield lease
    finally:
        if lease is not None:
            holder.give_back(lease)
