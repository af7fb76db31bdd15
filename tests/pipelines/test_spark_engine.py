"""What Spark's engine asks for, answered by DuckDB: no Java is needed to see which rows stay and which come."""

from contextlib import nullcontext
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlglot
from sqlglot import exp, parse_one

from pipelines.spark_engine import SparkFilesEngineAdapter
from store.files import EMPTY, Shown, note


class Frame:
    """As much of a data frame of Spark's as the engine uses, on DuckDB."""

    def __init__(self, found: Any) -> None:
        self.found = found

    def where(self, text: str) -> "Frame":
        return Frame(self.found.filter(in_duckdb(text)))

    def selectExpr(self, *texts: str) -> "Frame":  # noqa: N802  as Spark calls it
        return Frame(self.found.project(", ".join(map(in_duckdb, texts))))

    def unionByName(self, other: "Frame") -> "Frame":  # noqa: N802  as Spark calls it
        return Frame(self.found.union(other.found))


class Session:
    """A session that knows the table `crm.days`."""

    def __init__(self) -> None:
        self.duckdb = duckdb.connect(":memory:")
        self.duckdb.execute(
            """CREATE SCHEMA crm;
            CREATE TABLE crm.days AS SELECT day, 'old' AS said, 0 AS key_bucket FROM (VALUES
                (DATE '2026-01-01'), (DATE '2026-01-02'), (DATE '2026-01-03'), (NULL)) AS t (day)"""
        )

    def sql(self, text: str) -> Frame:
        return Frame(self.duckdb.sql(in_duckdb(text)))


def in_duckdb(text: str) -> str:
    return sqlglot.transpile(text, read="spark", write="duckdb")[0]


@pytest.fixture
def adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SparkFilesEngineAdapter:
    session = Session()
    monkeypatch.setattr(SparkFilesEngineAdapter, "spark", session)
    monkeypatch.setattr(SparkFilesEngineAdapter, "tell", lambda *_: None)
    return SparkFilesEngineAdapter(lambda: None, "spark", files=str(tmp_path))


def test_an_interval_takes_the_place_of_what_it_holds_alone(
    adapter: SparkFilesEngineAdapter, monkeypatch: pytest.MonkeyPatch
):
    """A source's rows of other days are left out, as on other engines, and old rows stay whose day is not known."""
    placed = list[Any]()
    monkeypatch.setattr(SparkFilesEngineAdapter, "place", lambda _, frame, *__, **___: placed.append(frame))
    days = ", ".join(f"(CAST('2026-01-0{day}' AS DATE), 'new')" for day in (1, 2, 3))
    source = parse_one(f"SELECT day, said FROM (VALUES {days}) AS t (day, said)", read="postgres")
    types = {"day": exp.DataType.build("DATE"), "said": exp.DataType.build("TEXT")}
    where = parse_one("day BETWEEN CAST('2026-01-02' AS DATE) AND CAST('2026-01-02' AS DATE)")
    adapter._insert_overwrite_by_condition("crm.days", [nullcontext(source)], types, where)
    [frame] = placed
    assert sorted(row[:2] for row in frame.found.fetchall() if row[0]) == [
        (date(2026, 1, 1), "old"),
        (date(2026, 1, 2), "new"),
        (date(2026, 1, 3), "old"),
    ]
    assert [row[1] for row in frame.found.fetchall() if row[0] is None] == ["old"]


def test_a_table_that_goes_takes_its_journal_along(adapter: SparkFilesEngineAdapter):
    """One that is made anew under the same name does not meet rows of the former."""
    folder, work = adapter.files / "crm" / "days", adapter.files / "merging" / "killed"
    for place in (folder / "key_bucket=-1", work / "rows" / "key_bucket=1", adapter.files / "shown"):
        place.mkdir(parents=True)
    (folder / "key_bucket=-1" / EMPTY).touch()
    (work / "rows" / "key_bucket=1" / "former.parquet").touch()
    (work / "journal.json").write_text(f'{{"table": "{folder}", "gone": []}}')
    note(adapter.files, Shown("table", "crm", "days", "", ""))
    adapter.drop_table("crm.days")
    assert not folder.exists()
    assert [*(adapter.files / "merging").iterdir()] == []
