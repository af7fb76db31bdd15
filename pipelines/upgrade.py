"""An upgrade of a store to this version, at a time that somebody chose.

Every process of a new version migrates the operations tables and makes what raw tables lack when it starts, and the models
follow at the next sync; only SQLMesh's state waits for this. Whatever it is cut off at, the next one goes on there: each part is
done whole or not at all, and looked at anew.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from pipelines.backup import BackupError, backup
from pipelines.model_state import libraries, migrate, state, versions
from pipelines.modelling import Models, fingerprint
from pipelines.outlook import Part, looking, made_anew, mark_of, of_dlt, of_operations, refuse_ahead
from pipelines.rebuilds import functions_that_differ
from pipelines.sync import Stores
from store.embedded import DuckDB
from store.lock import held
from store.migrating import Standing, check
from store.operations import operations_as_they_are
from store.settings import Settings
from store.warehouse import open_warehouse

Told = Callable[[str], None]


def upgrade(settings: Settings, told: Told, folder: Path | None = None) -> Iterator[Part]:
    """Upgrade a store, behind a backup of the embedded one into `folder`; each part when it is done.

    `told` hears what goes on. Raises StoreError where it cannot begin, and nothing is changed then; ModelError where the models
    could not be brought up to date.
    """
    if folder is not None:
        refuse_backup(settings)
    with held(settings, "an upgrade", told):
        standing, mark = found(settings)
        check(standing)
        refuse_newer(settings, mark)
        if folder is not None:
            told(f"backup into {folder}")
            back_up(settings, folder)
        with closing(Stores.open(settings)) as stores:
            yield of_operations(standing)
            if mark is not None:
                yield from brought_up(stores, told)


def found(settings: Settings) -> tuple[Standing, str | None]:
    """How far the operations tables are, and the fingerprint of the models' text."""
    operations = operations_as_they_are(settings)
    if operations is None:
        return Standing(), None
    with closing(operations):
        standing = operations.standing()
        return standing, mark_of(operations) if standing.number else None


def refuse_newer(settings: Settings, mark: str | None) -> None:
    """Raise UpgradeError where newer libraries wrote to the store, StoreLockedError where another process has it."""
    if mark is None:
        return
    with closing(open_warehouse(settings)) as warehouse:
        of_dlt(warehouse)
    with looking(), state(settings) as opened:
        refuse_ahead(versions(opened))


def refuse_backup(settings: Settings) -> None:
    """Raise BackupError where the store is none that is backed up here, before anything is said or done."""
    if not settings.is_embedded:
        raise BackupError(
            "`--backup` is for the embedded store, and `DATABASE_URL` is set: PostgreSQL is backed up by its own tools. Run "
            "`pg_dump --format custom --file before.dump` with the address of the database first, then `lazi upgrade` without "
            "`--backup`. Nothing was changed."
        )


def back_up(settings: Settings, folder: Path) -> None:
    """Back the embedded store up as it is, before this version has touched it. Raises BackupError, StoreLockedError."""
    with closing(DuckDB(settings.data_dir / "lazi.duckdb")) as warehouse:
        backup(settings, warehouse, folder)


def brought_up(stores: Stores, told: Told) -> Iterator[Part]:
    """SQLMesh's state, then the models and their functions. Raises ModelError."""
    settings = stores.settings
    with held(settings, "the models", told):
        told("SQLMesh's state")
        if was := migrate(settings, stores.operations):
            yield Part("state", True, f"{was}, is now {libraries()}")
    told("the models; tables that are built anew take their time")
    with closing(Models(settings)) as models:
        how = models.refresh(stores.operations)
        yield Part("models", how != "unchanged", how)
        if how != "planned":  # which makes the functions
            with held(settings, "the models", told):
                yield from made_functions(models, stores)


def made_functions(models: Models, stores: Stores) -> Iterator[Part]:
    """The functions that somebody dropped or changed."""
    context = models.loaded(fingerprint(models.settings))
    if differing := functions_that_differ(stores.warehouse):
        sys.modules["macros.functions"].make_functions(context.engine_adapter)
        yield Part("functions", True, made_anew(differing))
