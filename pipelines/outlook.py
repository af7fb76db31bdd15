"""What an upgrade of a store to this version would do. Nothing is changed here; `pipelines.upgrade` does it."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

from pipelines.model_state import StateVersions, is_ahead, is_behind, libraries, state, versions
from pipelines.modelling import fingerprint, load_project
from pipelines.rebuilds import Rebuild, functions_that_differ, rebuilds
from pipelines.sqlmesh_doors import LOOKING
from sources.servicetitan.catalog import CATALOG
from sources.servicetitan.reading import raw_table
from store.envelope import COLUMNS, by_table, lacking
from store.exceptions import StoreError, StoreLockedError
from store.migrating import Standing, check, is_current, migrations, newest, ours, purpose
from store.operations import Operations, operations_as_they_are
from store.settings import Settings
from store.warehouse import DuckDB, Postgres, open_warehouse


class UpgradeError(StoreError):
    """An upgrade cannot be done, or not from here."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a store. `is_due`: whether there is something to do; None where that could not be told."""

    part: str  # operations, raw, dlt, state, functions or models
    is_due: bool | None
    text: str
    items: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What an upgrade would do."""

    version: str  # of this program
    found: str  # the version that had the store last, empty where that is not known
    parts: list[Part]
    is_safe_beside: bool  # whether processes of the version before may go on meanwhile
    beside: str
    first: list[str]  # what to do before

    @property
    def is_due(self) -> bool | None:
        """Whether there is something to do; None where nothing is known of and not all could be told."""
        answers = {part.is_due for part in self.parts}
        return True if True in answers else None if None in answers else False


def look(settings: Settings) -> Outlook:
    """What an upgrade would do; nothing is changed. Raises StoreError, as NewerStoreError where a newer version has the store."""
    operations = operations_as_they_are(settings)
    if operations is None:
        return outlook(
            settings, Standing(), [Part("operations", False, "there is no store yet; the first start makes it")]
        )
    with closing(operations):
        standing = operations.standing()
        check(standing)
        if not standing.number:
            return outlook(
                settings, standing, [Part("operations", False, "there are none yet; the first start makes them")]
            )
        parts = [of_operations(standing), *of_warehouse(settings, mark_of(operations))]
    return outlook(settings, standing, parts)


def mark_of(operations: Operations) -> str | None:
    """The fingerprint of the text that the models were last built of; None where they never were."""
    last = operations.run("last_model_run")
    return str(last[0]["fingerprint"]) if last else None


def of_operations(standing: Standing) -> Part:
    """The operations tables."""
    pending = migrations(after=standing.number)
    items = [{"number": number, "purpose": purpose(text)} for number, text in pending]
    if pending:
        return Part("operations", True, f"{counted(pending, 'migration')}, from {standing.number} to {newest()}", items)
    if not is_current(standing):
        return Part("operations", True, f"nothing to migrate; `{ours()}` is noted as the version that has the store")
    return Part("operations", False, f"at migration {newest()}, the newest")


def of_warehouse(settings: Settings, mark: str | None) -> Iterator[Part]:
    """Raw tables, dlt's own, functions and models."""
    if settings.is_embedded and not (settings.data_dir / "lazi.duckdb").exists():
        return
    try:
        warehouse = open_warehouse(settings)
    except StoreLockedError as error:
        for part in ("raw", "dlt", "state", "functions"):
            yield Part(part, None, "the warehouse is in use")
        yield NEVER_BUILT if mark is None else behind_a_lock(error, is_same_text=mark == fingerprint(settings))
        return
    with closing(warehouse):
        yield of_raw(warehouse)
        yield of_dlt(warehouse)
        yield from of_models(settings, warehouse, mark)


NEVER_BUILT = Part("models", False, "none was ever built here; the first sync builds them")


def behind_a_lock(error: StoreLockedError, *, is_same_text: bool) -> Part:
    """The models of a warehouse that another process has."""
    if is_same_text:
        return Part("models", None, f"their text is that of the last run, and what else is due cannot be told: {error}")
    return Part("models", True, f"their text has changed; which tables a plan would build cannot be told: {error}")


def of_raw(warehouse: DuckDB | Postgres) -> Part:
    """The raw tables' envelope."""
    tables, known = [raw_table(entity) for entity in CATALOG], by_table(warehouse.fetch(COLUMNS))
    items: list[dict[str, Any]] = [{"table": f"raw.{one.name}"} for one in tables if one.name not in known]
    items += [{"table": f"raw.{table}", "column": name, "type": kind} for table, name, kind in lacking(tables, known)]
    made = sum("column" not in one for one in items)
    text = (
        f"{made} tables are made, {len(items) - made} columns are added" if items else f"{len(tables)} tables, complete"
    )
    return Part("raw", bool(items), text, items)


