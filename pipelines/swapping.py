"""Putting partitions of a table's files in the place of others, so that a process that is killed meanwhile loses none.

New partitions are written elsewhere first, whole. Then a journal says that they are to be put in place, and each takes the
place of the former one by being renamed. Whoever works on any table next finishes what a journal tells before it reads, so that
no journal is ever carried out over what is newer. Partitions without changes are not touched.
"""

import fcntl
import json
import shutil
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from store.exceptions import StoreError
from store.files import EMPTY, put, synced, writing

MERGING = "merging"  # the folder of what is on its way
LOCK = "merging.lock"  # whoever carries out a journal holds it
JOURNAL = "journal.json"
ROWS = "rows"
FORMER = "former"
FORGOTTEN = 86_400  # seconds after which nobody writes any more to a folder
BUCKET = "key_bucket"
NOBODY = f"{BUCKET}=-1"  # where the file stands that has no rows
TURNS: dict[Path, threading.Lock] = {}
"""By table, what a thread of this process holds that works on it: SQLMesh runs several intervals of a model at once."""


class OvertakenError(StoreError):
    """Another process has changed a table since it was read."""


class Working:
    """A folder for new partitions of a table. It is gone afterwards, unless what went wrong is to be finished by its journal.

    Of the table may be read what is there from then on: what another process left undone is finished first.
    """

    def __init__(self, files: Path, table: Path) -> None:
        """Not there yet."""
        self.files, self.table, self.folder = files, table, files / MERGING / uuid.uuid4().hex
        self.turn = TURNS.setdefault(table, threading.Lock())
        self.found: set[str] = set()  # the table's files when it was read

    def __enter__(self) -> Self:
        """Make it. Raises StoreError."""
        self.turn.acquire()
        try:
            self.folder.mkdir(parents=True)
            finish(self.files)
            self.found = files_of(self.table)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Drop it."""
        try:
            if not (self.folder / JOURNAL).exists():
                shutil.rmtree(self.folder, ignore_errors=True)
        finally:
            self.turn.release()


def swap(work: Working, *, everything: bool, touched: Iterable[int] = ()) -> None:
    """Put the partitions in `work`'s folder of rows into the table's folder. Raises OvertakenError, and changes nothing then.

    Of those that the table has and `work` has not, all go with `everything`, else those that are `touched`.
    """
    rows, asked = work.folder / ROWS, {f"{BUCKET}={number}" for number in touched}
    for each in [*rows.rglob("*"), rows]:
        synced(each)
    new = {each.name for each in rows.glob(f"{BUCKET}=*")}
    with alone(work.files):
        finish_each(work.files)
        if files_of(work.table) != work.found:
            raise OvertakenError(
                f"Another process has changed `{work.table}` since it was read, so that what is built on it was not put in "
                "place: one process at a time may build models. Nothing is lost. Run the models again."
            )
        gone = sorted(
            each.name
            for each in work.table.glob(f"{BUCKET}=*")
            if each.name not in {*new, NOBODY} and (everything or each.name in asked)
        )
        put(work.folder / JOURNAL, json.dumps({"table": str(work.table), "gone": gone}))
        for folder in (work.folder, work.folder.parent):
            synced(folder)
        carry_out(work.folder)


def carry_out(work: Path) -> None:
    """Do what a journal says; what is done of it already stays. Only for who is `alone`.

    Each step is on the disk before the next one takes away what it would be done again by.
    """
    told = json.loads((work / JOURNAL).read_text(encoding="utf-8"))
    table, former = Path(told["table"]), work / FORMER
    former.mkdir(exist_ok=True)
    for name in told["gone"]:
        put_away(table / name, former)
    for fresh in sorted((work / ROWS).glob(f"{BUCKET}=*")):
        put_away(table / fresh.name, former)
        fresh.rename(table / fresh.name)
    synced(table)
    (work / JOURNAL).unlink()
    synced(work)
    shutil.rmtree(work, ignore_errors=True)


def put_away(partition: Path, former: Path) -> None:
    """Move a partition out of the way, if it is there."""
    if partition.exists():
        partition.rename(former / f"{partition.name}.{uuid.uuid4().hex}")


def finish(files: Path) -> int:
    """Finish what was cut off, and drop what no journal tells of and nobody works on any more; how many were finished."""
    with alone(files):
        return finish_each(files)


def finish_each(files: Path) -> int:
    """The same, for who is `alone`. Journals are carried out in the order in which they were put."""
    journals = sorted((files / MERGING).glob(f"*/{JOURNAL}"), key=lambda each: each.stat().st_mtime_ns)
    finished = 0
    for journal in journals:
        if Path(json.loads(journal.read_text(encoding="utf-8"))["table"]).exists():
            carry_out(journal.parent)
            finished += 1
        else:
            shutil.rmtree(journal.parent, ignore_errors=True)
    for work in (files / MERGING).glob("*"):
        if is_forgotten(work):
            shutil.rmtree(work, ignore_errors=True)
    return finished


def is_forgotten(work: Path) -> bool:
    """Whether nobody works in a folder any more. One that is dropped meanwhile was not."""
    try:
        return time.time() - work.stat().st_mtime > FORGOTTEN
    except FileNotFoundError:
        return False


@contextmanager
def alone(files: Path) -> Iterator[None]:
    """Be the only one of all processes and threads that carries out journals; others wait. Raises StoreUnwritableError.

    The kernel holds the lock (`flock`), and lets go of it when the process is killed. A folder that hosts share must know such
    locks between them: NFSv4 does, and has one end with the lease of a host that is gone.
    """
    with (files / LOCK).open("a") as opened:
        with writing(files):
            fcntl.flock(opened, fcntl.LOCK_EX)
        yield


def files_of(table: Path) -> set[str]:
    """A table's files by name. No two that Spark writes have the same."""
    return {f"{each.parent.name}/{each.name}" for each in table.glob(f"{BUCKET}=*/*.parquet")}


def empty_of(table: Path) -> Path:
    """The file that shows a table's columns, in a folder that is made."""
    (table / NOBODY).mkdir(parents=True, exist_ok=True)
    return table / NOBODY / EMPTY
