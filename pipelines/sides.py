"""What a copy from one warehouse to another asks of each: what stands in its schema `raw`, rows in order to go, rows that came.

Rows are compared by a digest that PostgreSQL and DuckDB make alike, of all columns but the payload, which its hash stands for.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.csv

from store.lake import DuckLake
from store.raw import Key
from store.server import reachable
from store.session import connect
from store.transaction import transaction
from store.warehouse import Postgres

PIECE = 500  # rows in memory at once
BUCKET = "key_bucket"
ARROW = {
    "BIGINT": pa.int64(),
    "SMALLINT": pa.int16(),
    "TEXT": pa.string(),
    "BOOLEAN": pa.bool_(),
    "TIMESTAMPTZ": pa.timestamp("us", tz="UTC"),
    "JSON": pa.string(),
}
"""Types of columns in `raw`, as both engines take them in a statement."""
KINDS = {
    "bigint": "BIGINT",
    "smallint": "SMALLINT",
    "text": "TEXT",
    "character varying": "TEXT",
    "varchar": "TEXT",
    "boolean": "BOOLEAN",
    "timestamp with time zone": "TIMESTAMPTZ",
    "jsonb": "JSON",
    "json": "JSON",
}
COLUMNS = """SELECT table_name, column_name, LOWER(data_type), is_nullable = 'NO' FROM information_schema.columns
WHERE table_schema = 'raw' AND table_catalog = CURRENT_DATABASE() ORDER BY table_name, ordinal_position"""


class Column(NamedTuple):
    """A column: its name, its type as a key of ARROW, and whether a value is demanded."""

    name: str
    kind: str
    demanded: bool


class Mark(NamedTuple):
    """What stands in a bucket: how many rows, and the sum of their digests."""

    rows: int
    digest: int


@dataclass(frozen=True, slots=True)
class Shape:
    """A table in `raw`. One without buckets has all its rows in bucket 0."""

    name: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Its columns' names, in quotes."""
        return tuple(f'"{column.name}"' for column in self.columns)

    @property
    def bucket(self) -> str:
        """By what its rows are told apart."""
        return BUCKET if any(column.name == BUCKET for column in self.columns) else "0"

    @property
    def arrow(self) -> pa.Schema:
        """Its columns, the payload as text."""
        return pa.schema([(column.name, ARROW[column.kind]) for column in self.columns])

    def create(self) -> str:
        """The statement that makes it where it is not there."""
        lines = [f'"{one.name}" {one.kind}{" NOT NULL" if one.demanded else ""}' for one in self.columns]
        return f"CREATE TABLE IF NOT EXISTS raw.{self.name} ({', '.join(lines)})"

    def of(self, buckets: Sequence[int]) -> str:
        """The condition for the rows of these buckets."""
        return f"{self.bucket} IN ({', '.join(map(str, buckets))})"

    def rows(self, buckets: Sequence[int]) -> str:
        """The query for all rows of these buckets, the payload as text."""
        chosen = (
            f'CAST("{column.name}" AS TEXT) AS "{column.name}"' if column.kind == "JSON" else f'"{column.name}"'
            for column in self.columns
        )
        return f"SELECT {', '.join(chosen)} FROM raw.{self.name} WHERE {self.of(buckets)}"


MARKS = """SELECT bucket, COUNT(*), SUM(digest) FROM (
SELECT {bucket} AS bucket, {digest} AS digest FROM raw.{table}
) AS rows_of_it GROUP BY bucket"""
DIGESTS = "SELECT {digest} FROM raw.{table} WHERE {buckets}"
LATEST = "SELECT tenant_id, st_id, MAX(synced_at) FROM raw.{table} WHERE {buckets} GROUP BY tenant_id, st_id"


def shaped(rows: Iterable[tuple[Any, ...]]) -> dict[str, Shape]:
    """Tables by name, of what `COLUMNS` finds. Columns of types that we never made are left out."""
    found: dict[str, list[Column]] = {}
    for table, name, kind, demanded in rows:
        if kind in KINDS:
            found.setdefault(table, []).append(Column(name, KINDS[kind], bool(demanded)))
    return {table: Shape(table, tuple(columns)) for table, columns in found.items()}


