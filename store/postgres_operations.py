"""Operations in the schemas `system` and `outbound` of PostgreSQL."""

import re
import select
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, TypeVar

import psycopg2
import psycopg2.errors
import psycopg2.extras

from store import migrating
from store.exceptions import StoreUnreachableError, TakenError
from store.fitness import check_fit
from store.lending import Lender
from store.named_queries import Row, check_every, only_reads, queries
from store.pooler import keeps_sessions
from store.server import reach, reachable
from store.session import WRITING, connect
from store.transaction import transaction

ADVISORY_LOCK = 7_210_533_001  # any number, as long as every process uses the same
BATCH_LOCK = ADVISORY_LOCK + 1
CHANNEL = "lazi_outbound"  # of PostgreSQL's notifications
LONGEST_WAIT = 1.0  # seconds, where a pooler hides that another process wakes
T = TypeVar("T")


@cache
def bound_by_name(text: str) -> str:
    """A query for psycopg2: `:name` becomes `%(name)s`."""
    return re.sub(r"(?<![:\w]):(\w+)", r"%(\1)s", text.replace("%", "%%"))


@contextmanager
def locked(connection: Any) -> Iterator[Any]:
    """A cursor in one transaction that only one process at a time holds."""
    with connection.cursor() as cursor, transaction(cursor.execute, "BEGIN ISOLATION LEVEL READ COMMITTED"):
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (ADVISORY_LOCK,))
        yield cursor


KNOWN = "SELECT COUNT(*) > 0 AS known FROM pg_tables WHERE schemaname = 'system' AND tablename = 'migrations'"


