"""What SQLMesh remembers of the models, when its or SQLGlot's version rises: how far it is, and bringing it up to date.

SQLMesh refuses a state of another minor version. Nothing is loaded of the project here, because that fails for such a state.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from pipelines.modelling import PROJECT, finish, seen_by_sqlmesh
from store.operations import Operations
from store.settings import Settings

UNKNOWN_TEXT = "migrated"  # no fingerprint of any text: the next run of the models plans


@dataclass(frozen=True, slots=True)
class StateVersions:
    """SQLMesh's, SQLGlot's and the state's own versions. No schema: there is no state yet."""

    sqlmesh: str
    sqlglot: str
    schema: int

    @property
    def compared(self) -> tuple[tuple[int, ...], ...]:
        """What must be the same on both sides: minor versions and schema."""
        return minor(self.sqlmesh), (self.schema,), minor(self.sqlglot)

    def __str__(self) -> str:
        return f"SQLMesh {self.sqlmesh}, SQLGlot {self.sqlglot}, schema {self.schema}"


def minor(text: str) -> tuple[int, ...]:
    """The first two numbers of a version."""
    return tuple(int(part) for part in text.split(".")[:2])


def libraries() -> StateVersions:
    """The versions that are installed."""
    from sqlmesh.core.state_sync.base import SCHEMA_VERSION  # noqa: PLC0415  a costly import, made when it is needed

    return StateVersions(version("sqlmesh"), version("sqlglot"), SCHEMA_VERSION)


def is_ahead(found: StateVersions) -> bool:
    """Whether newer libraries have written a state: the installed ones refuse it."""
    return any(there > here for there, here in zip(found.compared, libraries().compared, strict=True))


def is_behind(found: StateVersions) -> bool:
    """Whether a state must be migrated before the installed libraries take it."""
    return bool(found.schema) and not is_ahead(found) and found.compared != libraries().compared


@contextmanager
def state(settings: Settings) -> Iterator[Any]:
    """SQLMesh's state, whatever its version. Raises what SQLMesh raises where it cannot be reached."""
    from sqlmesh import Context  # noqa: PLC0415  a costly import, made when it is needed
    from sqlmesh.core.console import set_console  # noqa: PLC0415  a costly import, made when it is needed

    from pipelines.console import Failures  # noqa: PLC0415  a costly import, made when it is needed

    set_console(Failures())
    with seen_by_sqlmesh(settings):
        context = Context(paths=str(PROJECT), load=False)
        try:
            yield context._new_state_sync()  # noqa: SLF001  `state_sync` refuses another version
        finally:
            context.close()


def versions(opened: Any) -> StateVersions:
    """The versions that wrote a state last."""
    found = opened.get_versions(validate=False)
    return StateVersions(found.sqlmesh_version, found.sqlglot_version, found.schema_version)


def migrate(settings: Settings, operations: Operations) -> str:
    """Bring a state up to date that is behind, whole or not at all; from what it was, or nothing where it was not behind.

    Whoever calls it has the models. Raises what SQLMesh raises; the state is then as it was.
    """
    with state(settings) as opened:
        found = versions(opened)
        if not is_behind(found):
            return ""
        plan_next(operations)
        adapter = opened.engine_adapter
        if adapter.SUPPORTS_TRANSACTIONS:
            opened.migrate()  # is one transaction
        else:  # SQLMesh says so of DuckDB, which has them
            adapter.execute("BEGIN TRANSACTION")
            try:
                opened.migrate()
            except BaseException:
                adapter.execute("ROLLBACK")
                raise
            adapter.execute("COMMIT")
        return str(found)


def plan_next(operations: Operations) -> None:
    """Have the next run of the models plan, whatever becomes of this process: other libraries may render their text otherwise."""
    run_id, now = secrets.token_hex(8), datetime.now(UTC)
    operations.run("start_model_run", model_run_id=run_id, started_at=now, fingerprint=UNKNOWN_TEXT)
    finish(operations, run_id, "completed", None)
