"""The operations store: SQLite beside the embedded warehouse, or the schemas `system` and `outbound` of PostgreSQL.

One set of queries serves both: SQLite has no schemas, so there `system.sync_batches` is the table
`system_sync_batches`. Safe to use from several threads and processes. Business rows of
ServiceTitan never stand here.
"""

import re
import select
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import psycopg2
import psycopg2.errors
import psycopg2.extras

from store.exceptions import StoreUnreachableError, StoreUnwritableError, TakenError
from store.fitness import check_fit
from store.folder import prepare_folder
from store.lending import Lender
from store.migrating import (
    GUARDED,
    REQUIRE,
    Standing,
    apply,
    check,
    is_current,
    migrations,
    ours,
    refused,
    told_by,
)
from store.pooler import check_same, keeps_sessions
from store.server import reach, reachable
from store.session import WRITING, connect
from store.settings import Settings

HERE = Path(__file__).parent
ADVISORY_LOCK = 7_210_533_001  # any number, as long as every process uses the same
BATCH_LOCK = ADVISORY_LOCK + 1
CHANNEL = "lazi_outbound"  # of PostgreSQL's notifications
LONGEST_WAIT = 1.0  # seconds, where another process cannot wake
KNOWS_VERSIONS = 15  # the migration with which a store begins to remember the versions that had it
Row = dict[str, Any]
T = TypeVar("T")


def to_text(moment: datetime) -> str:
    """A moment as SQLite keeps it: text that sorts."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


sqlite3.register_converter("TIMESTAMPTZ", lambda raw: datetime.fromisoformat(raw.decode()))


WORK: dict[Path, threading.Event] = {}
"""By file, what wakes who waits for work in this process."""


@cache
def queries() -> dict[str, str]:
    """The named queries of all files in `queries/`."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted((HERE / "queries").glob("*.sql")))
    blocks = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)[1:]
    named = dict(zip(blocks[::2], blocks[1::2], strict=True))
    if twice := [name for name, times in Counter(blocks[::2]).items() if times > 1]:
        raise ValueError(f"There are several queries of the name {', '.join(twice)}.")
    return named


class Operations(Protocol):
    """What both stores do."""

    def run(self, query: str, **values: Any) -> list[Row]:
        """Run a named query in a transaction of its own; its rows, or nothing. Raises TakenError."""
        ...

    def run_all(self, query: str, values: Sequence[dict[str, Any]], *, every: bool = False) -> list[list[Row]]:
        """Run a named query with each of the values, in one transaction; the rows of each. Raises TakenError.

        With `every`, TakenError also where one of them returns no row; nothing is kept then.
        """
        ...

    def wake(self) -> None:
        """Tell who waits, in any process, that there is work."""
        ...

    def wait(self, seconds: float) -> bool:
        """Wait until somebody wakes, at most so long; whether somebody did."""
        ...

    def close(self) -> None:
        """Close what this thread uses; who asks again opens it anew."""
        ...


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Turn a file that cannot be read or written into a StoreUnwritableError."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StoreUnwritableError(
            f"The file `{path}` cannot be used: {error}. Is its disk full, or the file not a SQLite database? Make room; the "
            "next run goes on where this one stopped."
        ) from error


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


def check_every(query: str, found: list[list[Row]]) -> None:
    """Raise TakenError where a query returned no row for some of the values."""
    if missing := sum(not rows for rows in found):
        raise TakenError(f"`{query}`: {missing} of {len(found)} returned no row")


READS = re.compile(r"\A(?:--.*\n)*SELECT\b")


