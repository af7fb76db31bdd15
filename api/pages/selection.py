"""Rows by the names of their columns, for pages: queries whose text never depends on a value."""

from collections.abc import Sequence
from typing import Any

from api.query import MARKS
from api.render import DECODER
from api.steps import Steps
from store.looped import Plan, Question

Record = dict[str, Any]


def selected(dialect: str, columns: Sequence[str], rest: str, values: Sequence[Any]) -> Steps[list[Record]]:
    """These columns, or expressions with a name behind `AS`, of what `rest` says, with `{mark}` for each value."""
    query = f"SELECT {', '.join(columns)} {rest}".format(mark=MARKS[dialect])
    names = [column.rpartition(" AS ")[2].rpartition(".")[2] for column in columns]
    rows = yield Question(query, values, Plan.SHARED)
    return [dict(zip(names, row, strict=True)) for row in rows]


def marks(count: int) -> str:
    """So many values of a list."""
    return ", ".join(["{mark}"] * count)


def document(value: Any) -> Any:
    """JSON as either engine hands it over: DuckDB as text."""
    return DECODER.decode(value) if isinstance(value, str) else value
