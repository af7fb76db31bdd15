"""The original's database: opened read only, one snapshot at a time, read through cursors of the server's."""

import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg2
import psycopg2.extensions
from psycopg2 import sql

from pipelines.legacy.exceptions import LegacyError

FIRST_FETCH = 200  # rows, before one knows how large they are
LARGEST_FETCH = 20_000
FETCHED_BYTES = 12_000_000  # at which a fetch aims

COLUMNS = """
SELECT n.nspname, c.relname, a.attname, pg_catalog.format_type(a.atttypid, NULL)
FROM pg_catalog.pg_class AS c
INNER JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
INNER JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname NOT LIKE 'pg\\_temp%'
ORDER BY n.nspname, c.relname, a.attnum
"""
"""As information_schema has them, and also those that this user may not read: these must be told, not passed over."""

IDENTITY = """
SELECT EXTRACT(EPOCH FROM pg_postmaster_start_time())::TEXT, oid FROM pg_catalog.pg_database WHERE datname = current_database()
"""
SETTINGS = (
    "SET LOCAL TimeZone = 'UTC'",
    "SET LOCAL DateStyle = 'ISO, YMD'",
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
)
BYTEWISE = {"SQL_ASCII": "LATIN1"}  # text of no known encoding: its bytes, one a character

Name = tuple[str, str]
"""Schema and table."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name and its type in PostgreSQL's words."""

    name: str
    type: str


@dataclass(slots=True)
class Database:
    """The original's database. Its tables are looked up once."""

    dsn: str = field(repr=False)
    source: str = ""  # database at host:port
    encoding: str = "UTF8"  # in which text comes over the wire
    tables: dict[Name, tuple[Column, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Look at it. Raises LegacyError."""
        with self.snapshot() as connection, closing(connection.cursor()) as cursor:
            info = connection.info
            self.source = f"{info.dbname} at {info.host or 'localhost'}:{info.port}"
            cursor.execute("SHOW server_encoding")
            self.encoding = BYTEWISE.get(cursor.fetchone()[0], "UTF8")
            cursor.execute(COLUMNS)
            for schema, table, name, kind in cursor.fetchall():
                self.tables[schema, table] = (*self.tables.get((schema, table), ()), Column(name, kind))

    @contextmanager
    def snapshot(self) -> Iterator[Any]:
        """A connection in a transaction that sees one moment and cannot write. Raises LegacyError."""
        connection = connected(self.dsn)
        try:
            with told(self.source):
                connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
                if self.encoding != "UTF8":
                    connection.set_client_encoding(self.encoding)
                with closing(connection.cursor()) as cursor:
                    for setting in SETTINGS:
                        cursor.execute(setting)
                yield connection
        finally:
            with suppress(psycopg2.Error):
                connection.rollback()
            connection.close()

    def fetch(self, connection: Any, query: sql.Composable, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query that gives few."""
        with closing(connection.cursor()) as cursor:
            cursor.execute(query, list(values))
            return cursor.fetchall()  # type: ignore[no-any-return]

    def stream(
        self, connection: Any, query: sql.Composable, values: Sequence[Any], weighed: int
    ) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a query in lists of some megabytes; `weighed` is the number of the column that is large."""
        with closing(connection.cursor("lazi")) as cursor:
            cursor.execute(query, list(values))
            size = FIRST_FETCH
            while rows := cursor.fetchmany(size):
                yield rows
                each = sum(len(row[weighed] or "") for row in rows) / len(rows) + 200
                size = max(1, min(LARGEST_FETCH, int(FETCHED_BYTES / each), size * 8))

    def text(self, value: str | None) -> str | None:
        """A value that is text, where it came over the wire byte by byte."""
        return (
            value if value is None or self.encoding == "UTF8" else value.encode(self.encoding).decode(errors="replace")
        )

    @property
    def identity(self) -> Any:
        """What no other database of any server has, as long as the server runs."""
        with self.snapshot() as connection:
            return self.fetch(connection, sql.SQL(IDENTITY))[0]


def identity_of(dsn: str) -> Any:
    """The identity of another database, or None where it cannot be asked: whoever opens it will say why."""
    with (
        suppress(psycopg2.Error),
        closing(psycopg2.connect(dsn, connect_timeout=10)) as connection,
        closing(connection.cursor()) as cursor,
    ):
        cursor.execute(IDENTITY)
        return cursor.fetchone()
    return None


def connected(dsn: str) -> Any:
    """A connection. Raises LegacyError without the password."""
    try:
        return psycopg2.connect(checked(dsn), connect_timeout=10, application_name="lazi import-legacy")
    except psycopg2.OperationalError as error:
        raise LegacyError(
            f"The original's database does not answer: {reason_of(error, dsn)}. Is `--from` right, the server running, and "
            "may this machine connect?"
        ) from None


def checked(dsn: str) -> str:
    """A DSN that can be read. Raises LegacyError, which shows nothing of it."""
    advice = (
        "Write it as `postgresql://user@host:5432/database`; a password may also stand in `PGPASSWORD` or `~/.pgpass`."
    )
    if not dsn.strip():
        raise LegacyError(f"`--from` is empty. {advice}")
    scheme, separator, _ = dsn.partition("://")
    if separator and scheme not in {"postgresql", "postgres"}:
        is_scheme = re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]{0,19}", scheme)  # else it may hold a password
        shown = f"begins with `{scheme}://`, which" if is_scheme else "does not begin with `postgresql://` and"
        raise LegacyError(f"`--from` {shown} is no address of a PostgreSQL. {advice}")
    try:
        psycopg2.extensions.parse_dsn(dsn)
    except psycopg2.ProgrammingError:
        raise LegacyError(f"`--from` cannot be read. {advice}") from None
    return dsn


def line_of(error: BaseException) -> str:
    """An error in a line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def reason_of(error: BaseException, dsn: str) -> str:
    """The first line of an error, without the password."""
    text = line_of(error).rstrip(".")
    with suppress(psycopg2.Error):
        if password := psycopg2.extensions.parse_dsn(dsn).get("password"):
            text = text.replace(password, "(not shown)")
    return text


@contextmanager
def told(source: str) -> Iterator[None]:
    """Turn a connection that is lost in the middle into a LegacyError."""
    try:
        yield
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        reason = line_of(error)
        raise LegacyError(
            f"The original's database `{source}` went away: {reason}. What was taken over is kept; run the command again, it "
            "goes on where it stopped."
        ) from error
