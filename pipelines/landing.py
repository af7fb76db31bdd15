"""Running dlt: one pipeline a priority (and tenant, where there are several), into the dataset `raw` of the warehouse.

Working files stand in the data folder, apart for each warehouse, so that two warehouses never share a cursor.
"""

import hashlib
import secrets
import shutil
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import dlt
import duckdb
import psycopg2.errors
from dlt.pipeline.exceptions import PipelineStepFailed

from pipelines.dlt_plugin import adopt
from pipelines.engines import ENGINES, destination
from pipelines.names import of_all, tenant_of
from sources.servicetitan.begun import begin_all
from sources.servicetitan.reading import Reading
from sources.servicetitan.source import cursor_of, servicetitan
from store.exceptions import StoreMemoryError
from store.lock import Check, held, leased, memory_held
from store.operations import Operations
from store.server import hushed
from store.settings import Engine, Settings
from store.warehouse import DuckDB, Postgres, SparkFiles

DATASET = "raw"
LOADS_TOLD = 20  # packages of which dlt's traces stay in the working folder


class LandingError(Exception):
    """Rows were read and could not be written to the warehouse; they wait in the data folder for the next run."""


def working_folder(settings: Settings) -> Path:
    """Where dlt keeps its working files for this warehouse."""
    name = hashlib.sha256(settings.database_url.encode()).hexdigest()[:12]
    if settings.engine is not Engine.POSTGRES:
        name = "duckdb" if settings.is_embedded else f"{settings.engine}-{name}"
    return settings.data_dir.resolve() / "dlt" / name


def prepare_working_folder(settings: Settings, warehouse: DuckDB | Postgres) -> Path:
    """The folder, emptied when it belongs to a warehouse that is no longer there: its cursors would skip rows."""
    folder = working_folder(settings)
    owner = folder / "warehouse"
    if not owner.exists() or owner.read_text(encoding="utf-8") != warehouse.identity:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        owner.write_text(warehouse.identity, encoding="utf-8")
    return folder


def pipeline_for(name: str, settings: Settings, warehouse: DuckDB | Postgres) -> Any:
    """The pipeline of this name, on this warehouse."""
    adopt()
    return dlt.pipeline(
        name,
        pipelines_dir=str(prepare_working_folder(settings, warehouse) / "pipelines"),
        destination=destination(settings, warehouse),
        dataset_name=DATASET,
    )


def is_in_step(pipeline: Any, warehouse: DuckDB | Postgres) -> bool:
    """Whether the warehouse's newest state of this pipeline is the one that the working folder has.

    dlt would find that out too, and take a third of a second for it.
    """
    if pipeline.first_run or not Path(pipeline.working_dir).exists():
        return False
    return newest_state(pipeline, warehouse) == str(pipeline.state["_version_hash"])


def newest_state(pipeline: Any, warehouse: DuckDB | Postgres) -> str:
    """The warehouse's newest state of a pipeline, by its hash; empty where there is none."""
    if isinstance(warehouse, SparkFiles):
        return warehouse.newest_state(pipeline.pipeline_name)
    try:
        found = warehouse.fetch(NEWEST_STATE.format(name=pipeline.pipeline_name))
    except (duckdb.CatalogException, psycopg2.errors.UndefinedTable):
        return ""
    return str(found[0][0]) if found else ""


@dataclass(frozen=True, slots=True)
class Right:
    """The right to what a tenant reads by a pipeline. `check` raises where this process has lost it."""

    work: str  # the tenant and the pipeline, whatever a host calls the latter
    operations: Operations
    check: Check

    def note_extraction(self, pipeline: Any) -> None:
        """Write down, for all hosts and in the working folder, that what is extracted now was read last of all."""
        self.check()
        mark = secrets.token_hex(8)
        self.operations.run("note_extraction", work=self.work, mark=mark)
        (Path(pipeline.working_dir) / MARK).write_text(mark, encoding="utf-8")

    def is_overtaken(self, pipeline: Any) -> bool:
        """Whether another host has extracted since what waits here was: its rows landed from there, all of them or some."""
        last, own = self.operations.run("last_extraction", work=self.work), Path(pipeline.working_dir) / MARK
        return not last or not own.exists() or own.read_text(encoding="utf-8") != last[0]["mark"]


