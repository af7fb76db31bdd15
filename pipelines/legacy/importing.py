"""A takeover from its beginning to its end: tables, changes, names, models, report."""

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import psycopg2

from pipelines.legacy import master, models, mutations
from pipelines.legacy.database import Database, Name, identity_of, line_of
from pipelines.legacy.exceptions import LegacyError
from pipelines.legacy.record import Judge
from pipelines.legacy.report import MutationReport, Report, TableReport
from pipelines.legacy.selecting import counting
from pipelines.legacy.spelling import Shape, record_shape
from pipelines.legacy.taking import Taking
from pipelines.modelling import ModelError
from pipelines.sync import Stores
from sources.servicetitan.catalog import SCOPE, Entity, resolve_original
from sources.servicetitan.exceptions import CatalogError
from store.exceptions import StoreMemoryError
from store.lock import held, memory_held
from store.settings import Settings

RIGHT = "taking over a database of the original"
PREFIX = "st_"
OURS = ("raw", "_lazi_warehouse")
UNKEYED = "its records are told apart by what they were read for, and the table does not say that; `lazi sync` reads them anew"


class Observer(Protocol):
    """Someone who wants to know how it goes."""

    def begins(self, name: str, rows: int) -> None:
        """A table is about to be read."""

    def progresses(self, rows: int) -> None:
        """So many more rows of it were read."""

    def says(self, text: str) -> None:
        """What happens now."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is asked for."""

    tenant_id: int | None = None  # for rows that name none
    is_dry: bool = False
    with_models: bool = True
    with_withdrawn: bool = False
    only: tuple[str, ...] = ()  # tables, by their names there; empty: all


def take_over(settings: Settings, dsn: str, wishes: Wishes, observer: Observer) -> Report:
    """Take over a database of the original, or only look at it. Raises LegacyError or StoreError."""
    database = examined(dsn, settings)
    tables = chosen(database, wishes)
    report = Report(database.source, wishes.is_dry, others=others(database))
    report.names = master.compare(database.tables)
    planned = [plan(database, name, wishes) for name in tables]
    if wishes.is_dry:
        look(database, report, planned, wishes, observer)
        return report
    with held(settings, RIGHT, observer.says), closing(Stores.open(settings)) as stores:
        taken = Tables(stores, database, wishes, observer, begin(stores, database))
        with memory_held(settings):
            for one in planned:
                report.tables.append(one.report)
                taken.take(one)
        report.mutations = changes(stores, database, wishes, observer)
        if wishes.with_models:
            observer.says("Models")
            try:
                report.models = models.bring_up(settings, stores.operations)
            except ModelError as error:
                report.models, report.models_error = "failed", str(error)
        kept = json.dumps(report.as_dict())
        stores.operations.run("end_legacy_import", source=database.source, now=datetime.now(UTC), report=kept)
    return report


def changes(stores: Stores, database: Database, wishes: Wishes, observer: Observer) -> MutationReport:
    """Take over what waits to be sent: behind all tables, because a change's base is a version of its record."""
    if wishes.only:
        return MutationReport(reason="left to a run without `--table`: a change is made on a version of its record")
    observer.says("Changes")
    review = mutations.Review(stores, datetime.now(UTC), wishes.tenant_id, wishes.with_withdrawn)
    return mutations.take_over(database, review)


def examined(dsn: str, settings: Settings) -> Database:
    """The original's database. Raises LegacyError where it is none, or our own."""
    database = Database(dsn)
    if not settings.is_embedded and identity_of(settings.database_url) == database.identity:
        raise LegacyError(
            f"`--from` and `DATABASE_URL` are the same database, `{database.source}`. Both would have tables `raw.st_*`: make a "
            "new database for `DATABASE_URL`; the original's stays as it is."
        )
    if OURS in database.tables:
        raise LegacyError(
            f"`{database.source}` is a database of this ST-LAZI already, and not of the original. Nothing is to be taken over."
        )
    if not any(is_raw(name) for name in database.tables):
        schemas = sorted({schema for schema, _ in database.tables})
        shown = ", ".join(f"`{schema}`" for schema in schemas) or "none"
        raise LegacyError(
            f"`{database.source}` has no tables `raw.st_*`, so that it is no database of the original. Schemas there: {shown}. "
            "Does `--from` name the right database?"
        )
    return database


def is_raw(name: Name) -> bool:
    """Whether a table is one of records."""
    return name[0] == "raw" and name[1].startswith(PREFIX)