class SqliteOperations:
    """Operations in a SQLite file."""

    def __init__(self, path: Path, *, durable: bool = True, migrates: bool = True) -> None:
        """Open or create the file. `durable=False` trades the last moments before a power cut for speed.

        One that does not migrate is for a look.
        """
        prepare_folder(path.parent)
        self.path, self.durable = path, durable
        self.work = WORK.setdefault(path.resolve(), threading.Event())
        self.turn = threading.Lock()  # SQLite takes one writer at a time and lets others find out by sleeping
        self.opened: sqlite3.Connection | None = None
        self.upgrade_id = 0  # of the newest upgrade when this was opened
        if migrates:
            with writable(path):
                self.migrate()

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection, which threads use in turns: one of each thread's own would outlive it until Python finds its cycles."""
        if self.opened is None:
            connection = sqlite3.connect(
                self.path,
                timeout=60,
                isolation_level=None,
                detect_types=sqlite3.PARSE_DECLTYPES,
                check_same_thread=False,
            )
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={'FULL' if self.durable else 'OFF'}")
            self.opened = connection
        return self.opened

    def run(self, query: str, **values: Any) -> list[Row]:
        """See Operations.run."""
        if READS.search(queries()[query]):
            with writable(self.path), self.turn:
                return self.once(query, values)
        return self.run_all(query, [values])[0]

    def run_all(self, query: str, values: Sequence[dict[str, Any]], *, every: bool = False) -> list[list[Row]]:
        """See Operations.run_all."""
        writes = not READS.search(queries()[query])
        begin = "BEGIN IMMEDIATE" if writes else "BEGIN"  # the turn to write, at once
        with writable(self.path), self.turn, transaction(self.connection.execute, begin):
            if writes:
                self.require()
            found = [self.once(query, each) for each in values]
            if every:
                check_every(query, found)
        return found

    def once(self, query: str, values: dict[str, Any]) -> list[Row]:
        """Run a named query."""
        bound = {name: to_text(value) if isinstance(value, datetime) else value for name, value in values.items()}
        try:
            cursor = self.connection.execute(for_sqlite(queries()[query]), bound)
            return [dict(row) for row in cursor.fetchall()]
        except sqlite3.IntegrityError as error:
            raise TakenError(f"`{query}`: {error}") from error

    def wake(self) -> None:
        """See Operations.wake. Other processes look by themselves."""
        self.work.set()

    def wait(self, seconds: float) -> bool:
        """See Operations.wait."""
        found = self.work.wait(min(seconds, LONGEST_WAIT))
        self.work.clear()
        return found

    def require(self) -> None:
        """Raise NewerStoreError where a newer version has upgraded the store since this was opened."""
        if self.upgrade_id and (found := self.standing()).upgrade_id > self.upgrade_id:
            raise refused(found)

    def standing(self) -> Standing:
        """How far the tables are."""
        return standing(self.connection.execute("PRAGMA user_version").fetchone()[0], self.once)

    def migrate(self) -> None:
        """Bring the tables up to date; several processes may do so at once. Raises NewerStoreError, MigrationError."""
        execute = self.connection.execute
        with transaction(execute, "BEGIN IMMEDIATE"):
            found = self.standing()
            check(found)
            for number, text in migrations(after=found.number):
                apply(number, for_sqlite(text), execute)
                execute(f"PRAGMA user_version={number}")
            self.upgrade_id = noted(self.standing(), self.once)

    def close(self) -> None:
        """See Operations.close."""
        with self.turn:
            if self.opened is not None:
                self.opened.close()
            self.opened = None


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
                if not READS.search(queries()[query]):
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
            if not READS.search(queries()[query]):
                raise
            return self.asked(work)

    def asked(self, work: Callable[[Any], T]) -> T:
        """What `work` returns of a cursor. Raises StoreUnreachableError, and NewerStoreError where a guard ends it."""
        try:
            with self.cursor() as cursor:
                return work(cursor)
        except psycopg2.errors.RaiseException as error:
            raise refused(told_by(error)) from error

    def guard(self, query: str) -> str:
        """What goes before a query that writes, in the same message: it ends where a newer version has upgraded the store."""
        reads = READS.search(queries()[query]) or not self.upgrade_id
        return self.before + ("" if reads else GUARDED.format(upgrade_id=self.upgrade_id))

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

    def standing(self) -> Standing:
        """How far the tables are."""
        with self.cursor() as cursor:
            return self.seen(cursor)

    def seen(self, cursor: Any) -> Standing:
        """How far the tables are, as a transaction sees them."""
        cursor.execute(f"{self.before}SELECT to_regclass('system.migrations') AS known")
        known = cursor.fetchone()["known"]
        number = self.once(cursor, "migrations_done", {})[0]["number"] if known else 0
        return standing(number, partial(self.once, cursor))

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
            check(found)
            if is_current(found):
                self.upgrade_id = found.upgrade_id
                return
            check_fit(cursor)
            with transaction(cursor.execute, self.begin):
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", (ADVISORY_LOCK,))
                self.upgrade_id = self.migrated(cursor)

    def migrated(self, cursor: Any) -> int:
        """Bring the tables up to date in a transaction that only one process at a time has; the newest upgrade's id."""
        found = self.seen(cursor)
        check(found)
        if found.upgrade_id:
            cursor.execute("LOCK TABLE system.upgrades")  # who writes has read it, and who will write waits
        cursor.execute("CREATE SCHEMA IF NOT EXISTS system")
        cursor.execute("CREATE SCHEMA IF NOT EXISTS outbound")
        cursor.execute("CREATE TABLE IF NOT EXISTS system.migrations (number INT PRIMARY KEY, done_at TIMESTAMPTZ)")
        for number, text in migrations(after=found.number):
            apply(number, text, cursor.execute)
            self.once(cursor, "note_migration", {"number": number, "done_at": datetime.now(UTC)})
        cursor.execute(REQUIRE)
        return noted(self.seen(cursor), partial(self.once, cursor))

    def close(self) -> None:
        """See Operations.close. What this thread listens by, too."""
        self.lender.drop()
        if connection := self.local.__dict__.pop("listening", None):
            connection.close()


