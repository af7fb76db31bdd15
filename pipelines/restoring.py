"""Putting a backup in the place of the embedded store, whole or not at all.

The backup is copied into a work folder and verified there; then the store's files are renamed. While they are, a text
stands in the place of the warehouse file: no process takes it for a store, and it stays when this process is killed. The
next restore puts the former store back before it begins. What is locked here is never opened a second time: its lock
would end.
"""

import fcntl
import json
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from pipelines.backup import DUCKDB_FILES, MANIFEST, OPERATIONS, WAREHOUSE, BackupError, digest
from store.embedded import RESTORING, open_file
from store.exceptions import StoreLockedError, StoreUnwritableError
from store.folder import prepare_folder
from store.settings import Settings

SIDES = (f"{OPERATIONS}-wal", f"{OPERATIONS}-shm")
WORKING = "dlt"  # its cursors may be ahead of a backup, which would then never get the records between
OTHERS = (*DUCKDB_FILES[1:], *SIDES, OPERATIONS, WORKING)
"""What a store has besides the warehouse file, in the order in which it goes; SQLite's log before its file."""
BARRIER = b"A restore was cut off here. Run `lazi restore` again: it puts the former store back, and begins anew.\n"


def restore(settings: Settings, folder: Path) -> Path | None:
    """Put a backup in the place of the store, which nobody may use meanwhile; where the former one is kept, if any.

    Raises BackupError for a folder that is no whole backup, StoreLockedError while a process has the store, and
    StoreUnwritableError; the former store is then as it was.
    """
    told = manifest(folder)
    data = prepare_folder(settings.data_dir)
    try:
        with alone(data / WAREHOUSE):
            if is_cut_off(data):
                put_back(data)
        with alone(data / WAREHOUSE):
            tidy(data)
            try:
                prepare(folder, told, data)
                settle(data / OPERATIONS)
                switch(data)
            finally:
                aside = tidy(data)
    except OSError as error:
        raise StoreUnwritableError(
            f"`{folder}` could not be restored into `{data}`: {error}. Nothing was restored; make room and try again."
        ) from error
    return aside


def manifest(folder: Path) -> dict[str, str]:
    """A backup's files with their digests. Raises BackupError."""
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        told = {name: one["sha256"] for name, one in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise BackupError(f"`{folder}` is no backup: it has no readable `{MANIFEST}`.") from None
    if WAREHOUSE not in told or not told.keys() <= {*DUCKDB_FILES, OPERATIONS}:
        raise BackupError(f"`{folder}` is no backup: its `{MANIFEST}` names other files than a store has.")
    return told


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a DuckDB file by DuckDB's own kind of lock, whatever is in it; it is made, empty, where there is none.

    Raises StoreLockedError.
    """
    with path.open("a+b") as file:
        if not is_locked(file, path):
            open_file(path).close()  # which says who has it
            raise StoreLockedError(f"The DuckDB file `{path}` was held by another process a moment ago. Try again.")
        yield


def is_locked(file: BinaryIO, path: Path) -> bool:
    """Whether the file could be locked, and is still the one of that name."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.path.samestat(os.fstat(file.fileno()), path.stat())


def prepare(folder: Path, told: dict[str, str], data: Path) -> None:
    """Copy a backup's files into the work folder and see that they are whole. Raises BackupError."""
    new = Work(data).new
    new.mkdir(parents=True)
    for name, wanted in told.items():
        if not (folder / name).is_file():
            raise BackupError(f"`{folder / name}` is missing. Nothing was restored.")
        shutil.copyfile(folder / name, new / name)
        if digest(new / name) != wanted:
            raise BackupError(f"`{folder / name}` is not as it was made. Nothing was restored.")


def settle(operations: Path) -> None:
    """Bring SQLite's log into its file. One that SQLite cannot read stays as it is. Raises StoreLockedError."""
    if not operations.exists():
        return
    with closing(sqlite3.connect(operations)) as connection:
        try:
            connection.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise StoreLockedError(f"`{operations}` is used by another process. End it and try again.") from None


class Work:
    """The folders of a restore at work, in the data folder."""

    def __init__(self, data: Path) -> None:
        """Of which data folder; none need be there."""
        self.folder = data / RESTORING
        self.new = self.folder / "new"  # the backup's files, whole
        self.going = self.folder / "going"  # the same, once every file of such a name in the data folder is a new one
        self.former = self.folder / "former"  # the store's files, set aside
        self.barrier = self.folder / "barrier"
        self.second = self.folder / "second"  # name of the barrier, which then becomes the warehouse file's


def switch(data: Path) -> None:
    """Rename the store's files away and the prepared ones into their places; or, on any error, all as it was."""
    work = Work(data)
    work.former.mkdir()
    work.barrier.write_bytes(BARRIER)
    work.second.hardlink_to(work.barrier)
    with alone(work.barrier):
        try:
            (work.former / WAREHOUSE).hardlink_to(data / WAREHOUSE)
            work.second.replace(data / WAREHOUSE)
            move(OTHERS, data, work.former)
            work.new.rename(work.going)
            move(OTHERS, work.going, data)
            (work.going / WAREHOUSE).replace(data / WAREHOUSE)
        except BaseException:
            put_back(data)
            raise


def is_cut_off(data: Path) -> bool:
    """Whether the barrier of an unfinished switch stands in the warehouse file's place."""
    barrier = Work(data).barrier
    return barrier.exists() and barrier.samefile(data / WAREHOUSE)


def put_back(data: Path) -> None:
    """Undo a switch, however far it came. It may itself be cut off and done again."""
    work = Work(data)
    if work.going.exists():
        move(OTHERS, data, work.going)
        work.going.rename(work.new)
    if (work.former / OPERATIONS).exists():
        for name in SIDES:  # of an empty file that somebody made meanwhile
            (data / name).unlink(missing_ok=True)
    move(reversed(OTHERS), work.former, data)
    move([WAREHOUSE], work.former, data)


def move(names: Iterable[str], here: Path, there: Path) -> None:
    """Rename those of these files that are there, over what stands in their places."""
    for name in names:
        if (here / name).exists():
            (here / name).replace(there / name)


def tidy(data: Path) -> Path | None:
    """Remove the work folder of a switch that is over; where the former store is kept from now on, if it was set aside."""
    if is_cut_off(data):
        return None
    work = Work(data)
    left = work.former / WAREHOUSE
    if left.exists() and (left.samefile(data / WAREHOUSE) or not left.stat().st_size):
        left.unlink()
    aside = None
    if work.former.exists() and any(work.former.iterdir()):
        aside = data / f"before-restore-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
        work.former.rename(aside)
    shutil.rmtree(work.folder, ignore_errors=True)
    return aside
