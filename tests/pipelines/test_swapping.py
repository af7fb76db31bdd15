"""Partitions of files take the place of others, and a kill between any two steps loses none."""

import fcntl
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from pipelines import swapping
from pipelines.swapping import FORGOTTEN, LOCK, MERGING, ROWS, OvertakenError, Working, finish, swap

OLD = {"-1": "none", "1": "old", "2": "old", "3": "old"}
NEW = {"-1": "none", "1": "new", "3": "old", "4": "new"}
TOLD, AWAY, STEPS = (
    6,
    10,
    17,
)  # after so many the journal is there, a partition is put away and not replaced, all is done


@pytest.fixture(autouse=True)
def _no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy disk takes its time for each file; that it is asked is what is tested."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


class KilledError(BaseException):
    """The process ended here."""


def table_of(files: Path, partitions: dict[str, str]) -> Path:
    """A table with a file in each of these partitions."""
    for number, content in partitions.items():
        write(files / "master_store" / "jobs" / f"key_bucket={number}", content)
    return files / "master_store" / "jobs"


def write(folder: Path, content: str) -> None:
    """A file of its own name, as Spark gives it."""
    folder.mkdir(parents=True)
    (folder / f"{uuid.uuid4().hex}.parquet").write_text(content)


def contents(table: Path) -> dict[str, str]:
    return {each.parent.name.partition("=")[2]: each.read_text() for each in sorted(table.glob("*/*.parquet"))}


def merge(files: Path, table: Path, fresh: str, numbers: tuple[str, ...] = ("1", "4"), gone: int = 2) -> None:
    """Add to what these partitions have, and put one away."""
    with Working(files, table) as work:
        there = contents(table)
        for number in numbers:
            write(work.folder / ROWS / f"key_bucket={number}", there.get(number, "").replace("old", "") + fresh)
        swap(work, everything=False, touched=[*map(int, numbers), gone])


@contextmanager
def killed_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """A process that ends behind so many steps: what it writes, renames, removes and sees on the disk. Gives what is left."""
    left = [steps]

    def limited(does: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **named: Any) -> Any:
            if not left[0]:
                raise KilledError
            left[0] -= 1
            return does(*arguments, **named)

        return step

    with monkeypatch.context() as patch:
        for name in ("rename", "unlink"):
            patch.setattr(Path, name, limited(getattr(Path, name)))
        for name in ("put", "synced"):
            patch.setattr(swapping, name, limited(getattr(swapping, name)))
        patch.setattr(shutil, "rmtree", limited(shutil.rmtree))
        with suppress(KilledError):
            yield left


def on_the_way(files: Path) -> list[Path]:
    return [*(files / MERGING).iterdir()]


def is_locked(files: Path) -> bool:
    """Whether somebody is carrying out a journal."""
    with (files / LOCK).open("a") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


@pytest.mark.parametrize(
    ("everything", "expected"),
    [(False, {"1": "new", "3": "old", "4": "new"}), (True, {"-1": "none", "1": "new", "4": "new"})],
)
def test_partitions_are_replaced(tmp_path: Path, everything: bool, expected: dict[str, str]):  # noqa: FBT001
    """Those that are touched, of which one is empty now; or all, but for the one that shows the columns."""
    table = table_of(tmp_path, OLD)
    [untouched] = (table / "key_bucket=3").iterdir()
    before = untouched.stat().st_mtime_ns
    with Working(tmp_path, table) as work:
        for number in ("1", "4"):
            write(work.folder / ROWS / f"key_bucket={number}", "new")
        swap(work, everything=everything, touched=[1, 2, 4])
    assert contents(table) == {"-1": "none", **expected}
    assert on_the_way(tmp_path) == []
    if not everything:
        assert untouched.stat().st_mtime_ns == before


@pytest.mark.parametrize("steps", range(STEPS + 2))
def test_a_kill_between_any_two_steps_loses_nothing(tmp_path: Path, steps: int, monkeypatch: pytest.MonkeyPatch):
    """Another process, whose session is older than the kill, merges into the same partitions: nothing is lost, nor comes back.

    It finds all of the old partitions or puts all of the new ones in place before it reads; and no journal is left that would be
    carried out over what it wrote.
    """
    table = table_of(tmp_path, OLD)
    with killed_after(steps, monkeypatch) as left:
        merge(tmp_path, table, "new")
    assert left[0] == max(0, steps - STEPS)
    merge(tmp_path, table, "+more", ("1",), gone=9)
    expected = {**NEW, "1": "new+more"} if steps >= TOLD else {**OLD, "1": "+more"}
    assert contents(table) == expected
    assert [work for work in on_the_way(tmp_path) if (work / "journal.json").exists()] == []
    finish(tmp_path)
    assert contents(table) == expected


