"""A sync's behaviour over time: changes, failures, kept cursors."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dlt.common.storages.load_package import PackageStorage

from pipelines.landing import LOOKED_AT
from pipelines.names import pipeline_name
from pipelines.sync import DIED, Report, Stores, land_all
from sandbox.server import Sandbox
from sources.servicetitan.catalog import CATALOG, select
from sources.servicetitan.client import Patience
from sources.servicetitan.exceptions import CredentialsError, UnreachableError
from store.rate_budget import BURST
from store.settings import Connection, Places, Settings, Tenant, connection
from tests.conftest import WITH_FILES, new_settings
from tests.environment import store_environment
from tests.whole import reach

QUICK = Patience(attempts=2, seconds=5, sleep=lambda _: None)


@pytest.fixture(params=WITH_FILES)
def settings(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return new_settings(request, tmp_path, monkeypatch)


@dataclass
class Town:
    """A sandbox and an empty store."""

    sandbox: Sandbox
    stores: Stores
    connection: Connection

    def land(self, *names: str, full: bool = False) -> Report:
        return land_all(self.stores, self.connection, select(names), full=full, patience=QUICK)

    def versions(self, entity: str, key: object) -> list[dict]:
        rows = self.stores.warehouse.fetch(
            f"SELECT CAST(payload AS TEXT), is_deleted FROM raw.st_{entity} "
            f"WHERE CAST(st_id AS TEXT) = '{key}' ORDER BY synced_at"
        )
        return [json.loads(text) | {"is_deleted": deleted} for text, deleted in rows]


@pytest.fixture
def town(settings: Settings) -> Iterator[Town]:
    with Sandbox(seed=5, customers=30, export_page_size=20) as sandbox:
        stores = Stores.open(settings)
        yield Town(sandbox, stores, reach(sandbox))
        stores.close()


def key_of(town: Town, entity: str) -> int:
    return town.sandbox.records(entity)[0]["id"]


@pytest.mark.parametrize("entity", ["customers", "campaigns", "payment_types"])
def test_a_change_lands_as_one_new_version(town: Town, entity: str):
    """By export, list and snapshot: only what changed is appended, and a change back is a change."""
    town.land(entity)
    key = key_of(town, entity)
    before = town.versions(entity, key)[0]["name"]
    for name in ("Changed", before):
        town.sandbox.change(entity, key, name=name)
        assert town.land(entity).outcomes[0].tally.appended == 1
    assert [version["name"] for version in town.versions(entity, key)] == [before, "Changed", before]


def test_dlt_runs_only_for_news(town: Town):
    """A sync that finds nothing writes nothing to the store; one that finds something loads one package."""
    names = (
        "customers",
        "jobs",
        "campaigns",
        "calls",
        "customer_contacts",
        "capacity",
    )  # of several priorities and feeds
    town.land(*names)
    count = "SELECT COUNT(*) FROM raw._dlt_loads"
    [(before,)] = town.stores.warehouse.fetch(count)
    assert all(one.status == "completed" for one in town.land(*names).outcomes)
    assert town.stores.warehouse.fetch(count) == [(before,)]
    town.sandbox.change("jobs", key_of(town, "jobs"), summary="Changed")
    town.land(*names)
    assert town.stores.warehouse.fetch(count) == [(before + 1,)]


def test_records_that_need_more_memory_are_loaded_too(town: Town, monkeypatch: pytest.MonkeyPatch):
    """Landing keeps to little memory only where that is enough: nothing waits for the next run, and no row comes twice."""
    monkeypatch.setattr("store.embedded.LOADING_MEMORY", "2MB")
    names = [record["name"] for record in town.sandbox.records("customers")]
    for key, name in zip([record["id"] for record in town.sandbox.records("customers")], names, strict=True):
        town.sandbox.change("customers", key, name=name + "long " * 20_000)
    report = town.land("customers", "jobs")
    assert report.is_good
    raw = town.stores.warehouse.fetch("SELECT COUNT(*), COUNT(DISTINCT st_id) FROM raw.st_customers")
    assert raw == [(len(names), len(names))]


def test_a_deleted_job_lands_as_a_tombstone(town: Town):
    """The export tells of deletion; the earlier version stays."""
    town.land("jobs")
    key = key_of(town, "jobs")
    town.sandbox.delete("jobs", key)
    town.land("jobs")
    assert [version["is_deleted"] for version in town.versions("jobs", key)] == [False, True]


def test_a_full_read_appends_only_what_differs(town: Town):
    """`--full` reads everything again."""
    first = town.land("customers", "job_types").outcomes
    full = town.land("customers", "job_types", full=True).outcomes
    assert [one.tally.fetched for one in full] == [one.tally.fetched for one in first]
    assert [one.tally.appended for one in full] == [0, 0]


def test_an_entity_that_the_tenant_lacks_is_reported_and_stops_no_other(town: Town):
    """404 is not available, not a failure."""
    town.sandbox.hide("tasks")
    report = town.land("tasks", "forms")
    assert {one.entity.name: one.status for one in report.outcomes} == {"tasks": "unavailable", "forms": "completed"}
    assert report.is_good
    (batch,) = town.stores.operations.run("batches_of_entity", entity="tasks")
    assert (batch["status"], "404" in batch["error"]) == ("unavailable", True)


def test_what_a_dead_process_landed_is_modelled(town: Town):
    """Its batch is closed by who reads the entity next, and the entity's models are due although nothing is new."""
    town.land("customers", "campaigns")
    operations, at = town.stores.operations, datetime.now(UTC)
    for row in operations.run("stale_entities"):
        operations.run("forget_stale", **row)
    operations.run("start_batch", sync_batch_id="dead", tenant_id=1, entity="customers", started_at=at, feed="export")
    assert operations.run("stale_entities") == []
    town.land("customers", "campaigns")
    assert [row["entity"] for row in operations.run("stale_entities")] == ["customers"]
    [dead] = [row for row in operations.run("batches_of_entity", entity="customers") if row["sync_batch_id"] == "dead"]
    assert (dead["status"], dead["error"]) == ("failed", DIED)


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("is_half_done", ["", "half done"])
def test_a_process_killed_between_two_steps_of_dlt_is_made_up_for(
    town: Town, monkeypatch: pytest.MonkeyPatch, is_half_done: str
):
    """It had normalized the rows, and had, or had begun, to forget that they were extracted: they land once, as do the next."""

    def killed(storage: PackageStorage, load_id: str, **how: bool) -> None:
        path = Path(storage.storage.storage_path, storage.get_package_path(load_id))
        if "extracted" in path.parts:
            if is_half_done:
                next(each for each in path.rglob("*") if each.is_file()).unlink()
            raise Killed
        whole(storage, load_id, **how)

    whole = PackageStorage.delete_package
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(PackageStorage, "delete_package", killed)
        town.land("campaigns")
    LOOKED_AT.clear()  # as a new process has it
    assert town.land("campaigns").is_good
    keys = [record["id"] for record in town.sandbox.records("campaigns")]
    assert town.stores.warehouse.fetch("SELECT st_id FROM raw.st_campaigns ORDER BY st_id") == [
        (key,) for key in sorted(keys)
    ]
    town.sandbox.change("campaigns", keys[0], name="New")
    assert town.land("campaigns").is_good
    assert [version["name"] for version in town.versions("campaigns", keys[0])][1:] == ["New"]