def open_operations(settings: Settings) -> Operations:
    """The operations store of these settings, migrated."""
    if settings.is_embedded:
        return SqliteOperations(settings.data_dir / "lazi-ops.sqlite")
    if settings.direct_url:
        check_same(settings.database_url, settings.direct_url)
    return PostgresOperations(settings.database_url, settings.direct_url)


def operations_as_they_are(settings: Settings) -> SqliteOperations | PostgresOperations | None:
    """The same for a look: nothing is made or migrated. None where there is no file yet."""
    if settings.is_embedded:
        path = settings.data_dir / "lazi-ops.sqlite"
        return SqliteOperations(path, migrates=False) if path.exists() else None
    return PostgresOperations(settings.database_url, settings.direct_url, migrates=False)


@contextmanager
def locked(connection: Any) -> Iterator[Any]:
    """A cursor in one transaction that only one process at a time holds."""
    with connection.cursor() as cursor, transaction(cursor.execute, "BEGIN ISOLATION LEVEL READ COMMITTED"):
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (ADVISORY_LOCK,))
        yield cursor


Once = Callable[[str, Row], list[Row]]


def standing(number: int, once: Once) -> Standing:
    """How far tables are, by the number of their newest migration and the row of their newest upgrade, if there is one."""
    rows = once("newest_upgrade", {}) if number >= KNOWS_VERSIONS else []
    return Standing(number, rows[0]["upgrade_id"], rows[0]["version"]) if rows else Standing(number)


def noted(found: Standing, once: Once) -> int:
    """Note that this version has the store, where its tables know of versions; the newest upgrade's id, or 0."""
    if found.number < KNOWS_VERSIONS or is_current(found):
        return found.upgrade_id
    upgrade_id = found.upgrade_id + 1
    row = {"upgrade_id": upgrade_id, "version": ours(), "number": found.number, "done_at": datetime.now(UTC)}
    once("note_upgrade", row)
    return upgrade_id


@cache
def for_sqlite(text: str) -> str:
    """A query for SQLite, which has no schemas, one writer at a time and numbers of its own."""
    text = re.sub(r"\b(system|outbound)\.(?=\w)", r"\1_", text)
    text = text.replace("FOR UPDATE SKIP LOCKED", "")
    return text.replace("BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY", "INTEGER PRIMARY KEY AUTOINCREMENT")


@cache
def bound_by_name(text: str) -> str:
    """A query for psycopg2: `:name` becomes `%(name)s`."""
    return re.sub(r"(?<![:\w]):(\w+)", r"%(\1)s", text.replace("%", "%%"))
