"""Housekeeping, done by whoever has the store open: a DuckDB file belongs to one process, which others can only ask."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pipelines.backup import BackupError, backup, standing_still
from pipelines.sync import Stores
from sources.servicetitan.catalog import CATALOG
from sources.servicetitan.reading import raw_table
from store.embedded import DuckDB
from store.exceptions import StoreError, StoreLockedError
from store.exporting import export
from store.lock import held
from store.operations import open_operations
from store.pruning import compact, prune
from store.reader import open_reader
from store.settings import Engine, Settings

LOOK_EVERY = 1.0  # seconds
PATIENCE = 30.0  # seconds in which an errand must be taken, and then heard of again and again
BEAT = PATIENCE / 6  # seconds between signs of life

NOT_BEGUN = (
    f"The process that has the store did not begin within {PATIENCE:.0f} s. `lazi up` does errands; stop any other one and "
    "try again."
)
LOST = f"The process that had the store has not been heard of for {PATIENCE:.0f} s: it ended, or hangs. Try again."
ENDED = "The service ended before it had done this. Try again."

log = logging.getLogger(__name__)

Arguments = Mapping[str, Any]
Result = dict[str, Any]


class ErrandError(StoreError):
    """An errand failed, or nobody takes it."""


def make_backup(stores: Stores, arguments: Arguments) -> Result:
    """`folder`: where to."""
    if not isinstance(stores.warehouse, DuckDB) or not stores.settings.is_embedded:
        lake = stores.settings.engine in {Engine.DUCKLAKE, Engine.SPARK}
        files = f" but a lake's files: copy `{stores.settings.lake_files}` right after it" if lake else ""
        raise BackupError(f"PostgreSQL is backed up by its own tools, as `pg_dump`: it holds all that there is{files}.")
    return backup(stores.settings, stores.warehouse, Path(arguments["folder"]))


def make_export(stores: Stores, arguments: Arguments) -> Result:
    """`folder`: where to."""
    reader = open_reader(stores.settings, stores.warehouse)
    found = {one.name: one.rows for one in export(reader, Path(arguments["folder"]))}
    return {"folder": str(arguments["folder"]), "tables": found}


def do_prune(stores: Stores, arguments: Arguments) -> Result:
    """`before`: the moment; `dry`: whether only to count."""
    before, dry = datetime.fromisoformat(arguments["before"]), bool(arguments["dry"])
    tables = [raw_table(entity) for entity in CATALOG]
    with held(stores.settings, "pruning"), standing_still(stores.settings):
        found = {one.table: one.versions for one in prune(stores.warehouse, stores.operations, tables, before, dry=dry)}
        is_compact = dry or not found or compact(stores.warehouse, found)
    return {"before": before.isoformat(), "dry": dry, "versions": found, "compact": is_compact}


KINDS: dict[str, Callable[[Stores, Arguments], Result]] = {
    "backup": make_backup,
    "export": make_export,
    "prune": do_prune,
}


def run(settings: Settings, kind: str, arguments: Arguments, told: Callable[[str], None]) -> Result:
    """Do an errand here, or have it done by the process that has the store; `told` hears which. Raises StoreError."""
    try:
        stores = Stores.open(settings)
    except StoreLockedError as error:
        told(f"{error} It is asked to do it.")
        return asked(settings, kind, arguments)
    try:
        return KINDS[kind](stores, arguments)
    finally:
        stores.close()


def asked(settings: Settings, kind: str, arguments: Arguments) -> Result:
    """Ask whoever has the store, and wait. Raises ErrandError."""
    operations = open_operations(settings)
    try:
        [row] = operations.run("ask_errand", kind=kind, arguments=json.dumps(dict(arguments)), now=datetime.now(UTC))
        heard, heard_at = None, time.monotonic()
        while True:
            [errand] = operations.run("errand", errand_id=row["errand_id"])
            if errand["ended_at"]:
                break
            if errand["beaten_at"] != heard:
                heard, heard_at = errand["beaten_at"], time.monotonic()
            is_late = time.monotonic() - heard_at > PATIENCE
            if is_late and operations.run(
                "withdraw_errand", errand_id=row["errand_id"], heard=heard, now=datetime.now(UTC)
            ):
                raise ErrandError(LOST if heard else NOT_BEGUN)
            time.sleep(LOOK_EVERY / 4)
    finally:
        operations.close()
    if errand["error"]:
        raise ErrandError(str(errand["error"]))
    found: Result = json.loads(errand["result"])
    return found


class Errands:
    """A thread of a service that does what other processes ask."""

    def __init__(self, stores: Stores) -> None:
        """Of which store."""
        self.stores, self.over = stores, threading.Event()
        self.thread = threading.Thread(target=self.go_on, name="errands", daemon=True)
        self.untold: dict[str, Any] = {}  # how an errand ended, when that could not be written down

    def start(self) -> None:
        """Begin, where the store is one that others cannot open: whoever took an errand before is gone."""
        if self.stores.settings.is_embedded:
            self.bury()
            self.thread.start()

    def stop(self, seconds: float = 3.0) -> None:
        """End behind the errand at hand, if that ends within so long; else whoever asked for it is told."""
        self.over.set()
        if self.thread.is_alive():
            self.thread.join(seconds)
        if self.thread.is_alive():
            with suppress(StoreError):  # then it is told by the next start
                self.bury()

    def bury(self) -> None:
        """End the errands that somebody took and nobody does any longer."""
        self.stores.operations.run("bury_errands", now=datetime.now(UTC), error=ENDED)

    def go_on(self) -> None:
        """Do errands until it is over, whatever happens to the store meanwhile."""
        while not self.over.wait(LOOK_EVERY):
            try:
                while self.do_one():
                    pass
            except Exception as error:  # noqa: BLE001  whatever it was, the next errand is done
                log.warning("errands wait: %s", error)
                self.over.wait(BEAT)
        self.stores.operations.close()

    def do_one(self) -> bool:
        """Do the oldest errand; whether there was one. Raises StoreError, and tells then the next time how it ended."""
        self.tell()
        operations, now = self.stores.operations, datetime.now(UTC)
        rows = operations.run("take_errand", now=now, since=now - timedelta(seconds=PATIENCE))
        for row in rows:
            result, error = None, None
            try:
                with self.beating(row["errand_id"]):
                    result = json.dumps(KINDS[row["kind"]](self.stores, json.loads(row["arguments"])))
            except Exception as failure:  # noqa: BLE001  whoever asked is told
                error = str(failure) or type(failure).__name__
            self.untold = {"errand_id": row["errand_id"], "result": result, "error": error}
            self.tell()
        return bool(rows)

    def tell(self) -> None:
        """Write down how the last errand ended, unless that is done."""
        if self.untold:
            self.stores.operations.run("end_errand", now=datetime.now(UTC), **self.untold)
            self.untold = {}

    @contextmanager
    def beating(self, errand_id: int) -> Iterator[None]:
        """Give signs of life for an errand while what is inside lasts."""
        over, operations = threading.Event(), self.stores.operations

        def beat() -> None:
            while not over.wait(BEAT):
                with suppress(StoreError):  # the next one may be written again
                    operations.run("beat_errand", errand_id=errand_id, now=datetime.now(UTC))
            operations.close()

        thread = threading.Thread(target=beat, name="errand's signs of life", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
