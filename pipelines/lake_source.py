"""A lake as what is published comes from it: which tables stand behind names, which changed, and rows that are new in a snapshot.

A lake numbers its snapshots and knows of each row in which one it was written. So what is new is told by what was committed and
not by clocks, of which hosts have several. Maintenance that rewrites files only makes rows look newer than they are.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pipelines.published_source import New, Source
from pipelines.sides import PIECE, Batches
from store.lake import CATALOG, CATALOG_TABLES, DuckLake
from store.raw import IDENTITY
from store.settings import Settings
from store.transaction import transaction

VIEWS = f"""SELECT s.schema_name || '.' || v.view_name, v.sql FROM {CATALOG_TABLES}.ducklake_view AS v
INNER JOIN {CATALOG_TABLES}.ducklake_schema AS s ON s.schema_id = v.schema_id AND s.end_snapshot IS NULL
WHERE v.end_snapshot IS NULL AND s.schema_name IN ('master', 'crm')"""
TABLES = f"""SELECT s.schema_name || '.' || t.table_name, t.table_id FROM {CATALOG_TABLES}.ducklake_table AS t
INNER JOIN {CATALOG_TABLES}.ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
WHERE t.end_snapshot IS NULL AND s.schema_name IN ('master_store', 'crm_store')"""
OLDEST = f"SELECT MIN(snapshot_id) FROM {CATALOG_TABLES}.ducklake_snapshot"
CHANGES = f"SELECT changes_made FROM {CATALOG_TABLES}.ducklake_snapshot_changes WHERE snapshot_id > ?"
STORED = re.compile(r'(\w+_store)"?\."?(\w+)')
CHANGED = re.compile(r":(\d+)")
OVERLAP = "INTERVAL '1 day'"
"""Rows of a new snapshot that are older than the newest published one by more than this were only moved by maintenance."""


class LakeSource(Source):
    """A lake, by a connection of its own; for one thread."""

    def __init__(self, settings: Settings) -> None:
        """Open it. Raises StoreError."""
        self.warehouse = DuckLake(settings)
        self.cursor = self.warehouse.session()

    @contextmanager
    def looking(self) -> Iterator[int]:
        """See Source.looking."""
        with self.warehouse.filling(), transaction(self.cursor.execute):
            yield int(self.asked(f"SELECT id FROM {CATALOG}.current_snapshot()")[0][0])

    def asked(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self.cursor.execute(query, list(values)).fetchall()

    @property
    def identity(self) -> str:
        """See Source.identity."""
        return str(self.asked(IDENTITY)[0][0])

    def tables(self) -> dict[str, str]:
        """See Source.tables."""
        found = ((name, STORED.search(text)) for name, text in self.asked(VIEWS))
        return {name: f"{table[1]}.{table[2]}" for name, table in found if table}

    def changed(self, since: int) -> Collection[str] | None:
        """See Source.changed."""
        oldest = self.asked(OLDEST)[0][0]
        if oldest is None or oldest > since + 1:
            return None
        texts = [text for (text,) in self.asked(CHANGES, [since]) if text]
        ids = {int(number) for text in texts for number in CHANGED.findall(text)}
        return {name for name, number in self.asked(TABLES) if number in ids}

    def count(self, table: str) -> int:
        """See Source.count."""
        return int(self.asked(f"SELECT COUNT(*) FROM {table}")[0][0])

    def newest(self, table: str, column: str) -> Any:
        """See Source.newest."""
        return self.asked(f'SELECT MAX("{column}") FROM {table}')[0][0]

    def rows(self, table: str, columns: Sequence[tuple[str, str]], new: New | None) -> Batches:
        """See Source.rows."""
        chosen = ", ".join(f'CAST("{name}" AS TEXT)' if kind == "JSONB" else f'"{name}"' for name, kind in columns)
        query, values = f"SELECT {chosen} FROM {table}", list[Any]()
        if new:
            query += " WHERE snapshot_id > ?"
            values.append(new.snapshot)
            if new.watermark:
                query += f' AND "{new.column}" >= CAST(? AS TIMESTAMPTZ) - {OVERLAP}'
                values.append(new.watermark)
        return self.cursor.execute(query, values).to_arrow_reader(PIECE)  # type: ignore[no-any-return]

    def close(self) -> None:
        """See Source.close."""
        self.cursor.close()
        self.warehouse.close()
