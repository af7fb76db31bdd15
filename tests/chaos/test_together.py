"""Two syncs at the same time, and one beside a process that syncs all day."""

import threading
from dataclasses import replace

import httpx
import pytest

from pipelines.modelling import Models
from pipelines.sync import Stores, land_all
from sandbox.server import Sandbox
from sources.servicetitan.catalog import BY_NAME, select
from store.settings import Settings
from tests.chaos.town import ENTITIES, Town, town
from tests.whole import reach

RATE = 40


def per_second(living: Town) -> dict[str, int]:
    """The requests that the sandbox answered, by second."""
    counts: dict[str, int] = httpx.get(living.sandbox.stats_url).json()["per_second"]
    return counts


def check_budget(living: Town, before: dict[str, int]) -> None:
    """The worst second since `before` is at most 5 % over the rate."""
    busiest = max(count - before.get(second, 0) for second, count in per_second(living).items())
    assert busiest <= RATE * 1.05 + 1


def check_no_repeats(settings: Settings) -> None:
    """Raw holds nothing twice."""
    stores = Stores.open(settings)
    for name in ENTITIES:
        table = BY_NAME[name].raw_table
        query = f"SELECT COUNT(*), COUNT(DISTINCT (st_id, payload_hash, synced_at)) FROM raw.{table}"
        ((rows, distinct),) = stores.warehouse.fetch(query)
        assert rows == distinct
    stores.close()


class Service(threading.Thread):
    """Syncs and refreshes in one living process, again and again."""

    def __init__(self, living: Town) -> None:
        super().__init__()
        self.living, self.ending, self.cycles = living, threading.Event(), 0
        self.outcomes: list[str] = []
        self.errors: list[str] = []

    def run(self) -> None:
        reached = replace(reach(self.living.sandbox), requests_per_second=RATE, reports=())
        stores, models = Stores.open(self.living.settings), Models(self.living.settings)
        while not self.ending.is_set():
            report = land_all(stores, reached, select(ENTITIES))
            self.errors += [outcome.error for outcome in report.failed]
            self.outcomes.append(models.refresh(stores.operations))
            self.cycles += 1
        models.close()
        stores.close()


@pytest.mark.slow
def test_two_syncs_on_postgresql_share_the_budget_and_harm_nothing(postgres_url: str, tmp_path):
    """The worst second is at most 5 % over the rate, one says that it waits, and raw holds nothing twice."""
    settings = Settings(postgres_url, tmp_path / "data", 3001, "warning")
    with town(settings) as living:
        living.rate = RATE
        living.live(200)
        before = per_second(living)
        first, second = living.start("--full"), living.start("--full")
        told = ["".join(process.communicate(timeout=300)) for process in (first, second)]
        assert (first.returncode, second.returncode) == (0, 0), told
        assert any("waiting" in text for text in told), told
        living.check()
        check_budget(living, before)
        check_no_repeats(settings)


@pytest.mark.slow
def test_a_sync_beside_a_running_service_shares_the_budget_and_harms_nothing(postgres_url: str, tmp_path):
    """Each does its own while the other works; records change meanwhile, and the copy is exact in the end."""
    settings = Settings(postgres_url, tmp_path / "data", 3001, "warning")
    with town(settings) as living:
        living.rate = RATE
        before, service = per_second(living), Service(living)
        service.start()
        try:
            for _ in range(3):
                living.live(60)
                done = living.sync("--full")
                assert done.returncode == 0, done.stdout + done.stderr
        finally:
            service.ending.set()
            service.join(timeout=300)
        assert service.errors == []
        assert service.cycles >= 3
        assert living.sync().returncode == 0
        living.check()
        check_budget(living, before)
        check_no_repeats(settings)


def test_a_second_sync_on_the_embedded_store_is_told_who_holds_it(tmp_path):
    """At once, with what to do; the first one goes on."""
    settings = Settings("", tmp_path / "data", 3001, "warning")
    stores = Stores.open(settings)
    try:
        with Sandbox(customers=5) as sandbox:
            done = Town(sandbox, settings).sync("--no-models")
        assert done.returncode == 2
        assert "held by process" in done.stderr
    finally:
        stores.close()
