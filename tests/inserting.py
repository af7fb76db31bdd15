"""Rows that a test writes into a warehouse by itself."""

from collections.abc import Sequence
from typing import Any

from store.warehouse import DuckDB, Postgres


def insert(warehouse: DuckDB | Postgres, statement: str, values: Sequence[Any] = ()) -> int:
    """Run an INSERT in the engine's own dialect; how many rows it made."""
    if isinstance(warehouse, DuckDB):  # tells their number by itself; a lake gives no rows back
        return int(warehouse.fetch(statement, values)[0][0])
    return len(warehouse.fetch(f"{statement} RETURNING 1", values))
