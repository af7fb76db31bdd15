"""SQLMesh: bringing master, crm and audit up to date with raw, at the least cost.

Nothing changed: SQLMesh is not even imported. Rows landed: the models that hang on those entities run. The project's
text changed, or the warehouse is new: a plan is applied. One process at a time on PostgreSQL; readers are never blocked.
"""

import gc
import hashlib
import logging
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.definitions import Definitions, defined
from pipelines.engines import ENGINES
from pipelines.publishing import Progress, PublicationError, Published, is_due, publish, put_back
from store import lake, texts
from store import project as place
from store.exceptions import StoreError
from store.lock import held, memory_held, silently
from store.operations import Operations, open_operations
from store.server import hushed
from store.settings import EMBEDDED, Settings

PROJECT = place.PROJECT
PARTS = ("models", "macros", "audits", "config.py", "external_models.yaml")
OUTSIDE = Path(texts.__file__)  # of the project, and macros read it
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0  # seconds until what could not be published is tried again
OUT_OF_MEMORY = "Out of Memory Error"  # of DuckDB's; SQLMesh keeps only the text of what a model raised
READS_EVERYTHING = "any_entity"  # the tag of models that read raw tables of every entity

log = logging.getLogger(__name__)


class ModelError(Exception):
    """Models could not be brought up to date; raw is complete, and the next run tries again."""


def fingerprint(settings: Settings, project: Path = PROJECT) -> str:
    """A hash of everything that decides how models look, the warehouse's engine among it: another one has yet to build them."""
    digest = hashlib.sha256(settings.engine.encode())
    for part in PARTS:
        root = project / part
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if path.suffix in {".sql", ".py", ".csv", ".yaml"} and path.is_file():
                digest.update(str(path.relative_to(project)).encode() + path.read_bytes())
    digest.update(OUTSIDE.read_bytes())
    return digest.hexdigest()[:32]


def stale_entities(operations: Operations, mark: str) -> dict[str, int] | None:
    """Entities of which rows landed that the models do not show, with how often.

    None when a plan is due: the models never ran here, or their text changed.
    """
    last = operations.run("last_model_run")
    if not last or last[0]["fingerprint"] != mark:
        return None
    return landed(operations)


def landed(operations: Operations) -> dict[str, int]:
    """Entities of which rows landed since the models last ran, with how often."""
    return {row["entity"]: row["landings"] for row in operations.run("stale_entities")}


def is_requested(operations: Operations) -> bool:
    """Whether somebody asked for the models since they last ran."""
    last = operations.run("last_model_run")
    return bool(last and operations.run("models_requested", since=last[0]["started_at"])[0]["requests"])


def is_current(operations: Operations, mark: str) -> bool:
    """Whether the models have this text, show all that landed, and nobody asked for them."""
    return stale_entities(operations, mark) == {} and not is_requested(operations)


