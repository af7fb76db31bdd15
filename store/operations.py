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
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import psycopg2
import psycopg2.errors
import psycopg2.extras

from store.exceptions import StoreUnreachableError, StoreUnwritableError, TakenError
from store.folder import prepare_folder
from store.lending import Lender
from store.settings import Settings

HERE = Path(__file__).parent
ADVISORY_LOCK = 7_210_533_001  # any number, as long as every process uses the same
BATCH_LOCK = ADVISORY_LOCK + 1
CHANNEL = "lazi_outbound"  # of PostgreSQL's notifications
LONGEST_WAIT = 1.0  # seconds, where another process cannot wake
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
LOST = (psycopg2.OperationalError, psycopg2.InterfaceError)
"""What psycopg2 raises for a connection that is lost; in the middle of an answer also its `DatabaseError`, and no kind of it."""


@contextmanager
def reachable() -> Iterator[None]:
    """Turn a PostgreSQL that went away into a StoreUnreachableError."""
    try:
        yield
    except (psycopg2.InterfaceError, psycopg2.DatabaseError) as error:
        if not isinstance(error, LOST) and type(error) is not psycopg2.DatabaseError:
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StoreUnreachableError(
            f"PostgreSQL went away: {reason}. What was written whole is kept; the next run goes on where this one stopped."
        ) from error


class SqliteOperations:
    """Operations in a SQLite file."""

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        """Open or create the file. `durable=False` trades the last moments before a power cut for speed."""
        prepare_folder(path.parent)
        self.path, self.durable = path, durable
        self.work = WORK.setdefault(path.resolve(), threading.Event())
        self.turn = threading.Lock()  # SQLite takes one writer at a time and lets others find out by sleeping
        self.opened: sqlite3.Connection | None = None
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
        with writable(self.path), self.turn:
            return self.once(query, values)

    def run_all(self, query: str, values: Sequence[dict[str, Any]], *, every: bool = False) -> list[list[Row]]:
        """See Operations.run_all."""
        begin = "BEGIN" if READS.search(queries()[query]) else "BEGIN IMMEDIATE"  # the turn to write, at once
        with writable(self.path), self.turn, transaction(self.connection.execute, begin):
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

    def migrate(self) -> None:
        """Bring the tables up to date; several processes may do so at once."""
        connection = self.connection
        with transaction(connection.execute, "BEGIN IMMEDIATE"):
            done = connection.execute("PRAGMA user_version").fetchone()[0]
            for number, text in migrations(after=done):
                for statement in statements(for_sqlite(text)):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version={number}")

    def close(self) -> None:
        """See Operations.close."""
        with self.turn:
            if self.opened is not None:
                self.opened.close()
            self.opened = None