MARK = "extraction"


NEWEST_STATE = f"""SELECT s.version_hash FROM {DATASET}._dlt_pipeline_state AS s
INNER JOIN {DATASET}._dlt_loads AS l ON l.load_id = s._dlt_load_id
WHERE s.pipeline_name = '{{name}}' AND l.status = 0 ORDER BY l.load_id DESC LIMIT 1"""
"""As dlt asks for it."""


def waiting_tables(pipeline: Any) -> list[str]:
    """The raw tables of packages that an earlier run left behind."""
    packages = [*pipeline.list_extracted_load_packages(), *pipeline.list_normalized_load_packages()]
    jobs = [
        job for load_id in packages for some in pipeline.get_load_package_info(load_id).jobs.values() for job in some
    ]
    return sorted({name for job in jobs if (name := job.job_file_info.table_name).startswith("st_")})


def tell(late: Callable[[str], None], tables: Sequence[str]) -> None:
    """Tell of each table."""
    for table in tables:
        late(table)


def land(
    name: str,
    settings: Settings,
    warehouse: DuckDB | Postgres,
    readings: Sequence[Reading],
    *,
    right: Right,
    late: Callable[[str], None],
) -> None:
    """Read these entities and append what is new; packages that an earlier run left behind go first.

    The right is asked for before anything is written.

    `late` is told the raw table of each such package, before and after it is loaded: no batch tells of its rows.
    Raises LandingError when the warehouse does not take the rows.
    """
    try:
        pipeline, is_fresh = looked_at(name, settings, warehouse, right, late)
        state = pipeline.state
        cursors = [cursor_of(reading, state, name) for reading in readings]
        begun = begin_all(readings, cursors, int(dlt.config["extract.workers"]))
        if busy := [one for one in begun if not one.is_idle]:
            if not is_fresh:
                pipeline = pipeline_for(name, settings, warehouse)
            source = servicetitan.with_args(name=name)  # a schema and a state of its own
            right.note_extraction(pipeline)
            pipeline.extract(source(busy), loader_file_format=ENGINES[settings.engine].loader_format)
            load_extracted(pipeline, settings, warehouse, right.check)
    except PipelineStepFailed as error:
        raise LandingError(
            f"dlt could not {error.step} into the warehouse: {innermost(error)}. Nothing is lost: the rows wait in "
            f"`{working_folder(settings)}`, and the next run loads them first."
        ) from error
    except OSError as error:
        raise LandingError(
            f"The working folder `{working_folder(settings)}` cannot be written: {error.strerror or error}. Make room on its "
            "disk; the next run goes on where this one stopped."
        ) from error


LOOKED_AT: WeakKeyDictionary[DuckDB | Postgres, dict[str, Any]] = WeakKeyDictionary()
"""Pipelines by name, kept to see where cursors stand: making one costs as much as a dozen requests."""


def looked_at(
    name: str, settings: Settings, warehouse: DuckDB | Postgres, right: Right, late: Callable[[str], None]
) -> tuple[Any, bool]:
    """A pipeline in step with the warehouse, without waiting packages; and whether it is fit to run.

    One that is kept is not: another process may have changed the schema in the working folder since.
    """
    pipelines = LOOKED_AT.setdefault(warehouse, {})
    prepare_working_folder(settings, warehouse)
    kept = pipelines.get(name)
    if kept is not None and is_in_step(kept, warehouse) and not kept.has_pending_data:
        return kept, False
    made = pipeline_for(name, settings, warehouse)
    if made.has_pending_data and (right.is_overtaken(made) or is_cut_off(made)):
        forget(made)
        made = pipeline_for(name, settings, warehouse)
    pipelines[name] = made
    if not is_in_step(made, warehouse):
        made.sync_destination()
        if tenant_of(name) and not made.state.get("sources"):
            take_over(made, settings, warehouse, right, late)
    if made.has_pending_data:
        tables = waiting_tables(made)
        tell(late, tables)
        load_extracted(made, settings, warehouse, right.check)
        tell(late, tables)
    return made, True