class Models:
    """The SQLMesh project in a process that lives: loaded when it is first needed, again when its text changes.

    Threads that refresh or make it ready take turns; all else is for one thread at a time.
    """

    def __init__(self, settings: Settings) -> None:
        """Nothing is loaded yet."""
        self.settings = settings
        self.turn = threading.Lock()
        self.context: Any = None
        self.mark = ""  # of the text that was loaded
        self.scheduler: Any = None
        self.plan_id = ""  # of the plan that the project and the scheduler know
        self.pause = 0.0  # seconds, behind a publication that left something out
        self.again = 0.0  # by the monotonic clock: when it is tried again

    def refresh(self, operations: Operations) -> str:
        """Bring the models up to date. `unchanged`, `refreshed` or `planned`. Raises ModelError."""
        with self.turn:
            return self.brought_up(operations)

    def ready(self) -> None:
        """Load the project now rather than at the first refresh."""
        with self.turn:
            self.planned(self.loaded(fingerprint(self.settings)))

    def brought_up(self, operations: Operations) -> str:
        """Bring the models up to date, and what is served of them."""
        mark = fingerprint(self.settings)
        is_served = time.monotonic() < self.again or not is_due(self.settings, operations, mark)
        if is_current(operations, mark) and is_served:
            return "unchanged"
        with held(self.settings, "the models"), memory_held(self.settings):
            put_back(self.settings, operations)
            how = self.run(operations, mark)
            self.publish(operations, mark, ran=how != "unchanged")
        if how == "planned" and ENGINES[self.settings.engine].keeps_plans:
            self.close()
        return how

    def run(self, operations: Operations, mark: str) -> str:
        """The same, with the right to the models in hand."""
        run_id, begun = secrets.token_hex(8), datetime.now(UTC)  # what is asked for from now on is the next run's
        if is_current(operations, mark):  # who had the models has done it
            return "unchanged"
        stale, requested = stale_entities(operations, mark), is_requested(operations)
        shown = landed(operations) if stale is None else stale
        operations.run("start_model_run", model_run_id=run_id, started_at=begun, fingerprint=mark)
        try:
            self.build(mark, stale, shown, questions=requested)
        except Exception as error:
            finish(operations, run_id, "failed", hushed(str(error))[:2000])
            if stale is not None:
                self.publish(operations, mark, ran=True)  # what does not stand on the model that failed
            self.close()  # whatever went wrong, the next refresh begins afresh
            raise ModelError(
                f"The models could not be brought up to date: {shortened(error)}. Raw tables are complete. Run "
                "`sqlmesh plan` to see the whole error; the next `lazi sync` tries again."
            ) from error
        finish(operations, run_id, "completed", None)
        operations.run_all("forget_stale", [{"entity": name, "landings": times} for name, times in shown.items()])
        operations.run_all("still_stale", [{"entity": name, "since": begun} for name in shown])
        return "planned" if stale is None else "refreshed"

    def build(self, mark: str, stale: dict[str, int] | None, shown: dict[str, int], *, questions: bool) -> None:
        """Plan, or run what is stale; once more, with all memory that there is, where a lake's bound turns out too narrow."""
        try:
            self.plan(mark, sorted(shown)) if stale is None else self.evaluate(
                sorted(stale), mark=mark, questions=questions
            )
        except Exception as error:
            is_narrow = OUT_OF_MEMORY in str(error) and ENGINES[self.settings.engine].keeps_plans
            if not is_narrow or not lake.more_room():
                raise
            log.warning(
                "the models need more memory than they have on a lake at first; they go on with all that there is"
            )
            self.close()
            self.build(mark, stale, shown, questions=questions)

    def publish(self, operations: Operations, mark: str, *, ran: bool) -> None:
        """Publish what is served, if models `ran` or it is behind.

        What fails is noted, told by an alarm and tried again after a pause; the models themselves are up to date.
        """
        if not is_due(self.settings, operations, mark, ran=ran):
            return
        try:
            is_whole = not publish(self.settings, operations, mark, self.define).refused
        except StoreError as error:
            is_whole = False
            log.warning("what is served is behind: %s", error)
        self.pause = 0.0 if is_whole else min(max(FIRST_PAUSE, self.pause * 2), LONGEST_PAUSE)
        self.again = time.monotonic() + self.pause

    def define(self, names: Iterable[str], connection: Any) -> Definitions:
        """What these models are in PostgreSQL, by a session there. Raises PublicationError where they cannot be loaded."""
        from sqlmesh.utils.errors import SQLMeshError  # noqa: PLC0415  a costly import, made when it is needed

        try:
            context = self.loaded(fingerprint(self.settings))
        except SQLMeshError as error:
            raise PublicationError(
                f"The models cannot be loaded: {error}. Run `sqlmesh plan` to see the whole."
            ) from error
        return defined(context, names, connection)

    def plan(self, mark: str, landed: list[str]) -> None:
        """Apply what the text says and run everything, for these entities' newest rows too. Raises ModelError."""
        from sqlmesh.utils.errors import PlanError  # noqa: PLC0415  a costly import, made when it is needed

        context = self.loaded(mark)
        was_built = bool(self.plan_id)
        try:
            context.plan(no_prompts=True, auto_apply=True, skip_tests=True)
        except PlanError as error:
            raise ModelError("; ".join(context.console.reasons) or str(error)) from error
        self.plan_id, self.scheduler = in_production(context), None
        if was_built and landed:  # a plan takes what did not change for finished where it ran within this minute
            self.evaluate(landed, mark=mark)

    def evaluate(self, entities: Iterable[str], *, below: bool = True, mark: str = "", questions: bool = False) -> None:
        """Run the master models of these entities and, unless `below` is false, all that hang on them. Raises ModelError.

        With `questions` the crm models run in any case.
        """
        context = self.loaded(mark or fingerprint(self.settings))
        landed = list(entities)
        chosen = touched(context, landed, questions=questions) if below else masters(context, landed)
        evaluate_models(self.planned(context), chosen, landed)

    def loaded(self, mark: str) -> Any:
        """The project with this text, and with the models of other projects that are in production."""
        if self.context is None or self.mark != mark or in_production(self.context) != self.plan_id:
            self.close()
            self.context, self.mark = load_project(self.settings), mark
            self.plan_id = in_production(self.context)
        return self.context

    def planned(self, context: Any) -> Any:
        """SQLMesh's scheduler of what is in production."""
        if self.scheduler is None:
            gc.unfreeze()  # the former scheduler among them
            self.scheduler = context.scheduler(environment="prod")
            gc.freeze()  # millions of objects that stay as long as the project does: not to be looked through every time
        return self.scheduler

    def close(self) -> None:
        """Let go of the project and its connections."""
        if self.context is not None:
            self.context.close()
            self.context = self.scheduler = None
            gc.unfreeze()
            gc.collect()  # it holds itself by millions of objects


def in_production(context: Any) -> str:
    """The plan that was applied last, by whomever; empty where there was none."""
    production = context.state_sync.get_environment("prod")
    return production.plan_id if production else ""


