"""Several tenants in one service: the trouble of one is not the others'."""

import threading
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from pipelines.schedule import Schedule
from pipelines.sync import Stores
from sandbox.server import Sandbox
from sources.servicetitan.catalog import CATALOG
from sources.servicetitan.client import Patience
from store.settings import Settings
from store.timetable import Timetable
from tests.pipelines.test_schedule import NoModels, Seen, soon
from tests.whole import reach

HEALTHY, LOCKED_OUT, FLOODING = 1, 2, 3
CUSTOMERS = 1000
OFTEN = timedelta(seconds=5)
SECONDS = 60.0
URGENT = [entity for entity in CATALOG if entity.priority == 1]
WISHED = [entity for entity in CATALOG if entity.priority == 2]


def flood(sandbox: Sandbox, stores: Stores, over: threading.Event) -> None:
    """Every customer of one tenant changes again and again, and webhooks name all that it has."""
    while not over.is_set():
        for record in sandbox.records("customers", FLOODING):
            sandbox.change("customers", record["id"], FLOODING, name=f"Flood {time.monotonic_ns()}")
            if over.is_set():
                return
        for entity in WISHED:
            wish = {"tenant_id": FLOODING, "entity": entity.name, "work": "sync", "wished_at": datetime.now(UTC)}
            stores.operations.run("wish", **wish)


def longest_unread(stores: Stores, entity: str, tenant: int, first: datetime) -> float:
    """Seconds for which an entity was not read to its end, at the worst."""
    runs = stores.operations.run("batches_of_entity", entity=entity)
    ends = [run["finished_at"] for run in runs if run["status"] == "completed" and run["tenant_id"] == tenant]
    moments = sorted([first, *(end for end in ends if end > first), datetime.now(UTC)])
    return max((after - before).total_seconds() for before, after in pairwise(moments))


@pytest.mark.slow
def test_a_flood_and_wrong_credentials_leave_the_others_fresh(settings: Settings):
    """Beside one tenant that floods and one whose credentials are wrong, a third is never staler than twice its interval."""
    with Sandbox(seed=6, customers=CUSTOMERS, tenants=(HEALTHY, LOCKED_OUT, FLOODING)) as sandbox:
        good, over, seen = reach(sandbox).tenants[0], threading.Event(), Seen()
        tenants = (
            replace(good, tenant_id=LOCKED_OUT, client_secret="wrong"),
            replace(good, tenant_id=FLOODING),
            replace(good, tenant_id=HEALTHY),
        )
        with closing(Stores.open(settings)) as stores:
            table = Timetable({1: OFTEN, 2: None, 3: None, 4: None}, {})
            servicetitan = replace(reach(sandbox), tenants=tenants)
            schedule = Schedule(stores, servicetitan, table, seen, NoModels(settings), Patience(attempts=2, seconds=5))
            schedule.start()
            flooding = threading.Thread(target=flood, args=(sandbox, stores, over))
            try:
                soon(lambda: (HEALTHY, "sync priority 1") in seen.turns, 120)
                first = datetime.now(UTC)
                flooding.start()
                time.sleep(SECONDS)
                unread = {entity.name: longest_unread(stores, entity.name, HEALTHY, first) for entity in URGENT}
                flooded = [
                    run
                    for run in stores.operations.run("batches_of_entity", entity="customers")
                    if run["tenant_id"] == FLOODING and run["started_at"] > first
                ]
            finally:
                over.set()
                flooding.join()
                assert schedule.stop(60)
            assert max(unread.values()) <= 2 * OFTEN.total_seconds(), unread
            assert sum(run["appended"] for run in flooded) > CUSTOMERS, flooded
            assert {tenant for tenant, *_ in seen.errors} == {LOCKED_OUT}
            landed = sum(run["appended"] for run in flooded)
            print(f"longest unread {max(unread.values()):.1f} s; the flood landed {landed}")  # noqa: T201