def digested(shape: Shape, microseconds: str) -> str:
    """A row as one text: NULL is told from what is empty, and the order of columns is their names'."""
    parts = []
    for name, kind, _ in sorted(shape.columns):
        value = microseconds.format(name=name) if kind == "TIMESTAMPTZ" else f'"{name}"'
        if kind != "JSON":
            parts.append(f"COALESCE('=' || CAST({value} AS TEXT), '')")
    return " || '|' || ".join(parts)


def postgres_digest(shape: Shape) -> str:
    """60 bits of a row's SHA-256, in PostgreSQL."""
    text = digested(shape, 'CAST(EXTRACT(EPOCH FROM "{name}") * 1000000 AS BIGINT)')
    return f"CAST(CAST('x' || SUBSTR(ENCODE(SHA256(CONVERT_TO({text}, 'UTF8')), 'hex'), 1, 15) AS BIT(60)) AS BIGINT)"


def duckdb_digest(shape: Shape) -> str:
    """The same, in DuckDB."""
    text = digested(shape, 'EPOCH_US("{name}")')
    return f"CAST('0x' || SUBSTR(SHA256({text}), 1, 15) AS BIGINT)"


@dataclass(frozen=True, slots=True)
class Piece:
    """Buckets of a table that are replaced, or filled where nothing stands in them."""

    shape: Shape
    buckets: tuple[int, ...]
    rows: int
    replaces: bool

    @property
    def clearing(self) -> str:
        """The statement that empties them."""
        return f"DELETE FROM raw.{self.shape.name} WHERE {self.shape.of(self.buckets)}"


Batches = Iterator[pa.RecordBatch]


class Side(Protocol):
    """A warehouse that rows go from or come to. For one thread."""

    def looking(self) -> AbstractContextManager[None]:
        """A time in which only is asked, as of one moment where that costs less."""
        ...

    def shapes(self) -> dict[str, Shape]:
        """The tables in `raw`, by name."""
        ...

    def marks(self, shape: Shape) -> dict[int, Mark]:
        """What stands in each bucket that is not empty."""
        ...

    def digests(self, shape: Shape, bucket: int) -> set[int]:
        """Of each row in a bucket."""
        ...

    def values(self, shape: Shape, column: str) -> set[str]:
        """What stands in a column of texts."""
        ...

    def latest(self, shape: Shape, bucket: int) -> dict[tuple[int, Key], datetime]:
        """When the last version of each record in a bucket landed, by tenant and key."""
        ...

    def run(self, statements: Iterable[str]) -> None:
        """Run statements in one transaction."""
        ...

    def batches(self, piece: Piece) -> Batches:
        """All rows of a piece, a few at a time."""
        ...

    def put(self, pieces: Iterable[Piece], rows: Callable[[Piece], Batches]) -> None:
        """Have these rows in these pieces and none else, in one transaction."""
        ...


class Asked:
    """What is asked in the same words on both engines."""

    digest: Callable[[Shape], str]

    def __init__(self, warehouse: DuckLake | Postgres) -> None:
        """Of an open warehouse."""
        self.opened = warehouse

    def looking(self) -> AbstractContextManager[None]:
        """See Side.looking."""
        return nullcontext()

    def shapes(self) -> dict[str, Shape]:
        """See Side.shapes."""
        return shaped(self.opened.fetch(COLUMNS))

    def marks(self, shape: Shape) -> dict[int, Mark]:
        """See Side.marks."""
        query = MARKS.format(bucket=shape.bucket, digest=type(self).digest(shape), table=shape.name)
        return {int(bucket): Mark(int(rows), int(digest)) for bucket, rows, digest in self.opened.fetch(query)}

    def digests(self, shape: Shape, bucket: int) -> set[int]:
        """See Side.digests."""
        query = DIGESTS.format(digest=type(self).digest(shape), table=shape.name, buckets=shape.of([bucket]))
        return {int(digest) for (digest,) in self.opened.fetch(query)}

    def values(self, shape: Shape, column: str) -> set[str]:
        """See Side.values."""
        return {str(value) for (value,) in self.opened.fetch(f'SELECT DISTINCT "{column}" FROM raw.{shape.name}')}

    def latest(self, shape: Shape, bucket: int) -> dict[tuple[int, Key], datetime]:
        """See Side.latest."""
        query = LATEST.format(table=shape.name, buckets=shape.of([bucket]))
        return {(tenant, key): moment for tenant, key, moment in self.opened.fetch(query)}


