"""Any history at all: whatever happens at ServiceTitan between syncs and reconciliations, the copy agrees in the end."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count, pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pipelines.modelling import PROJECT, evaluate_models, touched
from pipelines.reconcile import reconcile
from pipelines.sync import Stores, land_all
from sandbox.server import Sandbox
from sources.servicetitan.catalog import BY_NAME
from sources.servicetitan.registry import columns, load
from store.settings import Connection, Settings
from store.warehouse import SHOWN_FIRST
from tests.whole import reach

FIELDS = {
    "jobs": "summary",  # an export with tombstones
    "customers": "name",  # an export with inactive records
    "zones": "name",  # a list with `active`, and without `ids`
    "project_statuses": "name",  # a list without `active`
    "payment_types": "name",  # a snapshot
}
ENTITIES = tuple(replace(BY_NAME[name], priority=1, page_size=5) for name in FIELDS)  # one dlt run lands them all
EVENTS = ("create", "change", "change_back", "deactivate", "delete", "purge", "restore", "merge", "move_back")
ACTIVE = {name: any(column.name == "active" for column in columns(load()[name])) for name in FIELDS}
AT_ONCE = 12  # events between two steps: they cost nothing, and runs take time
TOMBSTONED = "jobs"
MOST_RUNS = 4  # syncs and reconciliations of a history, which take time; the rest of it is changes
PARTS = ("audits", "macros", "config.py", "external_models.yaml", "models/audit/log.sql")

Versions = list[tuple[Any, dict[str, Any], str, bool, Any]]
"""Key, payload, hash, is_deleted, synced_at."""


@dataclass
class World:
    """A sandbox with a fresh tenant for each history, a store, and the models of a few entities."""

    sandbox: Sandbox
    stores: Stores
    connection: Connection
    context: Any
    tenants: Iterator[int]


@pytest.fixture
def world(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("LAZI_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("DATABASE_URL", settings.database_url or "embedded")
    with Sandbox(seed=5, customers=5, tenants=range(1, 1000), export_page_size=7) as sandbox:
        stores = Stores.open(settings)
        context = planned(tmp_path / "project")
        yield World(sandbox, stores, reach(sandbox), context, count(1))
        context.close()
        stores.close()


def planned(folder: Path) -> Any:
    """A small copy of the SQLMesh project, its models made."""
    from sqlmesh import Context  # noqa: PLC0415  a costly import, made when it is needed
    from sqlmesh.core.console import NoopConsole, set_console  # noqa: PLC0415  a costly import, made when it is needed

    for part in (*PARTS, *(f"models/master/{name}.sql" for name in FIELDS)):
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (PROJECT / part).is_dir() else shutil.copy
        copy(PROJECT / part, folder / part)
    set_console(NoopConsole())
    context: Any = Context(paths=str(folder))
    context.plan(no_prompts=True, auto_apply=True, skip_tests=True)
    return context


class History(RuleBasedStateMachine):
    """Changes at ServiceTitan against syncs and reconciliations, in any order."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world, self.sandbox = world, world.sandbox
        self.tenant = next(world.tenants)
        (tenant,) = world.connection.tenants
        self.connection = replace(world.connection, tenants=(replace(tenant, tenant_id=self.tenant),))
        self.seen: dict[str, Versions] = {name: [] for name in FIELDS}
        self.gone: list[tuple[str, int]] = []
        self.runs = self.refreshes = 0
        self.unread, self.landed = True, False  # a run or a refresh that would find nothing is left out
        self.first = {name: self.records(name)[:4] for name in FIELDS}

    def records(self, name: str) -> list[dict[str, Any]]:
        return self.sandbox.records(name, self.tenant)

    @rule(chance=st.randoms(use_true_random=True))  # spread evenly from the first example on: there are few examples
    def time_passes(self, chance: Random) -> None:
        """Any events, to few records, so that much happens to each."""
        self.unread = True
        for _ in range(AT_ONCE):
            event, name = chance.choice(EVENTS), chance.choice(sorted(FIELDS))
            getattr(self, event)(name, chance.randrange(4), chance.choice("ab"))

    def create(self, name: str, _: int, text: str) -> None:
        self.sandbox.create(name, self.tenant, **{FIELDS[name]: text})

    def change(self, name: str, which: int, text: str) -> None:
        self.sandbox.change(name, which, self.tenant, **{FIELDS[name]: text})

    def change_back(self, name: str, which: int, _: str) -> None:
        known = self.first[name][which]
        self.sandbox.change(name, known["id"], self.tenant, **{FIELDS[name]: known[FIELDS[name]]})

    def deactivate(self, name: str, which: int, _: str) -> None:
        self.sandbox.change(name, which, self.tenant, active=False)

    def delete(self, name: str, which: int, _: str) -> None:
        self.gone.append((name, which))
        self.sandbox.delete(name, which, self.tenant)

    def purge(self, name: str, which: int, _: str) -> None:
        self.gone.append((name, which))
        self.sandbox.purge(name, which, self.tenant)

    def restore(self, _: str, which: int, __: str) -> None:
        if self.gone:
            self.sandbox.restore(*self.gone.pop(which % len(self.gone)), self.tenant)

    def merge(self, _: str, which: int, __: str) -> None:
        self.sandbox.merge_customers(which, which + 1, self.tenant)

    def move_back(self, name: str, which: int, text: str) -> None:
        fields = {FIELDS[name]: text, "modifiedOn": f"200{which}-01-01T00:00:00Z"}
        self.sandbox.change(name, which, self.tenant, **fields)

    @initialize()
    def begin(self) -> None:
        self.sync()

    @precondition(lambda self: self.unread and self.runs < MOST_RUNS)
    @rule()
    def sync(self) -> None:
        self.runs, self.landed = self.runs + 1, True
        report = land_all(self.world.stores, self.connection, ENTITIES)
        assert report.is_good, report.failed

    @precondition(lambda self: self.unread and self.runs < MOST_RUNS)
    @rule()
    def reconcile(self) -> None:
        self.runs, self.unread, self.landed = self.runs + 1, False, True
        report = reconcile(self.world.stores, self.connection, ENTITIES)
        assert {result.status for result in report.results} == {"completed"}, report.results
        for name in FIELDS:
            assert self.shown(f"raw.st_{name}", SHOWN_FIRST) == self.expected(name), name

    @precondition(lambda self: self.landed and not self.refreshes)
    @rule()
    def refresh(self) -> None:
        self.refreshes += 1
        context = self.world.context
        evaluate_models(context.scheduler(environment="prod"), touched(context, FIELDS))

    @invariant()
    def raw_never_loses_a_version(self) -> None:
        for name in FIELDS:
            versions = self.versions(name)
            assert [version for version in self.seen[name] if version not in versions] == [], name
            self.seen[name] = versions

    def teardown(self) -> None:
        """A last sync and reconciliation, then the models: master equals the sandbox, and the log tells every step."""
        self.sync()
        self.reconcile()
        self.raw_never_loses_a_version()
        self.refresh()
        for name in FIELDS:
            assert self.modelled(name) == {
                key: (record.get("active"), record[FIELDS[name]], gone)
                for key, (record, gone) in self.expected(name).items()
            }, name
            assert self.logged(name) == self.told(name), name

    def fetch(self, query: str) -> list[tuple[Any, ...]]:
        return self.world.stores.warehouse.fetch(query)

    def versions(self, name: str) -> Versions:
        """Every landed version, in the order of landing."""
        rows = self.fetch(
            f"SELECT st_id, CAST(payload AS TEXT), payload_hash, is_deleted, synced_at FROM raw.st_{name} "
            f"WHERE tenant_id = {self.tenant} ORDER BY synced_at"
        )
        return [(key, json.loads(text), *rest) for key, text, *rest in rows]

    def shown(self, table: str, order: str) -> dict[Any, tuple[dict[str, Any], bool]]:
        """The first version of each key in an order."""
        rows = self.fetch(
            "SELECT st_id, CAST(payload AS TEXT), is_deleted FROM (SELECT *, ROW_NUMBER() OVER "
            f"(PARTITION BY st_id ORDER BY {order}) AS place FROM {table} WHERE tenant_id = {self.tenant}) AS v WHERE place = 1"
        )
        return {key: (json.loads(text), gone) for key, text, gone in rows}

    def expected(self, name: str) -> dict[Any, tuple[dict[str, Any], bool]]:
        """What ServiceTitan has: each record and whether it is deleted; what it has no more is as it was seen last."""
        last = {key: (payload, True) for key, payload, *_ in self.versions(name)}
        present = {
            record["id"]: (record, name == TOMBSTONED and record["active"] is False) for record in self.records(name)
        }
        return last | present

    def modelled(self, name: str) -> dict[Any, tuple[Any, Any, bool]]:
        """Active, the field that changes, and is_deleted, of each record in master."""
        active = "active" if ACTIVE[name] else "NULL"
        rows = self.fetch(
            f'SELECT st_id, {active}, "{FIELDS[name]}", is_deleted FROM master.{name} WHERE tenant_id = {self.tenant}'
        )
        return {row[0]: row[1:] for row in rows}

    def logged(self, name: str) -> list[tuple[Any, ...]]:
        """What `audit.log` says of each version."""
        rows = self.fetch(
            "SELECT record_id, synced_at, payload_hash, operation, CAST(changed_fields AS TEXT) FROM audit.log "
            f"WHERE entity = '{name}' AND tenant_id = {self.tenant} ORDER BY synced_at"
        )
        return [(*row[:4], None if row[4] is None else sorted(json.loads(row[4]))) for row in rows]

    def told(self, name: str) -> list[tuple[Any, ...]]:
        """What the log has to say: each version beside the one that landed before it."""
        by_key: dict[Any, Versions] = {}
        for version in self.versions(name):
            by_key.setdefault(version[0], []).append(version)
        rows = []
        for versions in by_key.values():
            (key, _, hash_, _, at) = versions[0]
            rows.append((str(key), at, hash_, "insert", None))
            for (_, old, _, was, _), (_, new, hash_, is_now, at) in pairwise(versions):
                operation = "update" if was == is_now else "delete" if is_now else "restore"
                rows.append((str(key), at, hash_, operation, differing(old, new)))
        return sorted(rows, key=lambda row: row[1])


def differing(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The top-level fields that differ."""
    return sorted(field for field in old.keys() | new.keys() if (field, old.get(field)) != (field, new.get(field)))


def run(world: World, examples: int, steps: int) -> None:
    """Histories until one fails."""
    patient = hypothesis_settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(lambda: History(world), settings=patient)


@pytest.mark.slow
def test_the_copy_agrees_after_any_history(world: World):
    """Many histories on each store; each ends with models, which takes the time."""
    run(world, examples=8, steps=10)
