"""Putting partitions of a table's files in the place of others, so that a process that is killed meanwhile loses none.

New partitions are written elsewhere first, whole. Then a journal says that they are to be put in place, and each takes the
place of the former one by being renamed. Whoever comes next finishes what a journal tells. Partitions without changes are not
touched.
"""

import json
import shutil
import time
import uuid
from collections.abc import Iterable
from pathlib import Path

from store.files import EMPTY, put

MERGING = "merging"  # the folder of what is on its way
JOURNAL = "journal.json"
ROWS = "rows"
FORMER = "former"
FORGOTTEN = 86_400  # seconds after which nobody writes any more to a folder
BUCKET = "key_bucket"
NOBODY = f"{BUCKET}=-1"  # where the file stands that has no rows


class Working:
    """A folder for something new. It is gone afterwards, unless what went wrong is to be finished by its journal."""

    def __init__(self, files: Path) -> None:
        """Not there yet."""
        self.folder = files / MERGING / uuid.uuid4().hex

    def __enter__(self) -> Path:
        """Make it."""
        self.folder.mkdir(parents=True)
        return self.folder

    def __exit__(self, *_: object) -> None:
        """Drop it."""
        if not (self.folder / JOURNAL).exists():
            shutil.rmtree(self.folder, ignore_errors=True)


def swap(work: Path, table: Path, *, everything: bool, touched: Iterable[int] = ()) -> None:
    """Put the partitions in `work`'s folder of rows into the table's folder.

    Of those that the table has and `work` has not, all go with `everything`, else those that are `touched`.
    """
    new = {each.name for each in (work / ROWS).glob(f"{BUCKET}=*")}
    asked = {f"{BUCKET}={number}" for number in touched}
    gone = sorted(
        each.name
        for each in table.glob(f"{BUCKET}=*")
        if each.name not in {*new, NOBODY} and (everything or each.name in asked)
    )
    put(work / JOURNAL, json.dumps({"table": str(table), "gone": gone}))
    carry_out(work)


def carry_out(work: Path) -> None:
    """Do what a journal says; what is done of it already stays."""
    told = json.loads((work / JOURNAL).read_text(encoding="utf-8"))
    table, former = Path(told["table"]), work / FORMER
    former.mkdir(exist_ok=True)
    for name in told["gone"]:
        put_away(table / name, former)
    for fresh in sorted((work / ROWS).glob(f"{BUCKET}=*")):
        put_away(table / fresh.name, former)
        fresh.rename(table / fresh.name)
    (work / JOURNAL).unlink()
    shutil.rmtree(work, ignore_errors=True)


def put_away(partition: Path, former: Path) -> None:
    """Move a partition out of the way, if it is there."""
    if partition.exists():
        partition.rename(former / f"{partition.name}.{uuid.uuid4().hex}")


def finish(files: Path) -> int:
    """Finish what was cut off, and drop what no journal tells of and nobody works on any more; how many were finished."""
    finished = 0
    for work in (files / MERGING).glob("*"):
        journal = work / JOURNAL
        if journal.exists() and Path(json.loads(journal.read_text(encoding="utf-8"))["table"]).exists():
            carry_out(work)
            finished += 1
        elif journal.exists() or time.time() - work.stat().st_mtime > FORGOTTEN:
            shutil.rmtree(work, ignore_errors=True)
    return finished


def empty_of(table: Path) -> Path:
    """The file that shows a table's columns, in a folder that is made."""
    (table / NOBODY).mkdir(parents=True, exist_ok=True)
    return table / NOBODY / EMPTY
