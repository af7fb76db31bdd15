"""The envelope of raw tables that an earlier version made: columns that it did not know yet are added, empty, at the next start.

Nothing is ever taken away or retyped there. A column that is demanded is demanded of new rows only where tables are new.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from store.raw import ENVELOPE, RawTable

COLUMNS = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'raw'"


def by_table(rows: Iterable[tuple[Any, ...]]) -> dict[str, set[str]]:
    """By table of the schema `raw` the names of its columns, from what `COLUMNS` returns."""
    found: dict[str, set[str]] = {}
    for table, column in rows:
        found.setdefault(table, set()).add(column)
    return found


def lacking(tables: Iterable[RawTable], known: dict[str, set[str]]) -> Iterator[tuple[str, str, str]]:
    """Table, column and type in PostgreSQL's words, for each column that a table which is there lacks."""
    for table in tables:
        if table.name in known:
            missing = (column for column in ENVELOPE if column[0] not in known[table.name])
            yield from ((table.name, name, kind or table.key_type.upper()) for name, kind, _ in missing)


def additions(tables: Iterable[RawTable], known: dict[str, set[str]], json_type: str) -> list[str]:
    """The statements that add what is lacking."""
    return [
        f'ALTER TABLE raw.{table} ADD COLUMN "{name}" {json_type if kind == "JSONB" else kind}'
        for table, name, kind in lacking(tables, known)
    ]