class PostgresSide(Asked):
    """PostgreSQL."""

    digest = staticmethod(postgres_digest)

    def __init__(self, warehouse: Postgres) -> None:
        """By sessions of its own, for long transactions."""
        super().__init__(warehouse)
        self.warehouse = warehouse

    def run(self, statements: Iterable[str]) -> None:
        """See Side.run."""
        with self.warehouse.cursor() as cursor, transaction(cursor.execute):
            for statement in statements:
                cursor.execute(statement)

    def batches(self, piece: Piece) -> Batches:
        """See Side.batches: a cursor in the server."""
        with closing(connect(self.warehouse.url)) as connection, reachable(), connection.cursor("going") as cursor:
            shape = piece.shape
            cursor.execute(shape.rows(piece.buckets))
            while rows := cursor.fetchmany(PIECE):
                columns = zip(*rows, strict=True)
                arrays = [pa.array(values, field.type) for values, field in zip(columns, shape.arrow, strict=True)]
                yield pa.RecordBatch.from_arrays(arrays, schema=shape.arrow)

    def put(self, pieces: Iterable[Piece], rows: Callable[[Piece], Batches]) -> None:
        """See Side.put. The tables' triggers let go of rows as in pruning."""
        with self.warehouse.cursor() as cursor, transaction(cursor.execute):
            cursor.execute("SET LOCAL lazi.pruning = 'on'")
            for piece in pieces:
                if piece.replaces:
                    cursor.execute(piece.clearing)
                copy = f"COPY raw.{piece.shape.name} ({', '.join(piece.shape.names)}) FROM STDIN (FORMAT csv)"
                cursor.copy_expert(copy, Lines(rows(piece)))


class LakeSide(Asked):
    """A lake."""

    digest = staticmethod(duckdb_digest)

    def __init__(self, warehouse: DuckLake) -> None:
        """By cursors of the process's connection."""
        super().__init__(warehouse)
        self.warehouse = warehouse

    def looking(self) -> AbstractContextManager[None]:
        """See Side.looking: the catalog is read once."""
        return transaction(self.warehouse.cursor().execute)

    @contextmanager
    def session(self) -> Iterator[Any]:
        """A cursor of its own for a while."""
        with closing(self.warehouse.session()) as cursor, self.warehouse.filling():
            yield cursor

    def run(self, statements: Iterable[str]) -> None:
        """See Side.run."""
        with self.session() as cursor, transaction(cursor.execute):
            for statement in statements:
                cursor.execute(statement)

    def batches(self, piece: Piece) -> Batches:
        """See Side.batches."""
        with self.session() as cursor:
            yield from cursor.execute(piece.shape.rows(piece.buckets)).to_arrow_reader(PIECE)

    def put(self, pieces: Iterable[Piece], rows: Callable[[Piece], Batches]) -> None:
        """See Side.put. As Parquet files that nobody sees until all are written."""
        with self.warehouse.sparing(), self.session() as cursor, transaction(cursor.execute):
            for piece in pieces:
                if piece.replaces:
                    cursor.execute(piece.clearing)
                names = ", ".join(piece.shape.names)
                cursor.register("coming", pa.RecordBatchReader.from_batches(piece.shape.arrow, rows(piece)))
                cursor.execute(f"INSERT INTO raw.{piece.shape.name} ({names}) SELECT {names} FROM coming")


class Lines:
    """Rows as CSV, as far as somebody reads: PostgreSQL takes what is empty and not in quotes for NULL."""

    def __init__(self, batches: Batches) -> None:
        """Of these."""
        self.batches, self.rest = batches, memoryview(b"")
        self.failed: Exception | None = None  # what kept the rows from being read; psycopg2 only tells its text

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end."""
        while not self.rest and (batch := self.next()):
            sink = pa.BufferOutputStream()
            pyarrow.csv.write_csv(batch, sink, pyarrow.csv.WriteOptions(include_header=False))
            self.rest = memoryview(sink.getvalue())
        found, self.rest = self.rest[:size], self.rest[size:]
        return bytes(found)

    def next(self) -> pa.RecordBatch | None:
        """The next rows, if there are more."""
        try:
            return next(self.batches, None)
        except Exception as error:
            self.failed = error
            raise
