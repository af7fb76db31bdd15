"""Tables and views as Parquet files, for who has no database."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from store.folder import prepare_folder
from store.reader import Reader

GROUP = 50_000  # rows of a row group
LISTED = """SELECT table_schema, table_name FROM information_schema.tables
WHERE table_schema IN ('master', 'crm') ORDER BY table_schema, table_name"""
TYPES = {
    "bigint": pa.int64(),
    "integer": pa.int32(),
    "smallint": pa.int16(),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp with time zone": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
    "numeric": pa.decimal128(38, 6),
}
"""Arrow's types for PostgreSQL's; JSON and everything else is text, as DuckDB writes it too."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was written."""

    name: str  # schema.table
    path: Path
    rows: int


def export(reader: Reader, folder: Path) -> Iterator[Exported]:
    """Write each table and view of `master` and `crm` to `folder/schema/table.parquet`, in place of one that is there.

    Each is as of one moment. Raises StoreError.
    """
    for schema, table in reader.fetch(LISTED):
        path = prepare_folder(folder / str(schema)) / f"{table}.parquet"
        part = path.with_suffix(".part")
        write = of_postgres if reader.dialect == "postgres" else of_duckdb
        rows = write(reader, str(schema), str(table), part)
        part.replace(path)
        yield Exported(f"{schema}.{table}", path, rows)


def of_duckdb(reader: Reader, schema: str, table: str, path: Path) -> int:
    """Write one; how many rows it has."""
    target = str(path).replace("'", "''")
    query = f"COPY (SELECT * FROM {schema}.\"{table}\") TO '{target}' (FORMAT PARQUET, COMPRESSION ZSTD)"
    return int(reader.fetch(query)[0][0])


def of_postgres(reader: Reader, schema: str, table: str, path: Path) -> int:
    """Write one, a row group at a time; how many rows it has."""
    columns = reader.fetch(COLUMNS, (schema, table))
    arrow = pa.schema([(column, TYPES.get(kind, pa.string())) for column, kind in columns])
    picked = ", ".join(f'"{column}"' if kind in TYPES else f'CAST("{column}" AS TEXT)' for column, kind in columns)
    pieces = (batch(rows, arrow) for rows in reader.pieces(f'SELECT {picked} FROM {schema}."{table}"'))
    found = 0
    with pq.ParquetWriter(path, arrow, compression="zstd") as writer:
        for group in grouped(pieces):
            writer.write_table(group)
            found += group.num_rows
    return found


def grouped(pieces: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Pieces put together to tables of at least `GROUP` rows, except the last: a reader skips and unpacks whole groups."""
    gathered: list[pa.RecordBatch] = []
    for piece in pieces:
        gathered.append(piece)
        if sum(one.num_rows for one in gathered) >= GROUP:
            yield pa.Table.from_batches(gathered)
            gathered = []
    if gathered:
        yield pa.Table.from_batches(gathered)


COLUMNS = """SELECT column_name, data_type FROM information_schema.columns
WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position"""


def batch(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.RecordBatch:
    """Rows as Arrow."""
    values = zip(*rows, strict=True)
    return pa.record_batch([pa.array(list(each), kind.type) for each, kind in zip(values, schema, strict=True)], schema)
