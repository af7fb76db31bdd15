"""Changes on their way to ServiceTitan: how many a second the queue sustains, and how long one takes until it can be read."""

import os
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn

from api.app import create_app
from bench.api import free_port
from bench.history import add, add_jobs
from bench.models import DAYS
from bench.result import Figures
from outbound.queue import Queue
from outbound.request import Asked, prepared, wanted
from outbound.runner import Runner
from pipelines.modelling import Models
from pipelines.pushed import Pushed
from pipelines.sync import Stores, client_for, land_all
from sources.servicetitan.catalog import BY_NAME, CATALOG, Entity
from sources.servicetitan.client import Client
from store import keys as api_keys
from store.settings import connection, load

REQUESTS = 3  # that an update takes: look, send, look again
CHANGES = 60  # whose way is timed
PAUSE = 0.7  # seconds between them
SYNC_EVERY = 5.0  # seconds
LISTED = tuple(
    entity for entity in CATALOG if not entity.parent
)  # a million made up parents have no children in the sandbox
MADE_UP = 100_000_000  # keys below are not the sandbox's


def customers(stores: Stores, client: Client, entities: Sequence[Entity]) -> list[int]:
    """The sandbox's customers, once these entities have landed."""
    land_all(stores, connection(), entities)
    tenant = client.tenant.tenant_id
    rows = stores.warehouse.fetch(
        f"SELECT DISTINCT st_id FROM raw.st_customers WHERE tenant_id = {tenant} AND NOT is_deleted"
    )
    return sorted(key for (key,) in rows if key > MADE_UP)


def ask(queue: Queue, tenant: int, key: int, name: str) -> None:
    """Queue a customer's new name."""
    asked = Asked(entity_type="customers", operation="update", entity_id=key, payload={"name": name})
    made = wanted(
        asked, prepared(asked), tenant_id=tenant, key_id="bench", name="bench", base=None, base_hash=None, is_held=False
    )
    queue.add(made)


def throughput(mutations: int) -> Figures:
    """So many changes of different customers, worked off as fast as it goes; requests beside what the budget allows."""
    settings, reached = load(), connection()
    stores = Stores.open(settings)
    client = client_for(reached, reached.tenants[0], stores.budgets)
    keys, queue = customers(stores, client, [BY_NAME["customers"]]), Queue(stores.operations)
    for number in range(mutations):
        ask(queue, client.tenant.tenant_id, keys[number % len(keys)], f"name {number}")
    runner = Runner(queue, lambda _: client)
    begun, cpu = time.perf_counter(), time.process_time()
    settled = runner.once()
    seconds = time.perf_counter() - begun
    assert settled["completed"] == mutations, settled
    client.close()
    stores.close()
    return {
        "per_s": mutations / seconds,
        "requests_per_s": mutations * REQUESTS / seconds,
        "of_budget": mutations * REQUESTS / seconds / reached.requests_per_second,
        "cpu_ms": (time.process_time() - cpu) * 1000 / mutations,
    }


@contextmanager
def living(stores: Stores, client: Client) -> Iterator[str]:
    """The API, a runner, the landing of what it did, and syncs of everything, in this process; the API's address."""
    queue, port = Queue(stores.operations), free_port()
    runner = Runner(queue, lambda _: client)
    models = Models(stores.settings)
    pushed = Pushed(queue, stores.operations, stores.warehouse, stores.settings, models)
    config = uvicorn.Config(
        create_app(stores.settings, stores.warehouse), port=port, log_level="critical", access_log=False
    )
    server = uvicorn.Server(config)
    threads = [
        threading.Thread(target=server.run),
        threading.Thread(target=runner.run),
        threading.Thread(target=pushed.run, args=(runner.landable, runner.stopping)),
        threading.Thread(target=schedule, args=(stores, models, runner.stopping)),
    ]
    for thread in threads:
        thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        runner.stop()
        server.should_exit = True
        for thread in threads:
            thread.join()
        models.close()


def schedule(stores: Stores, models: Models, stopping: threading.Event) -> None:
    """Sync over and over, far more often than a schedule would."""
    while not stopping.wait(SYNC_EVERY):
        land_all(stores, connection(), LISTED)
        models.refresh(stores.operations)


def latency(keys: int) -> Figures:
    """Seconds from POST until the changed value is read by GET, on so many customers and as many jobs in raw."""
    os.environ |= {"LAZI_API_PER_MINUTE": "0", "LAZI_API_PER_HOUR": "0"}
    settings, reached = load(), connection()
    stores = Stores.open(settings)
    client = client_for(reached, reached.tenants[0], stores.budgets)
    first = Models(settings)
    real = customers(stores, client, LISTED)
    first.refresh(stores.operations)
    add(stores, keys=keys, version="v0", hours_ago=DAYS)
    add_jobs(stores, keys)
    first.evaluate(["customers", "jobs"])
    first.close()
    key = api_keys.create(
        stores.operations,
        name="bench",
        scopes=("read", "mutate"),
        tenant_id=client.tenant.tenant_id,
        per_minute=0,
        per_hour=0,
    )
    with living(stores, client) as url, httpx.Client(base_url=url, headers={"x-api-key": key}, timeout=60) as http:
        change(http, real[0], "warm")
        taken = [change(http, real[number % len(real)], f"name {number}") for number in range(CHANGES)]
    client.close()
    stores.close()
    return {"median_s": statistics.median(taken), "p95_s": statistics.quantiles(taken, n=20)[18], "worst_s": max(taken)}


def change(http: httpx.Client, key: int, name: str) -> float:
    """Change a customer's name and wait until the API shows it; seconds."""
    time.sleep(PAUSE)
    body: dict[str, Any] = {
        "entity_type": "customers",
        "entity_id": key,
        "operation": "update",
        "payload": {"name": name},
    }
    begun = time.perf_counter()
    http.post("/api/v1/mutations", json=body).raise_for_status()
    while http.get(f"/api/v1/customers/{key}").raise_for_status().json()["data"]["name"] != name:
        time.sleep(0.02)
        assert time.perf_counter() - begun < 60, name  # noqa: PLR2004  seconds, far beyond any target
    return time.perf_counter() - begun
