"""Trials that measure what `bench.constants` keeps: what a turn, a package, a version, a model and a look cost on an engine.

CPU seconds of this process and of the database server, the least of some rounds: other work on the machine changes them little.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg2

from bench.cycles import Service
from bench.landing import connection_to
from bench.measure import Cost
from bench.result import Figures
from pipelines.maintaining import maintain
from pipelines.modelling import Models
from pipelines.schedule import Schedule
from pipelines.sync import Silence, client_for, land_all, land_tenant
from sources.servicetitan.catalog import BY_NAME, CATALOG, Entity
from sources.servicetitan.client import Client
from store import leases
from store.lake import CATALOG_TABLES
from store.operations import Operations
from store.postgres_operations import PostgresOperations
from store.settings import Connection, Engine, Settings, connection
from store.sqlite_operations import SqliteOperations
from store.timetable import INTERVALS, Timetable

ROUNDS = 3
ONE, TWO = ("customers",), ("customers", "jobs")  # of one priority, so that both come in one package
FEW = 20  # records of a small package
LOOKING = 20.0  # seconds in which a schedule does nothing but look
FEW_TENANTS, MANY_TENANTS = 10, 60
SAMPLED_EVERY = 0.05  # seconds


def best(costs: list[Cost]) -> Cost:
    """The least of each clock."""
    return Cost(*(min(values) for values in zip(*((one.client, one.server, one.wall) for one in costs), strict=True)))


def named(word: str, cost: Cost) -> Figures:
    """Client and server of a cost as figures."""
    return {f"{word}_client": max(0.0, cost.client), f"{word}_server": max(0.0, cost.server)}


def measured(service: Service, work: Callable[[], object]) -> Cost:
    """What some work costs."""
    with service.gauge.measured() as cost:
        work()
    return cost


class Counter:
    """Counts the calls of a method of a class, which goes on as before."""

    def __init__(self, kind: type, name: str) -> None:
        """From now on."""
        self.calls, former = 0, getattr(kind, name)

        def counting(*values: Any, **named: Any) -> Any:
            self.calls += 1
            return former(*values, **named)

        setattr(kind, name, counting)


class Sessions(threading.Thread):
    """Sees how many sessions a database has at most."""

    def __init__(self, url: str) -> None:
        """Of the database at an address; without one there is none."""
        super().__init__(daemon=True)
        self.url, self.most, self.over = url, 0, threading.Event()

    def run(self) -> None:
        """Look until told to stop."""
        watching = psycopg2.connect(self.url)
        watching.autocommit = True
        with watching.cursor() as cursor:
            while not self.over.wait(SAMPLED_EVERY):
                cursor.execute("SELECT COUNT(*) - 1 FROM pg_stat_activity WHERE datname = CURRENT_DATABASE()")
                self.most = max(self.most, cursor.fetchone()[0])
        watching.close()


@contextmanager
def watched(url: str) -> Iterator[Sessions]:
    """Sessions, seen during the block."""
    sessions = Sessions(url)
    if url:
        sessions.start()
    yield sessions
    sessions.over.set()
    if url:
        sessions.join()


def living() -> Figures:
    """Turns that find nothing, by priority; models without new rows; the most sessions."""
    service = Service()
    with watched(service.settings.database_url) as sessions:
        servicetitan = connection()
        service.land(servicetitan)
        service.refresh("planned")
        service.land(servicetitan)  # parents that were new
        service.models.refresh(service.stores.operations)
        figures: Figures = {}
        for priority in INTERVALS:
            figures |= idle(service, servicetitan, priority)
        figures |= modelled(service)
    figures["connections"] = float(sessions.most)
    service.close()
    return figures


def idle(service: Service, servicetitan: Connection, priority: int) -> Figures:
    """A turn of a priority that finds nothing: its cost, requests, and statements of leases and operations."""
    stores, entities = service.stores, [entity for entity in CATALOG if entity.priority == priority]
    client = client_for(servicetitan, servicetitan.tenants[0], stores.budgets)
    client.authenticate()
    kind = SqliteOperations if service.settings.is_embedded else PostgresOperations
    leased, asked = Counter(leases.Holder, "asked"), Counter(kind, "run")
    costs, requests = [], 0.0
    for _ in range(ROUNDS):
        leased.calls = asked.calls = 0
        with service.gauge.measured() as cost:
            requests = turn(service, client, entities)
        costs.append(cost)
    word = f"idle{priority}"
    client.close()
    counts = {f"{word}_requests": requests, f"{word}_leases": leased.calls, f"{word}_statements": asked.calls}
    return named(word, best(costs)) | {name: float(value) for name, value in counts.items()}


def turn(service: Service, client: Client, entities: list[Entity]) -> float:
    """Read entities, in which nothing is new; the requests that it took."""
    outcomes = land_tenant(service.stores, client, entities, observer=Silence())
    assert not [one for one in outcomes if one.status == "failed"], outcomes
    return float(sum(one.meter.requests for one in outcomes))


def modelled(service: Service) -> Figures:
    """Models of one entity, and what each further one costs: those of all, without one, shared out."""
    names = [entity.name for entity in CATALOG]
    one = best([measured(service, lambda: service.models.evaluate(ONE)) for _ in range(ROUNDS)])
    every = best([measured(service, lambda: service.models.evaluate(names)) for _ in range(ROUNDS)])
    each = every.less(one)
    share = 1 / (len(names) - 1)
    return named("model", one) | named("model_entity", Cost(each.client * share, each.server * share))


class Nobody:
    """A watcher to whom nothing matters."""

    def done(self, *_: object) -> None:
        """Nothing."""

    failed = modelled = not_modelled = waits = done


class NoModels(Models):
    """Models of which there is nothing to bring up to date."""

    def refresh(self, operations: Operations) -> str:  # noqa: ARG002  as the others
        """Nothing is done."""
        return "unchanged"


def waiting() -> Figures:
    """What a tenant costs a process in a second without a turn: real schedules of few and of many tenants, switched off."""
    service = Service()
    few, many = (looking(service, number) for number in (FEW_TENANTS, MANY_TENANTS))
    service.close()
    return named("tenant", part(many.less(few), LOOKING * (MANY_TENANTS - FEW_TENANTS)))


def looking(service: Service, number: int) -> Cost:
    """A schedule of so many tenants, none of whose turns come."""
    reached = connection()
    tenants = tuple(replace(reached.tenants[0], tenant_id=1000 + each) for each in range(number))
    timetable = Timetable(dict.fromkeys(INTERVALS), reconcile=None)
    schedule = Schedule(
        service.stores, replace(reached, tenants=tenants), timetable, Nobody(), NoModels(service.settings)
    )
    schedule.start()
    time.sleep(LOOKING / 4)
    cost = measured(service, lambda: time.sleep(LOOKING))
    schedule.stop()
    return cost


def growing(url: str, records: int) -> Figures:
    """Packages of one and two tables, versions into raw and through the models, records read again; bytes, files, snapshots."""
    service, figures = Service(), Figures()
    service.refresh("planned")
    grow(service, url, FEW, TWO)
    before = marks(service)
    one = best([grow(service, url, FEW + 1 + number, ONE) for number in range(ROUNDS)])
    figures |= {f"package_{name}": value / ROUNDS for name, value in passed(before, marks(service)).items()}
    two = best([grow(service, url, FEW + 11 + number, TWO) for number in range(ROUNDS)])
    nothing = measured(service, lambda: land_all(service.stores, connection_to(url, FEW), [BY_NAME["customers"]]))
    table = two.less(one)
    figures |= named("table", table) | named("package", one.less(table).less(nothing))
    service.models.refresh(service.stores.operations)
    size = disk(service.settings)
    large = grow(service, url, records, ONE).less(one)
    figures |= named("version", part(large, records))
    figures["raw_bytes"] = (disk(service.settings) - size) / records
    size, before = disk(service.settings), marks(service)
    few = best([measured(service, lambda: service.models.evaluate(ONE)) for _ in range(1)])
    figures["shown_bytes"] = (disk(service.settings) - size) / records
    figures |= {f"model_{name}": value for name, value in passed(before, marks(service)).items()}
    again = best([measured(service, lambda: service.models.evaluate(ONE)) for _ in range(ROUNDS)])
    figures |= named("model_version", part(few.less(again), records))
    read = measured(
        service, lambda: land_all(service.stores, connection_to(url, records), [BY_NAME["customers"]], full=True)
    )
    figures |= named("reread", part(read.less(nothing), records))
    figures |= kept(service)
    service.close()
    return figures


def part(cost: Cost, number: float) -> Cost:
    """One of so many's share."""
    return Cost(cost.client / number, cost.server / number, cost.wall / number)