def of_dlt(warehouse: DuckDB | Postgres) -> Part:
    """Dlt's own tables: it migrates what it reads by itself, and refuses what a newer one wrote. Raises UpgradeError."""
    from dlt.common.schema.typing import SCHEMA_ENGINE_VERSION  # noqa: PLC0415  a costly import, made when it is needed
    from dlt.pipeline.state_sync import PIPELINE_STATE_ENGINE_VERSION  # noqa: PLC0415  the same

    known, items = by_table(warehouse.fetch(COLUMNS)), list[dict[str, Any]]()
    for table, here in (
        ("_dlt_version", SCHEMA_ENGINE_VERSION),
        ("_dlt_pipeline_state", PIPELINE_STATE_ENGINE_VERSION),
    ):
        found = warehouse.fetch(f"SELECT MAX(engine_version) FROM raw.{table}")[0][0] if table in known else None
        if found is not None:
            items.append({"table": f"raw.{table}", "found": int(found), "here": here})
    if newer := [one for one in items if one["found"] > one["here"]]:
        raise UpgradeError(
            f"`{newer[0]['table']}` was written by a newer dlt: its engine is {newer[0]['found']}, that of dlt "
            f"`{version('dlt')}` here is {newer[0]['here']}. Install the version of ST-LAZI that wrote it."
        )
    older = [one for one in items if one["found"] < one["here"]]
    text = (
        "it migrates its schemas by itself at the next load"
        if older
        else f"its schemas are those of dlt {version('dlt')}"
    )
    return Part("dlt", False, text, items)


def of_models(settings: Settings, warehouse: DuckDB | Postgres, mark: str | None) -> Iterator[Part]:
    """SQLMesh's state, functions and models. Raises UpgradeError where newer libraries wrote the state."""
    is_new = settings.is_embedded and not (settings.data_dir / "lazi-state.duckdb").exists()
    if mark is None or is_new:
        yield NEVER_BUILT
        return
    with looking():
        with state(settings) as opened:
            found = versions(opened)
        refuse_ahead(found)
        if is_behind(found):
            yield Part("state", True, f"{found}, becomes {libraries()}")
            text = "a plan is due; which tables it would build can be told when SQLMesh's state is migrated"
            yield Part("models", True, text)
            return
        yield Part("state", False, str(found))
        context = load_project(settings)
        try:
            differing = functions_that_differ(warehouse)
            yield Part(
                "functions", bool(differing), made_anew(differing), [{"function": f"raw.{one}"} for one in differing]
            )
            yield of_tables(rebuilds(context, warehouse), is_same_text=mark == fingerprint(settings))
        finally:
            context.close()


@contextmanager
def looking() -> Iterator[None]:
    """Nothing is made in a store that SQLMesh is pointed at inside."""
    LOOKING.set()
    try:
        yield
    finally:
        LOOKING.clear()


def refuse_ahead(found: StateVersions) -> None:
    """Raise UpgradeError where newer libraries wrote the state."""
    if is_ahead(found):
        raise UpgradeError(
            f"SQLMesh's state was written by newer libraries: {found}. Here are {libraries()}. Install the version of ST-LAZI "
            "that wrote it, or restore the backup from before."
        )


def made_anew(differing: list[str]) -> str:
    """What is said of functions."""
    return f"{counted(differing, 'function')} made anew" if differing else "as this version has them"


def of_tables(found: list[Rebuild], *, is_same_text: bool) -> Part:
    """What a plan would do to the models."""
    items = [asdict(one) for one in found]
    built = [one for one in found if one.kind == "table" and one.change != "removed"]
    if not found and is_same_text:
        return Part("models", False, "as this version has them")
    if not found:
        return Part("models", True, "their text has changed, and no table or view with it: a plan notes that")
    known = [one.rows for one in built if one.rows is not None]
    text = f"{counted(built, 'table')} built anew, about {sum(known):,} rows; {len(found) - len(built):,} views or removals"
    return Part("models", True, text, items)


def counted(things: Sequence[Any], noun: str) -> str:
    """So many of a thing."""
    return f"{len(things):,} {noun}{'' if len(things) == 1 else 's'}"


def outlook(settings: Settings, standing: Standing, parts: list[Part]) -> Outlook:
    """All parts together, with what they mean for who is at work and what is to be done first."""
    due = {part.part for part in parts if part.is_due}
    ends_others = "operations" in due
    others = sessions(settings) if due and not settings.is_embedded else ""
    if not due:
        beside = "there is nothing to do"
    elif ends_others:
        beside = (
            f"processes of {standing.version or 'the version before'} refuse to write from then on and end; start them with "
            f"this version{others}"
        )
    else:
        beside = (
            "changed tables are built beside the present ones, which readers see until they are whole; the models of "
            f"other processes wait{others}"
        )
    return Outlook(ours(), standing.version, parts, not ends_others, beside, first_of(settings, due))


def first_of(settings: Settings, due: set[str]) -> list[str]:
    """What is to be done before an upgrade."""
    if not due:
        return []
    if settings.is_embedded:
        return [
            "stop `lazi up`, `lazi api` and syncs",
            "`lazi upgrade --backup FOLDER` makes a backup before anything else",
        ]
    return [
        "back the database up: `pg_dump --format=custom --file=lazi.dump DATABASE`",
        "stop processes of the version before, or let them end by themselves",
    ]


def sessions(settings: Settings) -> str:
    """Other sessions of ours on PostgreSQL, in words."""
    with closing(Postgres(settings.session_url)) as warehouse:
        found = warehouse.fetch(SESSIONS)
    listed = ", ".join(f"{number} `{name}`" for name, number in found)
    return f". Sessions at present: {listed}" if listed else ". No session of ours is open at present"


SESSIONS = """SELECT application_name, COUNT(*) FROM pg_stat_activity
WHERE datname = CURRENT_DATABASE() AND pid <> pg_backend_pid() AND application_name LIKE 'lazi%'
GROUP BY application_name ORDER BY application_name"""
