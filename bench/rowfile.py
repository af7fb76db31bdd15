"""A file of raw rows for the floor of landing: `python -m bench.rowfile estimates 20000 rows.parquet` (or `.csv`)."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from bench.pages import PAGE_SIZE, export
from sources.servicetitan.answer import decode
from sources.servicetitan.catalog import BY_NAME
from sources.servicetitan.landing import Landing
from sources.servicetitan.page import Page


def tables(entity: str, count: int) -> Iterator[pa.Table]:
    """The rows of `count` records, page by page, with the column that dlt adds."""
    landing = Landing(BY_NAME[entity], 1, "bench")
    for start in range(0, count, PAGE_SIZE):
        rows = landing.rows(Page(decode(export(entity, count, start)).data or [], datetime.now(UTC)))
        if rows is not None:
            yield rows.append_column("_dlt_load_id", pa.repeat(pa.scalar("1"), rows.num_rows))


def writer(path: Path, schema: pa.Schema) -> Any:
    """What writes tables into the file."""
    is_csv = path.suffix == ".csv"
    return pyarrow.csv.CSVWriter(path, schema) if is_csv else pyarrow.parquet.ParquetWriter(path, schema)


def main() -> None:
    entity, count, path = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    made = tables(entity, count)
    first = next(made)
    with writer(path, first.schema) as file:
        file.write_table(first)
        for table in made:
            file.write_table(table)


if __name__ == "__main__":
    main()