def others(database: Database) -> list[str]:
    """The tables of raw that hold no records."""
    return sorted(
        f"{schema}.{name}" for schema, name in database.tables if schema == "raw" and not is_raw((schema, name))
    )


def chosen(database: Database, wishes: Wishes) -> list[Name]:
    """The tables to look at. Raises LegacyError for a name that is none of them."""
    known = sorted(filter(is_raw, database.tables))
    wanted = {name.removeprefix("raw.").removeprefix(PREFIX) for name in wishes.only}
    found = [name for name in known if not wanted or name[1].removeprefix(PREFIX) in wanted]
    if missing := sorted(wanted - {name[1].removeprefix(PREFIX) for name in found}):
        raise LegacyError(
            f"`{database.source}` has no table `raw.{PREFIX}{missing[0]}`. There are {', '.join(name[1] for name in known)}."
        )
    return found


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to become of a table; without a shape and an entity nothing."""

    report: TableReport
    name: Name
    shape: Shape | None = None
    entity: Entity | None = None


def plan(database: Database, name: Name, wishes: Wishes) -> Plan:
    """What is to become of a table. Raises LegacyError where its rows would all lack a tenant."""
    report = TableReport(".".join(name))
    try:
        entity = resolve_original(name[1].removeprefix(PREFIX))
    except CatalogError as error:
        report.status, report.reason = "no entity", str(error)
        return Plan(report, name)
    report.entity = entity.name
    shape = record_shape(name, database.tables[name])
    if isinstance(shape, str):
        report.status, report.reason = "refused", shape
        return Plan(report, name)
    report.columns = shape.mapping
    if needs_scope(entity) and "scope" not in shape.roles:
        report.status, report.reason = "no entity", UNKEYED
        return Plan(report, name)
    if "tenant" not in shape.roles and wishes.tenant_id is None:
        raise LegacyError(
            f"`{report.table}` does not say which tenant its records are of. Name it: `--tenant 1234567`."
        )
    return Plan(report, name, shape, entity)


def needs_scope(entity: Entity) -> bool:
    """Whether a record's key cannot be made without what it was read for."""
    return not entity.is_set_of_tenant and (SCOPE in entity.key or (entity.is_scoped and not entity.key))


def look(database: Database, report: Report, planned: list[Plan], wishes: Wishes, observer: Observer) -> None:
    """Count, and write nothing."""
    for one in planned:
        observer.says(one.report.table)
        report.tables.append(one.report)
        count(database, one)
        if one.report.status == "read":
            one.report.status = "counted"
    report.mutations = mutations.look(database, with_withdrawn=wishes.with_withdrawn)


def count(database: Database, one: Plan) -> bool:
    """Count a table's rows; whether it may be read."""
    shape = one.shape or Shape(*one.name, {})
    try:
        with database.snapshot() as connection:
            one.report.tally.rows = database.fetch(connection, counting(shape))[0][0]
    except psycopg2.Error as error:
        one.report.status, one.report.reason = "failed", line_of(error)
        return False
    return True


@dataclass(frozen=True, slots=True)
class Tables:
    """Takes tables over, one after another."""

    stores: Stores
    database: Database
    wishes: Wishes
    observer: Observer
    begun: datetime

    def take(self, one: Plan) -> None:
        """Take a table over, or only count it where it cannot be. One that fails stops no other."""
        if not count(self.database, one):
            return
        self.observer.begins(one.report.table, one.report.tally.rows)
        if one.shape is None or one.entity is None:
            return
        judge = Judge(
            one.entity,
            self.begun,
            datetime.now(UTC),
            self.wishes.tenant_id,
            one.shape.is_checked,
            self.database.encoding,
        )
        taking = Taking(self.stores, self.database, one.shape, one.entity, judge, one.report, self.observer.progresses)
        try:
            sparingly(self.stores, taking.run)
        except psycopg2.Error as error:
            one.report.status, one.report.reason = "failed", line_of(error)


def sparingly(stores: Stores, work: Callable[[], Any]) -> None:
    """Do it with little memory, and where that is not enough, go on with more."""
    try:
        with stores.warehouse.sparing():
            work()
    except StoreMemoryError:
        work()


def begin(stores: Stores, database: Database) -> datetime:
    """Note a takeover; when the first one began."""
    stores.operations.run("begin_legacy_import", source=database.source, now=datetime.now(UTC))
    begun: datetime = stores.operations.run("first_legacy_import")[0]["started_at"]
    return begun
