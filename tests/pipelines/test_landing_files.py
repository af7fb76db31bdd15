"""Landing by dlt into a folder of Parquet files: a load that dies and is tried again lands no row twice."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipelines.dlt_files import FilesClient
from pipelines.sync import Stores, land_all
from sandbox.server import Sandbox
from sources.servicetitan.catalog import select
from store.settings import Settings
from store.warehouse import SparkFiles
from tests.whole import reach

COUNTED = "SELECT COUNT(*), COUNT(DISTINCT st_id) FROM raw.st_customers"


@pytest.fixture
def stores(postgres_url: str, tmp_path: Path) -> Iterator[Stores]:
    with closing(Stores.open(Settings(postgres_url, tmp_path / "data", 3001, "warning", warehouse="spark"))) as opened:
        yield opened


def test_a_load_that_dies_lands_nothing_twice(stores: Stores, monkeypatch: pytest.MonkeyPatch):
    """Its files are there when it dies before it says that it is done; trying again writes the same files, and then cursors."""
    assert isinstance(stores.warehouse, SparkFiles)

    def dying(*_: object) -> None:
        raise OSError(5, "the host is gone")

    with Sandbox(seed=5, customers=30) as sandbox:
        with monkeypatch.context() as patch:
            patch.setattr(FilesClient, "complete_load", dying)
            assert not land_all(stores, reach(sandbox), select(("customers",))).is_good
        files = {*stores.warehouse.files.glob("raw/st_customers/*.parquet")}
        landed = stores.warehouse.fetch(COUNTED)
        assert landed[0][0] == landed[0][1] > 0
        assert land_all(stores, reach(sandbox), select(("customers",))).is_good
        assert stores.warehouse.fetch(COUNTED) == landed
        assert {*stores.warehouse.files.glob("raw/st_customers/*.parquet")} == files
        again = land_all(stores, reach(sandbox), select(("customers",)))
        assert [one.tally.appended for one in again.outcomes] == [0]


def test_files_are_compressed_and_all_alike(stores: Stores):
    """The working files of dlt are not compressed, and leave out columns without values; Spark takes files of one schema."""
    import pyarrow.parquet as pq  # noqa: PLC0415

    assert isinstance(stores.warehouse, SparkFiles)
    with Sandbox(seed=5, customers=30) as sandbox:
        assert land_all(stores, reach(sandbox), select(("customers", "job_types"))).is_good
    for folder in (stores.warehouse.files / "raw" / name for name in ("st_customers", "st_job_types")):
        assert len({pq.read_schema(each).remove_metadata().to_string() for each in folder.glob("*.parquet")}) == 1
        [landed] = [each for each in folder.glob("*.parquet") if each.name != "empty.parquet"]
        assert pq.ParquetFile(landed).metadata.row_group(0).column(0).compression == "ZSTD"
