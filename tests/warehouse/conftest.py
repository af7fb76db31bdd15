"""An installation whose PostgreSQL holds what a sandbox has, with odd rows, and its lake, to which that was copied."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest

from pipelines import copying
from pipelines.copying import copy, other
from pipelines.sync import Report, Stores, land_all
from sandbox.server import Sandbox
from sources.servicetitan.catalog import BY_NAME
from store.settings import Engine, Settings
from tests.conftest import MakeDatabase
from tests.whole import reach

READ = ("customers", "jobs", "tag_types", "calls", "job_notes", "business_units", "capacity", "customer_contacts")
FEW = tuple(BY_NAME[name] for name in READ)
TEXT_KEY = "raw.st_capacity"
ODD = f"""INSERT INTO {TEXT_KEY} SELECT * FROM (VALUES
  (1, '', CAST('{{"a": "\\ufffd", "n": 1.50, "big": 12345678901234567890.5}}' AS JSONB), NULL::TIMESTAMPTZ, 'h1', FALSE, 1, 'b',
    TIMESTAMPTZ '2026-01-01 00:00:00.000001+00', 'l', NULL),
  (1, 'a,"b"' || CHR(10) || '\\N', '{{"q": "\\"\\\\,\\n\\u0001é€😀"}}', '1969-12-31 23:59:59.999999+00', 'h2', TRUE, 63, 'b',
    '2026-01-01 00:00:00+00', 'l', ''),
  (1, 'same', '[]', NULL, 'h3', FALSE, 7, 'b', '2026-01-01 00:00:00+00', 'l', '|'),
  (1, 'same', '[]', NULL, 'h3', FALSE, 7, 'b', '2026-01-01 00:00:00+00', 'l', '|'),
  (9223372036854775807, 'NULL', 'null', '0001-01-02 00:00:00+00', 'h4', FALSE, 0, '', '9999-12-30 00:00:00+00', 'l', 'NULL')
) AS odd"""
"""Rows with what is easily lost: NULL beside what is empty, quotes, line ends, old moments, a row twice."""


@dataclass
class Site:
    """One installation and its two warehouses."""

    sandbox: Sandbox
    postgres: Settings
    lake: Settings

    def sync(self, settings: Settings) -> Report:
        """Read what changed into a warehouse."""
        with closing(Stores.open(settings)) as stores:
            return land_all(stores, reach(self.sandbox), FEW)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """What there is to be read."""
    with Sandbox(seed=3, customers=8, export_page_size=11) as made:
        yield made


def make_site(sandbox: Sandbox, url: str, folder: Path) -> Site:
    """An installation on PostgreSQL that has synced."""
    postgres = Settings(url, folder / "data", 3001, "warning", "", "postgres")
    site = Site(sandbox, postgres, other(postgres, Engine.DUCKLAKE))
    assert site.sync(postgres).is_good
    run(url, ODD)
    return site


def run(url: str, statement: str) -> None:
    """Run a statement in PostgreSQL."""
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def site(sandbox: Sandbox, postgres_url: str, tmp_path: Path) -> Site:
    """One of a test's own, whose lake is not there yet."""
    return make_site(sandbox, postgres_url, tmp_path)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what was read is copied: to look at 176 tables takes seconds. `test_switching` copies all."""
    monkeypatch.setattr(copying, "CATALOG", FEW)


@pytest.fixture(scope="session")
def copied(sandbox: Sandbox, make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """One whose lake holds a copy, for tests that leave it as it is."""
    made = make_site(sandbox, make_database(), tmp_path_factory.mktemp("copied"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copying, "CATALOG", FEW)
        copy(made.postgres, made.lake)
    return made