def refresh(settings: Settings, operations: Operations) -> str:
    """Bring the models up to date, once. `unchanged`, `refreshed` or `planned`. Raises ModelError."""
    models = Models(settings)
    try:
        return models.refresh(operations)
    finally:
        models.close()


def publish_now(
    settings: Settings,
    *,
    whole: bool = False,
    progress: Progress | None = None,
    waits: Callable[[str], None] = silently,
) -> Published:
    """Publish what is served of the models as they are, whether that is due or not. Raises PublicationError."""
    models, operations = Models(settings), open_operations(settings)
    try:
        with held(settings, "the models", waits):
            return publish(settings, operations, fingerprint(settings), models.define, whole=whole, progress=progress)
    finally:
        models.close()
        operations.close()


def finish(operations: Operations, run_id: str, status: str, error: str | None) -> None:
    """Write down how a run of the models ended."""
    operations.run("finish_model_run", model_run_id=run_id, finished_at=datetime.now(UTC), status=status, error=error)


def load_project(settings: Settings, project: Path = PROJECT) -> Any:
    """The project on the warehouse of these settings, read from its files as they are now."""
    from sqlmesh import Context  # noqa: PLC0415  a costly import, made when it is needed
    from sqlmesh.core.console import set_console  # noqa: PLC0415  a costly import, made when it is needed

    from pipelines.console import Failures  # noqa: PLC0415  a costly import, made when it is needed

    set_console(Failures())
    forget_macros()
    with seen_by_sqlmesh(settings):
        return Context(paths=str(project))


def forget_macros() -> None:
    """Have macros read anew: SQLMesh imports them one by one and keeps what another import brought or registered."""
    from sqlmesh import macro  # noqa: PLC0415  a costly import, made when it is needed
    from sqlmesh.utils import UniqueKeyDict  # noqa: PLC0415  a costly import, made when it is needed

    for name in [name for name in sys.modules if name.partition(".")[0] == "macros"]:
        del sys.modules[name]
    others = {
        name: made for name, made in macro.get_registry().items() if not made.func.__module__.startswith("macros.")
    }
    macro.set_registry(UniqueKeyDict("macros", **others))


def masters(context: Any, entities: Iterable[str]) -> list[str]:
    """The master models of these entities."""
    return [context.get_model(f"master.{name}", raise_if_missing=True).fqn for name in entities]


def touched(context: Any, entities: Iterable[str], *, questions: bool = False) -> list[str]:
    """The models that hang on these entities' raw tables, in the order in which they must run.

    With `questions` also all of crm.
    """
    below: set[str] = set()
    for master in masters(context, entities):
        below |= {master, *context.dag.downstream(master)}
    for model in context.models.values():
        if READS_EVERYTHING in model.tags or (questions and model.schema_name == "crm"):
            below |= {model.fqn, *context.dag.downstream(model.fqn)}
    return [fqn for fqn in context.dag.sorted if fqn in below]


def evaluate_models(scheduler: Any, models: Iterable[str], landed: Iterable[str] | None = None) -> None:
    """Evaluate and audit these models for the current month, whatever SQLMesh believes it has seen of it.

    `landed` are the entities that may have new rows, for models that read all of them: asking 170 tables takes seconds.

    `sqlmesh run` works in whole minutes and would find nothing to do for rows that landed since the last minute.
    Raises ModelError when an audit fails.
    """
    from sqlmesh.core.snapshot import DeployabilityIndex  # noqa: PLC0415  a costly import, made when it is needed

    snapshots = {snapshot.name: snapshot for snapshot in scheduler.snapshots.values()}
    now = datetime.now(UTC)
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for fqn in models:
        snapshot = snapshots[fqn]
        if snapshot.is_view or not snapshot.evaluatable:
            continue  # a view shows what its tables hold; plans make and audit it
        results = scheduler.evaluate(
            snapshot,
            start=month,
            end=now,
            execution_time=now,
            deployability_index=DeployabilityIndex.all_deployable(),
            batch_index=0,
            landed=None if landed is None else tuple(landed),
        )
        failed = [result for result in results if result.count]
        if failed:
            raise ModelError(f"audit `{failed[0].audit.name}` of `{snapshot.name}` finds {failed[0].count} bad rows")


@contextmanager
def seen_by_sqlmesh(settings: Settings) -> Iterator[None]:
    """Let `config.py`, which reads settings by itself, find the very ones that this process works with."""
    ours = {
        "LAZI_DATA_DIR": str(settings.data_dir),
        "DATABASE_URL": settings.database_url or EMBEDDED,
        "DATABASE_DIRECT_URL": settings.direct_url or EMBEDDED,
        "LAZI_WAREHOUSE": settings.engine,
        "LAZI_LAKE": settings.lake_files,
    }
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def shortened(error: BaseException) -> str:
    """The last telling line of an error, without the full stop that the sentence around it brings."""
    lines = [line.strip() for line in hushed(str(error)).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:600].rstrip(".")