def take_over(
    own: Any, settings: Settings, warehouse: DuckDB | Postgres, right: Right, late: Callable[[str], None]
) -> None:
    """Give a tenant's own new pipeline the cursors that the one for all had, when the tenant was alone or all shared it."""
    name, tenant = own.pipeline_name, tenant_of(own.pipeline_name)
    former = of_all(name)
    with leased(settings, f"pipeline {former}") as has_former:

        def check_both() -> None:
            right.check()
            has_former()

        shared, _ = looked_at(former, settings, warehouse, replace(right, check=check_both), late)
        resources = shared.state.get("sources", {}).get(former, {}).get("resources", {})
    cursors = {table: {tenant: state[tenant]} for table, state in resources.items() if tenant in state}
    if cursors:
        with own.managed_state() as state:
            state.setdefault("sources", {})[name] = {"resources": cursors}


def load_extracted(pipeline: Any, settings: Settings, warehouse: DuckDB | Postgres, check: Check) -> None:
    """Bring what is extracted into the warehouse: with little memory, or where records are too large for that, with more.

    One at a time into the embedded store, and anywhere while dlt makes its own tables.
    """
    drop_normalized(pipeline)
    pipeline.normalize()
    with memory_held(settings), held(settings, "dlt's own tables") if pipeline.first_run else nullcontext():
        check()
        try:
            with warehouse.sparing():
                pipeline.load()
        except StoreMemoryError:
            pipeline.load()
    drop_loaded(pipeline)


def is_cut_off(pipeline: Any) -> bool:
    """Whether a process ended where dlt does not know how far it came: what waits may have landed, and is to be read again.

    A job that is done and not noted would be done twice, a package that is done and not put away would fail for ever, and one
    of a pipeline that has no name for its schema yet would be passed over and loaded behind the next one.
    """
    packages = storages(pipeline)[1].normalized_packages
    waiting = pipeline.list_normalized_load_packages()
    return (
        not pipeline.default_schema_name
        or any(packages.is_package_completed(load_id) for load_id in waiting)
        or any(
            packages.load_pending_transition(load_id, Path(job).name) is None
            for load_id in waiting
            for job in packages.list_started_jobs(load_id)
        )
    )


def forget(pipeline: Any) -> None:
    """Drop a working folder. Its state goes first: what is left of one that has it would be gone on from, cursors and all."""
    folder = Path(pipeline.working_dir)
    (folder / pipeline.STATE_FILE).unlink(missing_ok=True)
    shutil.rmtree(folder)


def drop_normalized(pipeline: Any) -> None:
    """Drop what was extracted and is normalized whole: dlt, killed between the two, would do it again and fail for ever."""
    extracted, load = storages(pipeline)
    for load_id in {*pipeline.list_extracted_load_packages()} & {*pipeline.list_normalized_load_packages()}:
        load.new_packages.delete_package(load_id, not_exists_ok=True)
        extracted.delete_package(load_id)


def drop_loaded(pipeline: Any) -> None:
    """Drop what dlt tells of loads of long ago: a few files for each would be a million in a year."""
    _, load = storages(pipeline)
    for load_id in sorted(pipeline.list_completed_load_packages())[:-LOADS_TOLD]:
        load.loaded_packages.delete_package(load_id)


def storages(pipeline: Any) -> tuple[Any, Any]:
    """Dlt's storages of what is extracted, and of what is normalized or loaded."""
    return pipeline._get_normalize_storage().extracted_packages, pipeline._get_load_storage()  # noqa: SLF001  no other way


def innermost(error: BaseException) -> str:
    """The first line of the error that began a chain."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return hushed((str(error).strip() or type(error).__name__).splitlines()[0])