def test_dlt_keeps_traces_of_the_last_loads_alone(town: Town, settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """A service that loads every minute would fill the disk with small files."""
    monkeypatch.setattr("pipelines.landing.LOADS_TOLD", 2)
    for number in range(4):
        town.sandbox.change("campaigns", key_of(town, "campaigns"), name=str(number))
        town.land("campaigns")
    loads = [path for path in (settings.data_dir / "dlt").rglob("load/loaded/*") if path.is_dir()]
    assert len(loads) == 2


def test_children_are_asked_for_the_parents_that_changed(town: Town):
    """The first time for all, then for those that landed since."""
    town.land("jobs", "job_cancel_reasons_by_job")
    jobs = len(town.sandbox.records("jobs"))
    first, nothing = (town.land("job_cancel_reasons_by_job", full=full).outcomes[0] for full in (True, False))
    assert first.meter.requests == -(-jobs // 50)
    assert nothing.meter.requests <= first.meter.requests
    town.sandbox.change("jobs", key_of(town, "jobs"), summary="changed")
    town.land("jobs")
    assert town.land("job_cancel_reasons_by_job").outcomes[0].meter.requests == 1


def test_cursors_survive_the_loss_of_the_working_folder(town: Town, settings: Settings):
    """They are kept in the warehouse: a second machine goes on where the first one stopped."""
    town.land("customers", "campaigns")
    for path in sorted((settings.data_dir / "dlt").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    again = town.land("customers").outcomes[0]
    assert (again.tally.fetched, again.meter.requests) == (0, 1)


def test_landed_rows_stand_in_the_warehouse_alone(town: Town, settings: Settings):
    """The working folder keeps no second copy of what was landed."""
    town.land("customers", "campaigns")
    assert [path for path in (settings.data_dir / "dlt").rglob("st_*") if path.is_file()] == []


def test_a_new_warehouse_is_filled_though_old_working_files_are_there(tmp_path: Path):
    """Losing the DuckDB file does not leave cursors behind that skip its rows."""
    settings = Settings("", tmp_path, 3001, "warning")
    with Sandbox(seed=5, customers=30) as sandbox:
        counts = []
        for _ in range(2):
            stores = Stores.open(settings)
            land_all(stores, reach(sandbox), select(("customers", "campaigns")))
            counts.append(
                stores.warehouse.fetch(
                    "SELECT COUNT(*) FROM raw.st_customers UNION ALL SELECT COUNT(*) FROM raw.st_campaigns"
                )
            )
            stores.close()
            (tmp_path / "lazi.duckdb").unlink()
        assert counts[0] == counts[1]
        assert counts[0][0][0] > 0


def test_wrong_credentials_end_the_run_before_it_begins(town: Town):
    """With one tenant there is nothing else to do."""
    wrong = Tenant(1, "sandbox", "wrong", "sandbox-app-key")
    town.connection = Connection(town.connection.api_url, town.connection.auth_url, (wrong,), 1000)
    with pytest.raises(CredentialsError, match="SERVICE_TITAN_CLIENT_SECRET") as caught:
        town.land("customers")
    assert "wrong" not in str(caught.value).replace("wrong ", "")


def test_what_shuts_every_request_out_is_said_once(town: Town):
    """A wrong application key or API address, which a token does not prove, ends the sync instead of failing each entity."""
    (tenant,) = town.connection.tenants
    wrong_key = replace(town.connection, tenants=(replace(tenant, app_key="wrong"),))
    nowhere = replace(town.connection, api_url="http://127.0.0.1:1")
    with pytest.raises(CredentialsError, match="SERVICE_TITAN_APP_KEY"):
        land_all(town.stores, wrong_key, CATALOG, patience=QUICK)
    with pytest.raises(UnreachableError, match="SERVICE_TITAN_API_URL"):
        land_all(town.stores, nowhere, CATALOG, patience=QUICK)
    tried = town.land("zones", "customers")
    assert [outcome.status for outcome in tried.outcomes] == ["completed", "completed"]


def test_one_tenant_locked_out_stops_no_other(settings: Settings):
    """Each row carries its tenant; the locked one is in the report."""
    with Sandbox(seed=5, customers=10, tenants=(1, 2)) as sandbox:
        stores, good = Stores.open(settings), reach(sandbox)
        (one,) = good.tenants
        others = (
            Tenant(3, "sandbox", "nope", one.app_key),
            one,
            Tenant(2, one.client_id, one.client_secret, one.app_key),
        )
        reached = Connection(good.api_url, good.auth_url, others, 1000)
        report = land_all(stores, reached, select(("customers",)), patience=QUICK)
        assert list(report.locked_out) == [3]
        assert not report.is_good
        rows = stores.warehouse.fetch("SELECT tenant_id, COUNT(*) FROM raw.st_customers GROUP BY 1 ORDER BY 1")
        assert [(tenant, count > 0) for tenant, count in rows] == [(1, True), (2, True)]
        stores.close()


def test_every_request_is_paid_for_from_the_budget(tmp_path: Path):
    """Whatever is read and by how many threads, no run is shorter than its requests need at the rate."""
    settings = Settings("", tmp_path, 3001, "warning")
    with Sandbox(seed=5, customers=30, export_page_size=10) as sandbox:
        places = Places({**sandbox.environment(), "SERVICE_TITAN_RATE": "50"}, tmp_path)
        stores = Stores.open(settings)
        began = time.monotonic()
        report = land_all(stores, connection(places), select(modules=("crm", "jpm")))
        seconds = time.monotonic() - began
        stores.close()
        requests = sum(count for path, count in sandbox.stats()["paths"].items() if "/tenant/" in path)
    assert report.is_good
    assert requests > 60
    assert seconds >= (requests - BURST - 1) / 50


class EndedError(BaseException):
    """As if the host were switched off."""


def ends(*_: object, **__: object) -> None:
    """Has a host end where this is called."""
    raise EndedError


BEFORE_IT_LOADS, IN_THE_MIDDLE = "pipelines.landing.load_extracted", "dlt.load.load.Load.complete_package"
WHEN_IT_HAS_LOADED = "pipelines.landing.drop_loaded"


@contextmanager
def elsewhere(town: Town) -> Iterator[Town]:
    """The same on another host."""
    ours = town.stores.settings
    stores = Stores.open(replace(ours, data_dir=ours.data_dir / "elsewhere", lake=ours.lake_files))
    with closing(stores):
        yield replace(town, stores=stores)


@pytest.mark.parametrize("at", [BEFORE_IT_LOADS, WHEN_IT_HAS_LOADED], ids=["before it loads", "when it has loaded"])
def test_what_another_host_has_landed_meanwhile_lands_once(town: Town, monkeypatch: pytest.MonkeyPatch, at: str):
    """A host ends with rows that it read and may not have loaded; another one goes on; the first one's rows do not come again."""
    if town.stores.settings.is_embedded:
        pytest.skip("a DuckDB file belongs to one process")
    town.land("customers")
    key = key_of(town, "customers")
    town.sandbox.change("customers", key, name="Changed")
    with monkeypatch.context() as patch, pytest.raises(EndedError):
        patch.setattr(at, ends)
        town.land("customers")
    with elsewhere(town) as other:
        other.land("customers")
        town.sandbox.change("customers", key, name="Changed again")
        other.land("customers")
    LOOKED_AT.clear()  # as a new process would begin
    assert town.land("customers").outcomes[0].tally.appended == 0
    assert [version["name"] for version in town.versions("customers", key)][1:] == ["Changed", "Changed again"]


KILLED = """
import os, signal, sys
from dlt.common.storages.load_package import PackageStorage
from cli.main import main
kept = PackageStorage.save_pending_transition
def killed(self, load_id, file_name, *given, **named):
    if file_name.startswith("st_customers"):
        os.kill(os.getpid(), signal.SIGKILL)
    return kept(self, load_id, file_name, *given, **named)
PackageStorage.save_pending_transition = killed
sys.argv = ["lazi", "sync", "--entity", "customers", "--no-models"]
main()
"""


def test_a_process_that_is_killed_when_rows_have_landed_lands_them_once(settings: Settings, town: Town):
    """Dlt notes a job's end behind its commit, and would do it once more."""
    place = {**os.environ, **store_environment(settings), "LAZI_LAKE": settings.lake, **town.sandbox.environment()}
    town.stores.close()
    child = subprocess.run(
        [sys.executable, "-c", KILLED], env=place, cwd=Path.cwd(), capture_output=True, text=True, check=False
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    town.stores = Stores.open(settings)
    for _ in range(2):
        assert town.stores.warehouse.fetch("SELECT COUNT(*) FROM raw.st_customers") == [(30,)]
        assert town.land("customers").is_good


def test_a_folder_that_is_dropped_half_way_leaves_no_cursor(town: Town, monkeypatch: pytest.MonkeyPatch):
    """What was read into it and never landed is read again, though the cursor behind it is in the folder."""
    kept = shutil.rmtree

    def half(folder: Path) -> None:
        for name in ("load", "normalize"):
            kept(folder / name)
        raise EndedError

    customers = next(entity for entity in CATALOG if entity.name == "customers")
    work = f"{town.connection.tenants[0].tenant_id} in {pipeline_name(customers.priority)}"
    town.land("customers")
    town.sandbox.change("customers", key := key_of(town, "customers"), name="Changed")
    with monkeypatch.context() as patch, pytest.raises(EndedError):
        patch.setattr(BEFORE_IT_LOADS, ends)
        town.land("customers")
    town.stores.operations.run("note_extraction", work=work, mark="another host's")
    LOOKED_AT.clear()  # as a new process would begin
    with monkeypatch.context() as patch, pytest.raises(EndedError):
        patch.setattr("pipelines.landing.shutil.rmtree", half)
        town.land("customers")
    LOOKED_AT.clear()
    assert town.land("customers").is_good
    assert [version["name"] for version in town.versions("customers", key)][1:] == ["Changed"]


def test_what_two_hosts_left_behind_lands_once(town: Town, monkeypatch: pytest.MonkeyPatch):
    """One ends before it loads, and the next when its rows are there and dlt has not noted it; whoever comes first goes on."""
    if town.stores.settings.is_embedded:
        pytest.skip("a DuckDB file belongs to one process")
    with elsewhere(town) as other:
        for host, at in ((town, BEFORE_IT_LOADS), (other, IN_THE_MIDDLE)):
            with monkeypatch.context() as patch, pytest.raises(EndedError):
                patch.setattr(at, ends)
                host.land("customers")
        LOOKED_AT.clear()  # as new processes would begin
        for host in (town, other):
            assert host.land("customers").is_good
    kept = town.stores.warehouse.fetch("SELECT COUNT(*), COUNT(DISTINCT st_id) FROM raw.st_customers")
    assert kept == [(len(town.sandbox.records("customers")),) * 2]