def test_journals_are_carried_out_in_their_order(tmp_path: Path):
    """Two that an earlier version left: what was written last stays, whatever their folders are called."""
    table = table_of(tmp_path, OLD)
    for name, content, age in (("b", "first", 20), ("a", "then", 10)):
        write(tmp_path / MERGING / name / ROWS / "key_bucket=1", content)
        journal = tmp_path / MERGING / name / "journal.json"
        journal.write_text(f'{{"table": "{table}", "gone": ["key_bucket={2 if name == "b" else 3}"]}}')
        os.utime(journal, (time.time() - age, time.time() - age))
    assert finish(tmp_path) == 2
    assert contents(table) == {"-1": "none", "1": "then"}


def test_two_who_finish_exclude_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A second one waits while the first carries a journal out, and finds nothing left to do."""
    table = table_of(tmp_path, OLD)
    with killed_after(AWAY, monkeypatch):
        merge(tmp_path, table, "new")
    assert "1" not in contents(table)
    finished, others, inside = list[int](), list[Thread](), list[bool]()
    put_away = swapping.put_away

    def seen(*arguments: Path) -> None:
        inside.append(is_locked(tmp_path))
        if not others:
            others.append(Thread(target=lambda: finished.append(finish(tmp_path))))
            others[0].start()
        put_away(*arguments)

    monkeypatch.setattr(swapping, "put_away", seen)
    assert finish(tmp_path) == 1
    others[0].join()
    assert finished == [0]
    assert inside
    assert all(inside)
    assert not is_locked(tmp_path)
    assert contents(table) == NEW


def test_a_killed_process_lets_go(tmp_path: Path):
    """The kernel frees what it held."""
    dies = f"import os, pathlib, pipelines.swapping as s\nwith s.alone(pathlib.Path({str(tmp_path)!r})): os._exit(9)"
    assert subprocess.run([sys.executable, "-c", dies], check=False).returncode == 9
    assert finish(tmp_path) == 0


def test_who_was_overtaken_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Another host, which held the right to the models meanwhile, changed the table behind what was read of it."""
    table = table_of(tmp_path, OLD)
    with pytest.raises(OvertakenError, match="jobs` since it was read"), Working(tmp_path, table) as work:
        write(work.folder / ROWS / "key_bucket=1", "late")
        with monkeypatch.context() as patch:
            patch.setattr(swapping, "TURNS", {})  # of another process
            merge(tmp_path, table, "new")
        swap(work, everything=True)
    assert contents(table) == NEW
    assert on_the_way(tmp_path) == []


def test_threads_take_turns_at_a_table(tmp_path: Path):
    """SQLMesh runs several intervals of a model at once, and each writes what it read and its own."""
    table = table_of(tmp_path, {"-1": "none"})
    threads = [Thread(target=merge, args=(tmp_path, table, f"+{number}", ("1",))) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(contents(table)["1"].split("+")[1:]) == [*"012345"]


def test_rows_are_on_the_disk_before_the_journal_and_the_table_before_what_it_had_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A power cut keeps what was synced: each file and folder of what is new, the journal, and then the new names."""
    table, done = table_of(tmp_path, OLD), list[str]()

    def told(does: Callable[..., Any], word: str) -> Callable[..., Any]:
        def step(place: Path, *arguments: Any, **named: Any) -> Any:
            done.append(f"{word} {place.suffix or place.name}")
            return does(place, *arguments, **named)

        return step

    with Working(tmp_path, table) as work, monkeypatch.context() as patch:
        write(work.folder / ROWS / "key_bucket=1", "new")
        patch.setattr(swapping, "synced", told(swapping.synced, "sync"))
        patch.setattr(swapping, "put", told(swapping.put, "put"))
        patch.setattr(shutil, "rmtree", told(shutil.rmtree, "remove"))
        patch.setattr(Path, "rename", told(Path.rename, "rename"))
        swap(work, everything=False, touched=[1])
        name = work.folder.name
    assert {*done[:3]} == {"sync .parquet", "sync key_bucket=1", "sync rows"}
    assert done[3:] == [
        "put .json",
        f"sync {name}",
        "sync merging",
        *["rename key_bucket=1"] * 2,
        "sync jobs",
        f"sync {name}",
        f"remove {name}",
    ]


def test_what_no_journal_tells_of_is_dropped_when_it_is_old(tmp_path: Path):
    """The table stays as it was; what somebody may be writing stays too."""
    table = table_of(tmp_path, {"1": "old"})
    old, young = (tmp_path / MERGING / name for name in ("old", "young"))
    for folder in (old, young):
        write(folder / ROWS / "key_bucket=1", "new")
    long_ago = time.time() - 2 * FORGOTTEN
    os.utime(old, (long_ago, long_ago))
    assert finish(tmp_path) == 0
    assert contents(table) == {"1": "old"}
    assert on_the_way(tmp_path) == [young]