class PostgresOperations:
    """Operations in PostgreSQL's schema `system`."""

    def __init__(self, url: str) -> None:
        """Connect and migrate. Raises StoreUnreachableError."""
        self.url, self.local = url, threading.local()
        self.lender = Lender(self.connected)
        self.migrate()

    def connected(self) -> Any:
        """A new connection. Raises StoreUnreachableError."""
        connection = connect(self.url)
        connection.autocommit = True
        return connection

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        """A cursor of a connection that is lent meanwhile. Raises StoreUnreachableError."""
        kind = psycopg2.extras.RealDictCursor
        with self.lender.lent() as connection, reachable(), connection.cursor(cursor_factory=kind) as cursor:
            yield cursor

    def run(self, query: str, **values: Any) -> list[Row]:
        """See Operations.run."""
        return self.tried(query, lambda cursor: self.once(cursor, query, values))

    def run_all(self, query: str, values: Sequence[dict[str, Any]], *, every: bool = False) -> list[list[Row]]:
        """See Operations.run_all. What writes goes one after another: two could wait for each other's rows."""

        def whole(cursor: Any) -> list[list[Row]]:
            with transaction(cursor.execute):
                if not READS.search(queries()[query]):
                    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (BATCH_LOCK,))
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
        """What `work` returns of a cursor. Raises StoreUnreachableError."""
        with self.cursor() as cursor:
            return work(cursor)

    @staticmethod
    def once(cursor: Any, query: str, values: dict[str, Any]) -> list[Row]:
        """Run a named query."""
        try:
            cursor.execute(bound_by_name(queries()[query]), values)
        except psycopg2.errors.UniqueViolation as error:
            raise TakenError(f"`{query}`: {str(error).splitlines()[0]}") from error
        return [dict(row) for row in cursor.fetchall()] if cursor.description else []

    def wake(self) -> None:
        """See Operations.wake."""
        with self.cursor() as cursor:
            cursor.execute(f"NOTIFY {CHANNEL}")

    def wait(self, seconds: float) -> bool:
        """See Operations.wait. A thread that waits listens from its first wait on, by a connection of its own."""
        connection = getattr(self.local, "listening", None)
        with reachable():
            if connection is None or connection.closed:
                connection = self.local.listening = self.connected()
                with connection.cursor() as cursor:
                    cursor.execute(f"LISTEN {CHANNEL}")
            connection.poll()
            if not connection.notifies:
                select.select([connection], [], [], seconds)
                connection.poll()
            found = bool(connection.notifies)
            connection.notifies.clear()
        return found

    def migrate(self) -> None:
        """Bring the tables up to date; several processes may do so at once."""
        with self.lender.lent() as connection, reachable(), locked(connection) as cursor:
            cursor.execute("CREATE SCHEMA IF NOT EXISTS system")
            cursor.execute("CREATE SCHEMA IF NOT EXISTS outbound")
            cursor.execute("CREATE TABLE IF NOT EXISTS system.migrations (number INT PRIMARY KEY, done_at TIMESTAMPTZ)")
            cursor.execute("SELECT COALESCE(MAX(number), 0) FROM system.migrations")
            for number, text in migrations(after=cursor.fetchone()[0]):
                cursor.execute(text)
                cursor.execute("INSERT INTO system.migrations VALUES (%s, NOW())", (number,))

    def close(self) -> None:
        """See Operations.close. What this thread listens by, too."""
        self.lender.drop()
        if connection := self.local.__dict__.pop("listening", None):
            connection.close()


def open_operations(settings: Settings) -> Operations:
    """The operations store of these settings, migrated."""
    if settings.is_embedded:
        return SqliteOperations(settings.data_dir / "lazi-ops.sqlite")
    return PostgresOperations(settings.database_url)


def connect(url: str, options: str = "", *, waits: bool = True) -> Any:
    """A PostgreSQL connection in UTC, and one whose calls return at once unless it `waits`.

    Raises StoreUnreachableError without the password.
    """
    try:
        return psycopg2.connect(url, options=f"-c timezone=UTC {options}", connect_timeout=10, async_=0 if waits else 1)
    except psycopg2.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        raise StoreUnreachableError(
            f"PostgreSQL does not answer: {reason}. Is the server running and `DATABASE_URL` right? Without "
            "`DATABASE_URL` the embedded DuckDB store is used."
        ) from None
    except psycopg2.ProgrammingError as error:
        reason = str(error).strip().splitlines()[0].partition('"')[0]
        raise StoreUnreachableError(
            f"`DATABASE_URL` cannot be read ({reason.strip()}). Write it as `postgresql://user:password@host:5432/database`."
        ) from None


@contextmanager
def locked(connection: Any) -> Iterator[Any]:
    """A cursor in one transaction that only one process at a time holds."""
    with connection.cursor() as cursor, transaction(cursor.execute):
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (ADVISORY_LOCK,))
        yield cursor


def migrations(after: int) -> list[tuple[int, str]]:
    """Number and text of each migration behind `after`."""
    found = sorted((HERE / "migrations").glob("*.sql"))
    numbered = [(int(path.name.partition("_")[0]), path.read_text(encoding="utf-8")) for path in found]
    return [(number, text) for number, text in numbered if number > after]


def statements(text: str) -> list[str]:
    """The statements of a migration, comments taken out; migrations hold no semicolon in a literal."""
    code = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    return [statement for statement in code.split(";") if statement.strip()]


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
