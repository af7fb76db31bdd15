"""One whole sync of every entity on each store, made once and looked at by many tests."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pipelines.modelling import refresh
from pipelines.sync import Report, Stores, land_all
from sandbox.server import Sandbox
from sources.servicetitan import reports
from sources.servicetitan.catalog import CATALOG
from store.reports import configured
from store.settings import Connection, Places, Settings, connection

SMALL_PAGES = tuple(replace(entity, page_size=9) if entity.records else entity for entity in CATALOG)
"""Every entity in pages so small that each is paged, except where a page is the record."""


@dataclass
class Whole:
    """What a first sync and a second one did to an empty store."""

    sandbox: Sandbox
    stores: Stores
    connection: Connection
    first: Report
    second: Report
    models: tuple[str, str]


def reach(sandbox: Sandbox) -> Connection:
    """How to reach a sandbox, as fast as it answers, and to read its reports."""
    reached = connection(Places({**sandbox.environment(), "SERVICE_TITAN_RATE": "1000"}, Path("/nonexistent")))
    return replace(reached, reports=configured(sandbox.report_rows()))


def lived(url: str, folder: Path, direct_url: str = "", engine: str = "") -> Iterator[Whole]:
    """Land everything, build all models, then do both again."""
    settings = Settings(url, folder, 3001, "warning", direct_url, engine)
    with (
        Sandbox(seed=3, customers=30, export_page_size=11, report_interval=0) as sandbox,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(reports, "RUNS_A_SECOND", 100.0)
        patch.setattr(reports, "PAUSE", 0.01)
        patch.setenv("LAZI_DATA_DIR", str(settings.data_dir))
        if url:
            patch.setenv("DATABASE_URL", url)
        patch.setenv("LAZI_WAREHOUSE", settings.engine)
        if direct_url:
            patch.setenv("DATABASE_DIRECT_URL", direct_url)
        stores, reached = Stores.open(settings), reach(sandbox)
        first = land_all(stores, reached, SMALL_PAGES)
        built = refresh(settings, stores.operations)
        second = land_all(stores, reached, SMALL_PAGES)
        again = refresh(settings, stores.operations)
        yield Whole(sandbox, stores, reached, first, second, (built, again))
        stores.close()
