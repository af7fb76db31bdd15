"""Two syncs at the same time."""

import httpx
import pytest

from pipelines.sync import Stores
from sandbox.server import Sandbox
from sources.servicetitan.catalog import BY_NAME
from store.settings import Settings
from tests.chaos.town import ENTITIES, Town, town

RATE = 40


@pytest.mark.slow
def test_two_syncs_on_postgresql_share_the_budget_and_harm_nothing(postgres_url: str, tmp_path):
    """The worst second is at most 5 % over the rate, one says that it waits, and raw holds nothing twice."""
    settings = Settings(postgres_url, tmp_path / "data", 3001, "warning")
    with town(settings) as living:
        living.rate = RATE
        living.live(200)
        before = dict(httpx.get(living.sandbox.stats_url).json()["per_second"])
        first, second = living.start("--full"), living.start("--full")
        told = ["".join(process.communicate(timeout=300)) for process in (first, second)]
        assert (first.returncode, second.returncode) == (0, 0), told
        assert any("waiting" in text for text in told), told
        living.check()
        seconds = httpx.get(living.sandbox.stats_url).json()["per_second"]
        busiest = max(count - before.get(second_, 0) for second_, count in seconds.items())
        assert busiest <= RATE * 1.05 + 1
        stores = Stores.open(settings)
        for name in ENTITIES:
            table = BY_NAME[name].raw_table
            query = f"SELECT COUNT(*), COUNT(DISTINCT (st_id, payload_hash, synced_at)) FROM raw.{table}"
            ((rows, distinct),) = stores.warehouse.fetch(query)
            assert rows == distinct
        stores.close()


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
