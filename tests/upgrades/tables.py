"""Operations tables as a test sees them: bare connections, what a schema is made of, rows that fit any table.

Nothing here goes through the code that migrates, so that it can look at a store which that code would refuse or change.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2

from store.settings import Settings
from store.sqlite_operations import for_sqlite, to_text

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
ROWS = 3  # in each table
OURS = frozenset({"system.migrations", "system.upgrades"})
"""Tables that tell of the migrations themselves: each upgrade adds to them."""

ALLOWED = re.compile(r"(\w+) (?:IN \(|= ANY \(\(?ARRAY\[)\s*'(\w+)'", re.IGNORECASE)
"""A column and the first value that a CHECK allows it, in either store's words."""


@dataclass(frozen=True)
class Column:
    """One column: its kind is text, number, truth or moment."""

    name: str
    kind: str
    is_given: bool  # a number that the store counts by itself otherwise


@dataclass
class Tables:
    """A connection to operations tables, past everything that would migrate them."""

    settings: Settings
    connection: Any

    @property
    def is_sqlite(self) -> bool:
        return self.settings.is_embedded

    def fetch(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query that names tables as PostgreSQL does."""
        cursor = self.connection.cursor()
        if self.is_sqlite:
            cursor.execute(for_sqlite(query), [to_text(v) if isinstance(v, datetime) else v for v in values])
        else:
            cursor.execute(query.replace("?", "%s"), values or None)
        return cursor.fetchall() if cursor.description else []

    def names(self) -> list[str]:
        """Every table, as `system.turns`."""
        if self.is_sqlite:
            rows = self.fetch(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
            )
            return [name.replace("_", ".", 1) for (name,) in rows]
        rows = self.fetch(
            "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('system', 'outbound') ORDER BY 1"
        )
        return [name for (name,) in rows]

    def execute(self, text: str) -> None:
        """Statements as they stand."""
        if self.is_sqlite:
            self.connection.executescript(text)
        else:
            self.connection.cursor().execute(text)

    def columns(self, table: str) -> list[Column]:
        """A table's columns in order."""
        if self.is_sqlite:
            [(text,)] = self.fetch(f"SELECT sql FROM sqlite_master WHERE name = '{for_sqlite(table)}'")
            counted = "AUTOINCREMENT" in text
            rows = self.fetch(
                f"SELECT name, type, {int(counted)} AND pk > 0 FROM pragma_table_info('{for_sqlite(table)}')"
            )
        else:
            schema, _, name = table.partition(".")
            rows = self.fetch(
                "SELECT column_name, data_type, is_identity = 'YES' FROM information_schema.columns "
                "WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position",
                schema,
                name,
            )
        return [Column(name, KINDS[kind.upper()], bool(counted)) for name, kind, counted in rows]

    def allowed(self, table: str) -> dict[str, str]:
        """By column a value that its CHECK allows."""
        if self.is_sqlite:
            [(text,)] = self.fetch(f"SELECT sql FROM sqlite_master WHERE name = '{for_sqlite(table)}'")
        else:
            rows = self.fetch(
                "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c' AND conrelid = CAST(? AS REGCLASS)",
                table,
            )
            text = " ".join(one for (one,) in rows)
        return dict(ALLOWED.findall(text))

    def fill(self, rows: int = ROWS, first: int = 0) -> dict[str, int]:
        """Put so many different rows into every table; how many each has then."""
        for table in self.names():
            if table in OURS:
                continue
            columns, allowed = self.columns(table), self.allowed(table)
            marks = ", ".join("?" * len(columns))
            insert = f"INSERT INTO {table} ({', '.join(one.name for one in columns)}) VALUES ({marks})"
            for number in range(first, first + rows):
                self.fetch(insert, *(value(one, number, allowed) for one in columns))
        return {table: len(rows) for table, rows in self.content().items()}

    def content(self, only: list[str] | None = None) -> dict[str, list[dict[str, Any]]]:
        """By table all its rows by column, in an order that does not depend on the store."""
        found = {}
        for table in self.names() if only is None else only:
            if table not in OURS:
                names = [one.name for one in self.columns(table)]
                rows = self.fetch(f"SELECT {', '.join(names)} FROM {table}")
                found[table] = sorted((dict(zip(names, row, strict=True)) for row in rows), key=str)
        return found

    def schema(self) -> list[tuple[Any, ...]]:
        """All that the tables are made of: columns, constraints, indexes, views, functions."""
        if self.is_sqlite:
            return self.fetch("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name")
        return [row for query in SCHEMA for row in self.fetch(query)]


KINDS = {
    "TEXT": "text",
    "BIGINT": "number",
    "INTEGER": "number",
    "SMALLINT": "number",
    "DOUBLE PRECISION": "number",
    "BOOLEAN": "truth",
    "TIMESTAMPTZ": "moment",
    "TIMESTAMP WITH TIME ZONE": "moment",
}

SCHEMA = (
    """SELECT 'column', table_schema, table_name, ordinal_position, column_name, data_type, is_nullable, column_default,
identity_generation FROM information_schema.columns WHERE table_schema IN ('system', 'outbound') ORDER BY 2, 3, 4""",
    """SELECT 'constraint', CAST(conrelid AS REGCLASS)::text, conname, pg_get_constraintdef(c.oid) FROM pg_constraint AS c
INNER JOIN pg_namespace AS n ON n.oid = c.connamespace WHERE n.nspname IN ('system', 'outbound') ORDER BY 2, 3""",
    """SELECT 'index', schemaname, indexname, indexdef FROM pg_indexes
WHERE schemaname IN ('system', 'outbound') ORDER BY 2, 3""",
    """SELECT 'view', schemaname, viewname, definition FROM pg_views
WHERE schemaname IN ('system', 'outbound') ORDER BY 2, 3""",
    """SELECT 'function', p.proname, pg_get_functiondef(p.oid) FROM pg_proc AS p
INNER JOIN pg_namespace AS n ON n.oid = p.pronamespace WHERE n.nspname IN ('system', 'outbound') ORDER BY 2""",
    """SELECT 'trigger', CAST(tgrelid AS REGCLASS)::text, tgname, pg_get_triggerdef(t.oid) FROM pg_trigger AS t
INNER JOIN pg_class AS r ON r.oid = t.tgrelid INNER JOIN pg_namespace AS n ON n.oid = r.relnamespace
WHERE n.nspname IN ('system', 'outbound') ORDER BY 2, 3""",
)


def value(column: Column, number: int, allowed: dict[str, str]) -> Any:
    """What a column holds in the row of this number; different in each row wherever that can be."""
    return {
        "text": allowed.get(column.name, f"{column.name} {number} with ' and % and ; and é"),
        "number": 1_000 + number,
        "truth": number % 2 == 0,
        "moment": NOON + timedelta(minutes=number),
    }[column.kind]


@contextmanager
def looking(settings: Settings) -> Iterator[Tables]:
    """The tables of a store, which is made, empty, where there is none."""
    if settings.is_embedded:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        connection: Any = sqlite3.connect(settings.data_dir / "lazi-ops.sqlite", isolation_level=None)
    else:
        connection = psycopg2.connect(settings.database_url, options="-c timezone=UTC")
        connection.autocommit = True
    with closing(connection):
        yield Tables(settings, connection)
