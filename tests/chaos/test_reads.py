"""Consumers that read all the time while records land, models run and plans replace tables."""

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn
from sqlmesh.utils.errors import PlanError

from api.app import create_app
from pipelines.modelling import Models
from pipelines.sync import Stores, land_all
from sandbox.server import Sandbox
from sources.servicetitan.catalog import select
from store import keys
from store.settings import Settings
from tests.whole import reach

ENTITIES = ("customers", "jobs")
CUSTOMERS, MORE, ROUNDS = 400, 200, 3
LISTS = ("customers", "jobs", "crm/customers", "entities/customers")
VERSION = re.compile(r"version (\d+)")


@dataclass
class Consumer(threading.Thread):
    """Reads one list whole and one record of it, over and over, as a consumer on another machine does."""

    url: str
    key: str
    path: str
    stopping: threading.Event
    refusals: list[tuple[str, int, str]] = field(default_factory=list)
    seen: list[tuple[int, frozenset[str]]] = field(default_factory=list)  # how many rows, and of which versions

    def __post_init__(self) -> None:
        super().__init__(name=self.path)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        with httpx.Client(base_url=f"{self.url}/api/v1/", headers={"x-api-key": self.key}, timeout=60) as client:
            while not self.stopping.is_set():
                whole = self.read(client, f"{self.path}?format=ndjson")
                if whole is None:
                    continue
                rows = [json.loads(line) for line in whole.splitlines()]
                self.seen.append((len(rows), frozenset(VERSION.findall(whole))))
                self.read(client, f"{self.path}?limit=50&order=desc")
                if rows and self.path != "crm/customers":
                    self.read(client, f"{self.path}/{rows[0]['st_id']}")

    def read(self, client: httpx.Client, path: str) -> str | None:
        """The answer's text; None where it is refused, which is written down."""
        answer = client.get(path)
        if answer.status_code == 200:
            return answer.text
        self.refusals.append((path, answer.status_code, answer.text[:500]))
        time.sleep(0.05)
        return None


@contextmanager
def consumers(settings: Settings, stores: Stores, tenant: int) -> Iterator[list[Consumer]]:
    """Some consumers of a real server on these stores."""
    key = keys.create(
        stores.operations, name="reads", scopes=("read",), tenant_id=tenant, per_minute=10**9, per_hour=10**9
    )
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    warehouse = stores.warehouse if settings.is_embedded else None
    server = uvicorn.Server(uvicorn.Config(create_app(settings, warehouse), log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    until = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < until
        time.sleep(0.01)
    stopping = threading.Event()
    made = [Consumer(f"http://127.0.0.1:{listening.getsockname()[1]}", key, path, stopping) for path in LISTS]
    for each in made:
        each.start()
    try:
        yield made
    finally:
        stopping.set()
        for each in made:
            each.join(timeout=60)
        server.should_exit = True
        thread.join()


def wait_for_reads(reading: list[Consumer], version: int) -> None:
    """Until every consumer has read this version, so that each state was looked at."""
    until = time.monotonic() + 180
    while any(not each.seen or each.seen[-1][1] != {str(version)} for each in reading):
        assert time.monotonic() < until, [(each.path, each.seen[-1:], each.refusals[-1:]) for each in reading]
        time.sleep(0.05)


def rename(sandbox: Sandbox, version: int) -> None:
    """Give every customer and job a new version."""
    for name, column in (("customers", "name"), ("jobs", "summary")):
        for record in sandbox.records(name):
            sandbox.change(name, record["id"], **{column: f"version {version}"})


def shown(sandbox: Sandbox, name: str) -> list[dict[str, Any]]:
    """The records that lists show: an inactive job is a deleted one, an inactive customer is not."""
    return [record for record in sandbox.records(name) if name == "customers" or record["active"]]


@pytest.mark.slow
def test_readers_see_no_error_and_no_half_loaded_table(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """Each list that is read whole is of one version, with as many rows as that had; only before the first build, 503."""
    monkeypatch.setenv("LAZI_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("DATABASE_URL", settings.database_url or "embedded")
    with Sandbox(seed=4, customers=CUSTOMERS) as sandbox:
        stores, models = Stores.open(settings), Models(settings)
        reached = reach(sandbox)
        sizes: dict[str, dict[str, int]] = {}  # by list and version
        with consumers(settings, stores, sandbox.tenant_id) as reading:
            for version in range(ROUNDS):
                if version:
                    for _ in range(MORE):
                        sandbox.create("customers")
                rename(sandbox, version)
                counts = {name: len(shown(sandbox, name)) for name in ENTITIES}
                for path in LISTS:
                    sizes.setdefault(path, {})[str(version)] = counts["jobs" if path == "jobs" else "customers"]
                assert land_all(stores, reached, select(ENTITIES)).is_good
                models.refresh(stores.operations)
                wait_for_reads(reading, version)
            restate(models)
            wait_for_reads(reading, ROUNDS - 1)
        models.close()
        stores.close()
    for each in reading:
        early = [refusal for refusal in each.refusals if refusal[1] == 503 and "lazi sync" in refusal[2]]
        assert each.refusals == early
        first = next(number for number, (rows, _) in enumerate(each.seen) if rows)
        assert {rows for rows, _ in each.seen[:first]} <= {0}
        for rows, versions in each.seen[first:]:
            assert len(versions) == 1, (each.path, versions)
            assert rows == sizes[each.path][next(iter(versions))], each.path
        assert {next(iter(versions)) for _, versions in each.seen[first:]} == set(map(str, range(ROUNDS)))


def restate(models: Models) -> None:
    """Have a plan compute these tables anew, which empties and fills them."""
    context: Any = models.loaded(models.mark)
    try:
        context.plan(
            restate_models=["master.customers", "master.jobs", "crm.customer_facts"],
            no_prompts=True,
            auto_apply=True,
            skip_tests=True,
        )
    except PlanError as error:
        raise AssertionError(context.console.reasons) from error