class PostgresOperations:
    """Operations in PostgreSQL's schema `system`, also through a pooler that keeps no sessions."""

    def __init__(self, url: str, direct_url: str = "", *, migrates: bool = True) -> None:
        """Connect and migrate. `direct_url` leads past a pooler, where there is one. Raises StoreUnreachableError.

        One that does not migrate is for a look.
        """
        self.url, self.direct_url, self.local = url, direct_url or url, threading.local()
        self.listens = keeps_sessions(self.direct_url)
        self.work = threading.Event()  # which wakes those of this process that cannot listen
        self.before = "" if keeps_sessions(url) else WRITING  # what a transaction begins with
        self.begin = f"BEGIN ISOLATION LEVEL READ COMMITTED; {self.before}"
        self.lender = Lender(self.connected)
        self.upgrade_id = 0  # of the newest upgrade when this was opened
        if migrates:
            self.migrate()

    def connected(self) -> Any:
        """A new connection. Raises StoreUnreachableError."""
        connection = reach(self.url) if self.before else connect(self.url)
        connection.autocommit = True
        return connection

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        """A cursor of a connection that is lent meanwhile. Raises StoreUnreachableError, StoreRightsError."""
        kind = psycopg2.extras.RealDictCursor
        with self.lender.lent() as connection, reachable(), connection.cursor(cursor_factory=kind) as cursor:
            yield cursor

    def run(self, query: str, **values: Any) -> list[Row]:
        """See Operations.run."""
        return self.tried(query, lambda cursor: self.once(cursor, query, values, self.guard(query)))

    def run_all(self, query: str, values: Sequence[dict[str, Any]], *, every: bool = False) -> list[list[Row]]:
        """See Operations.run_all. What writes goes one after another: two could wait for each other's rows."""

        def whole(cursor: Any) -> list[list[Row]]:
            with transaction(cursor.execute, self.begin):
                if not only_reads(query):
                    cursor.execute(f"{self.guard(query)}SELECT pg_advisory_xact_lock(%s)", (BATCH_LOCK,))
                found = [self.once(cursor, query, each) for each in values]
                if every:
                    check_every(query, found)
            return found

        return self.tried(query, whole)

    def tried(self, query: str, work: Callable[[Any], T]) -> T:
        """What `work` returns of a cursor; tried twice where the query only reads: its connection may have been lost long ago."""
        try:
            return self.asked(work)
        except StoreUnreachableError:
            if not only_reads(query):
                raise
            return self.asked(work)

    def asked(self, work: Callable[[Any], T]) -> T:
        """What `work` returns of a cursor. Raises StoreUnreachableError, and NewerStoreError where a guard ends it."""
        try:
            with self.cursor() as cursor:
                return work(cursor)
        except psycopg2.errors.RaiseException as error:
            raise migrating.refused(migrating.told_by(error)) from error

    def guard(self, query: str) -> str:
        """What goes before a query that writes, in the same message: it ends where a newer version has upgraded the store."""
        reads = only_reads(query) or not self.upgrade_id
        return self.before + ("" if reads else migrating.GUARDED.format(upgrade_id=self.upgrade_id))

    @staticmethod
    def once(cursor: Any, query: str, values: dict[str, Any], guard: str = "") -> list[Row]:
        """Run a named query behind a guard. Raises TakenError."""
        try:
            cursor.execute(guard + bound_by_name(queries()[query]), values)
        except psycopg2.errors.UniqueViolation as error:
            raise TakenError(f"`{query}`: {str(error).splitlines()[0]}") from error
        return [dict(row) for row in cursor.fetchall()] if cursor.description else []

    def wake(self) -> None:
        """See Operations.wake."""
        self.work.set()
        with self.cursor() as cursor:
            cursor.execute(f"NOTIFY {CHANNEL}")

    def wait(self, seconds: float) -> bool:
        """See Operations.wait. A thread that waits listens from its first wait on, by a connection of its own."""
        if not self.listens:
            found = self.work.wait(min(seconds, LONGEST_WAIT))
            self.work.clear()
            return found
        connection = getattr(self.local, "listening", None)
        with reachable():
            if connection is None or connection.closed:
                connection = self.local.listening = connect(self.direct_url)
                connection.autocommit = True
                with connection.cursor() as cursor:
                    cursor.execute(f"LISTEN {CHANNEL}")
            connection.poll()
            if not connection.notifies:
                select.select([connection], [], [], seconds)
                connection.poll()
            found = bool(connection.notifies)
            connection.notifies.clear()
        return found

    def standing(self) -> migrating.Standing:
        """How far the tables are."""
        with self.cursor() as cursor:
            return self.seen(cursor)

    def seen(self, cursor: Any) -> migrating.Standing:
        """How far the tables are, as a transaction sees them.

        By a table of the catalog: `to_regclass` may tell what a session remembers of before it waited for others.
        """
        cursor.execute(f"{self.before}{KNOWN}")
        known = cursor.fetchone()["known"]
        number = self.once(cursor, "migrations_done", {})[0]["number"] if known else 0
        return migrating.standing(number, partial(self.once, cursor))

    def migrate(self) -> None:
        """Bring the tables up to date; several processes may do so at once. Raises NewerStoreError, MigrationError.

        Where they are, nothing is created: a role that may not do that can use them.
        """
        with self.cursor() as cursor:
            try:
                found = self.seen(cursor)
            except psycopg2.errors.InsufficientPrivilege:
                check_fit(cursor)  # which names all that is lacking
                raise
            migrating.check(found)
            if migrating.is_current(found):
                self.upgrade_id = found.upgrade_id
                return
            check_fit(cursor)
            with transaction(cursor.execute, self.begin):
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", (ADVISORY_LOCK,))
                self.upgrade_id = self.migrated(cursor)

    def migrated(self, cursor: Any) -> int:
        """Bring the tables up to date in a transaction that only one process at a time has; the newest upgrade's id."""
        found = self.seen(cursor)
        migrating.check(found)
        if found.upgrade_id:
            cursor.execute("LOCK TABLE system.upgrades")  # who writes has read it, and who will write waits
        cursor.execute("CREATE SCHEMA IF NOT EXISTS system")
        cursor.execute("CREATE SCHEMA IF NOT EXISTS outbound")
        cursor.execute("CREATE TABLE IF NOT EXISTS system.migrations (number INT PRIMARY KEY, done_at TIMESTAMPTZ)")
        for number, text in migrating.migrations(after=found.number):
            migrating.apply(number, text, cursor.execute)
            self.once(cursor, "note_migration", {"number": number, "done_at": datetime.now(UTC)})
        cursor.execute(migrating.REQUIRE)
        return migrating.noted(self.seen(cursor), partial(self.once, cursor))

    def close(self) -> None:
        """See Operations.close. What this thread listens by, too."""
        self.lender.drop()
        if connection := self.local.__dict__.pop("listening", None):
            connection.close()