def grow(service: Service, url: str, records: int, names: tuple[str, ...]) -> Cost:
    """Land a page server's tenant that has so many records."""
    return service.land(connection_to(url, records), *names)


def marks(service: Service) -> Figures:
    """Snapshots and files that a lake has had since it was last looked after; nothing elsewhere."""
    if service.settings.engine is not Engine.DUCKLAKE:
        return {}
    fetch = service.stores.warehouse.fetch
    [(snapshots,)] = fetch(f"SELECT MAX(snapshot_id) FROM {CATALOG_TABLES}.ducklake_snapshot")
    counts = [fetch(f"SELECT COUNT(*) FROM {CATALOG_TABLES}.ducklake_{kind}_file")[0][0] for kind in ("data", "delete")]
    return {"snapshots": float(snapshots), "files": float(sum(counts))}


def passed(before: Figures, after: Figures) -> Figures:
    """What has come in between."""
    return {name: after[name] - before[name] for name in before}


def live(service: Service) -> float:
    """Data files that the newest snapshot of a lake shows."""
    [(files,)] = service.stores.warehouse.fetch(
        f"SELECT COUNT(*) FROM {CATALOG_TABLES}.ducklake_data_file WHERE end_snapshot IS NULL"
    )
    return float(files)


def kept(service: Service) -> Figures:
    """Files that a lake shows before and after it was looked after, and how many of its tables have any."""
    if service.settings.engine is not Engine.DUCKLAKE:
        return {}
    before = live(service)
    cost = measured(service, lambda: maintain(service.settings, timedelta()))
    [(tables,)] = service.stores.warehouse.fetch(
        f"SELECT COUNT(DISTINCT table_id) FROM {CATALOG_TABLES}.ducklake_data_file WHERE end_snapshot IS NULL"
    )
    counts = {"lake_files": before, "lake_files_kept": live(service), "lake_tables": float(tables)}
    return counts | named("maintain", cost)


def disk(settings: Settings) -> float:
    """Bytes that a warehouse takes on disk: files, and the database with its indexes."""
    total = 0.0
    if settings.database_url:
        server = psycopg2.connect(settings.database_url)
        with server.cursor() as cursor:
            cursor.execute("SELECT pg_database_size(CURRENT_DATABASE())")
            total += float(cursor.fetchone()[0])
        server.close()
    kept_in = {Engine.DUCKLAKE: settings.lake_files, Engine.DUCKDB: str(settings.data_dir)}
    folder = kept_in.get(settings.engine)
    files = [path for path in Path(folder).rglob("*") if path.is_file()] if folder else []
    wanted = [path for path in files if path.suffix == ".parquet" or path.name.startswith("lazi.duckdb")]
    return total + sum(path.stat().st_size for path in wanted)
