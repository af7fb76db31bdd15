"""An installation is switched to its lake and back, with everything that it reads and all its models."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipelines.copying import copy, other
from pipelines.modelling import refresh
from pipelines.sync import Report, Stores, land_all
from sandbox.server import Sandbox
from sources.servicetitan import reports
from store.settings import Engine, Settings
from store.warehouse import open_warehouse
from tests.warehouse.same import CURSORS, RAW, assert_same
from tests.whole import SMALL_PAGES, reach

pytestmark = pytest.mark.slow
TABLES = """SELECT table_schema || '.' || table_name FROM information_schema.tables
WHERE table_schema IN ('master', 'crm', 'audit') AND table_catalog = CURRENT_DATABASE() ORDER BY 1"""


@pytest.fixture
def few() -> None:
    """All that can be read is copied."""


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox of which everything is read, reports included."""
    monkeypatch.setattr(reports, "RUNS_A_SECOND", 100.0)
    monkeypatch.setattr(reports, "PAUSE", 0.01)
    with Sandbox(seed=3, customers=10, export_page_size=11, report_interval=0) as made:
        yield made


def synced(settings: Settings, sandbox: Sandbox) -> tuple[Report, str]:
    """Read everything and bring the models up to date."""
    with closing(Stores.open(settings)) as stores:
        report = land_all(stores, reach(sandbox), SMALL_PAGES)
        return report, refresh(settings, stores.operations)


def numbers(report: Report) -> tuple[int, int]:
    """Rows appended and requests made."""
    return sum(o.tally.appended for o in report.outcomes), sum(o.meter.requests for o in report.outcomes)


def same_models(one: Settings, another: Settings) -> int:
    """Fail where a table or view of master, crm or audit differs."""
    with closing(open_warehouse(one)) as here, closing(open_warehouse(another)) as there:
        tables = here.fetch(TABLES)
        assert tables == there.fetch(TABLES)
        return assert_same(here, there, tuple(name for (name,) in tables))


def test_there_and_back_with_all_models(large: Sandbox, postgres_url: str, tmp_path: Path):
    """The lake's first sync appends nothing, asks as few pages as any, and builds the same models; so does the way back."""
    postgres = Settings(postgres_url, tmp_path / "data", 3001, "warning", "", "postgres")
    lake = other(postgres, Engine.DUCKLAKE)
    assert synced(postgres, large)[1] == "planned"
    _, usual = numbers(synced(postgres, large)[0])
    copy(postgres, lake)
    report, models = synced(lake, large)
    assert report.is_good
    assert models == "planned"
    appended, asked = numbers(report)
    assert appended == 0
    assert asked <= usual
    assert same_models(postgres, lake) > 1000
    large.change("customers", large.records("customers")[0]["id"], name="Changed on the lake")
    assert numbers(synced(lake, large)[0])[0] > 0
    copy(lake, postgres)
    report, models = synced(postgres, large)
    assert (report.is_good, models, numbers(report)[0]) == (True, "planned", 0)
    with closing(open_warehouse(postgres)) as here, closing(open_warehouse(lake)) as there:
        assert_same(here, there, (*RAW, CURSORS))
    assert same_models(lake, postgres) > 1000
