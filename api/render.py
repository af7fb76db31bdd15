"""Rows to bytes: JSON, a line of JSON a row, or CSV. Whole numbers and money keep every digit, moments are in UTC with a Z.

PostgreSQL hands over each row as JSON text, which is passed on as it is; DuckDB hands over values.
"""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from api.relations import Column

Row = tuple[Any, ...]
ENCODER = msgspec.json.Encoder(decimal_format="number")
DECODER = msgspec.json.Decoder(float_hook=Decimal)


def as_json(row: Row, columns: Sequence[Column], dialect: str) -> bytes:
    """A row as a JSON object."""
    if dialect == "postgres":
        return row[0].encode()  # type: ignore[no-any-return]
    values = zip(columns, row, strict=False)
    return ENCODER.encode({column.name: shown(column, value) for column, value in values})


def shown(column: Column, value: Any) -> Any:
    """A value as the encoder takes it: JSON as it is, moments with six digits of a second as PostgreSQL writes them."""
    if value is None:
        return None
    if column.type == "JSONB":
        return msgspec.Raw(msgspec.json.format(value, indent=-1) if "\n" in value else value.encode())
    return instant(value) if isinstance(value, datetime) else value


def instant(value: datetime) -> str:
    """A moment in UTC."""
    return value.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def array(rows: Iterable[Row], columns: Sequence[Column], dialect: str) -> bytes:
    """Rows as a JSON array."""
    if dialect == "postgres":
        return f"[{','.join([row[0] for row in rows])}]".encode()
    return b"[" + b",".join([as_json(row, columns, dialect) for row in rows]) + b"]"


def lines(rows: Iterable[Row], columns: Sequence[Column], dialect: str) -> bytes:
    """Rows as lines of JSON."""
    return b"".join([as_json(row, columns, dialect) + b"\n" for row in rows])


def table(rows: Iterable[Row], columns: Sequence[Column], dialect: str) -> bytes:
    """Rows as CSV (RFC 4180), without the header. NULL is an empty field."""
    text = io.StringIO()
    writer = csv.writer(text)
    names = [column.name for column in columns]
    for row in rows:
        if dialect == "postgres":
            record = DECODER.decode(row[0])
            writer.writerow([cell(record[name]) for name in names])
        else:
            writer.writerow([cell(value) for value in row[: len(columns)]])
    return text.getvalue().encode()


def cell(value: Any) -> Any:
    """A value as a CSV field. A text that a spreadsheet would take for a formula is told to be text."""
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return instant(value)
        case date():
            return value.isoformat()
        case dict() | list():
            return ENCODER.encode(value).decode()
        case str() if value.startswith(FORMULA):
            return f"'{value}"
    return value


FORMULA = ("=", "+", "-", "@", "\t", "\r")


def heading(columns: Sequence[Column]) -> bytes:
    """The header of a CSV."""
    text = io.StringIO()
    csv.writer(text).writerow([column.name for column in columns])
    return text.getvalue().encode()


Pieces = Callable[[Iterable[Row], Sequence[Column], str], bytes]
