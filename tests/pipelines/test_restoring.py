"""A restore is whole or was not: wherever it is cut off, by an error or by kill -9, no store is half one and half another."""

import errno
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipelines import backup as backing
from pipelines import restoring
from pipelines.backup import OPERATIONS, STATE, WAREHOUSE, backup
from pipelines.restoring import is_cut_off, restore
from store.embedded import DuckDB, open_file
from store.exceptions import StoreLockedError, StoreUnwritableError
from store.lock import memory_held
from store.settings import Settings

CURSORS = Path("dlt", "duckdb", "cursors")

LOOK = """
import sys, time
import duckdb
while True:
    try:
        connection = duckdb.connect(sys.argv[1])
    except duckdb.IOException as error:
        print(error, flush=True)
        if len(sys.argv) == 2:
            break
        time.sleep(0.01)
    else:
        print("opened", connection.execute("SELECT name FROM mark").fetchall()[0][0])
        break
"""
"""Opens a file once or, with another argument, until it can."""

CUT_OFF = """
import os, shutil, sys
from pathlib import Path
from pipelines.restoring import restore
from store.settings import Settings

data, copy, target = map(Path, sys.argv[1:4])
second = int(sys.argv[4])
STEPS = {"os.rename", "os.link", "os.remove", "os.mkdir", "shutil.copyfile", "shutil.rmtree"}

def dies(folder, steps):
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] != 0

    def count(event, _):
        nonlocal steps
        steps -= event in STEPS
        if steps < 0:
            os._exit(9)

    sys.addaudithook(count)
    restore(Settings("", folder, 3001, "warning"), copy)
    os._exit(0)

number = 0
while True:
    folder = target / f"{number}"
    shutil.copytree(data, folder)
    if not dies(folder, number):
        break
    if second >= 0:
        dies(folder, second)
    number += 1
"""
"""Restores into many copies of a data folder, killed at each step, and if so wanted a second time at some later step."""


def mark(settings: Settings, name: str) -> None:
    """Write a name into each part of a store."""
    data = settings.data_dir
    data.mkdir(exist_ok=True)
    for file in (WAREHOUSE, STATE):
        with closing(open_file(data / file)) as connection:
            connection.execute(f"CREATE OR REPLACE TABLE mark AS SELECT '{name}' AS name")
    with closing(sqlite3.connect(data / OPERATIONS)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("DROP TABLE IF EXISTS mark")
        connection.execute(f"CREATE TABLE mark AS SELECT '{name}' AS name")
        connection.commit()
    (data / CURSORS).parent.mkdir(parents=True, exist_ok=True)
    (data / CURSORS).write_text(name, encoding="utf-8")


def said(data: Path) -> set[str]:
    """The names in the parts of a store; of a folder of cursors that is gone it is the backup's."""
    found = {(data / CURSORS).read_text(encoding="utf-8") if (data / CURSORS).exists() else "backup"}
    for file in (WAREHOUSE, STATE):
        with closing(open_file(data / file)) as connection:
            found |= set(connection.execute("SELECT name FROM mark").fetchone() or ())
    with closing(sqlite3.connect(data / OPERATIONS)) as connection:
        return found | set(connection.execute("SELECT name FROM mark").fetchone())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A store that went on after its backup in `copy`."""
    made = Settings("", tmp_path / "data", 3001, "warning")
    mark(made, "backup")
    with closing(DuckDB(made.data_dir / WAREHOUSE)) as warehouse:
        backup(made, warehouse, tmp_path / "copy")
    mark(made, "later")
    return made


def look(path: Path) -> str:
    """What another process says that opens a file."""
    return subprocess.run([sys.executable, "-c", LOOK, path], capture_output=True, text=True, check=True).stdout


def test_a_backup_keeps_its_store_locked(settings: Settings, tmp_path: Path):
    """Another process is refused both DuckDB files afterwards, as it was before."""
    files = [settings.data_dir / name for name in (WAREHOUSE, STATE)]
    with closing(DuckDB(files[0])) as warehouse, closing(open_file(files[1])):
        assert all("Could not set lock" in look(file) for file in files)
        backup(settings, warehouse, tmp_path / "other")
        assert all("Could not set lock" in look(file) for file in files)


def test_a_backup_that_cannot_be_written_says_so(settings: Settings, tmp_path: Path):
    """By the reason of the process that copies."""
    with pytest.raises(backing.BackupError, match=r"could not be copied .*No such file"):
        backing.copy_elsewhere(settings.data_dir / "missing", tmp_path / "copied")


def test_nothing_moves_while_operations_are_backed_up(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Else they would tell of models that ran after the warehouse was copied."""
    copy, moved = backing.copy_operations, threading.Event()

    def move() -> None:
        with memory_held(settings):
            moved.set()

    def slow(source: Path, target: Path) -> None:
        threading.Thread(target=move).start()
        assert not moved.wait(0.2)
        copy(source, target)

    monkeypatch.setattr(backing, "copy_operations", slow)
    with closing(DuckDB(settings.data_dir / WAREHOUSE)) as warehouse:
        backup(settings, warehouse, tmp_path / "other")
    assert moved.wait(10)


def test_the_former_store_is_kept_whole(settings: Settings, tmp_path: Path):
    """Its cursors too, and nothing of the work is left."""
    aside = restore(settings, tmp_path / "copy")
    assert aside is not None
    assert (said(settings.data_dir), said(aside)) == ({"backup"}, {"later"})
    assert not (settings.data_dir / ".restore").exists()
    assert restore(settings, tmp_path / "copy") != aside


@pytest.mark.parametrize("left", [(), (CURSORS,), (CURSORS, OPERATIONS), (STATE,)])
def test_cursors_never_outlive_a_restore(settings: Settings, tmp_path: Path, left: tuple[Any, ...]):
    """Whatever else is left of the former store."""
    other = Settings("", tmp_path / "other", 3001, "warning")
    for name in map(Path, left):
        (other.data_dir / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(settings.data_dir / name, other.data_dir / name)
    aside = restore(other, tmp_path / "copy")
    assert said(other.data_dir) == {"backup"}
    assert not (other.data_dir / "dlt").exists()
    assert (aside is None) == (not left)
    assert all((aside / name).exists() for name in left if aside)


@pytest.mark.parametrize("name", [WAREHOUSE, STATE, OPERATIONS])
def test_a_damaged_store_is_replaced(settings: Settings, tmp_path: Path, name: str):
    """And kept as it is."""
    (settings.data_dir / name).write_bytes(b"damaged" * 1000)
    aside = restore(settings, tmp_path / "copy")
    assert aside is not None
    assert said(settings.data_dir) == {"backup"}
    assert (aside / name).read_bytes() == b"damaged" * 1000


def test_a_used_store_is_left_alone(settings: Settings, tmp_path: Path):
    """Also one of which only the operations are used."""
    command = [sys.executable, "-c", f"{LOOK}\ninput()", settings.data_dir / WAREHOUSE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert "opened later" in other.stdout.readline()
        with pytest.raises(StoreLockedError, match=f"held by process {other.pid}"):
            restore(settings, tmp_path / "copy")
        other.communicate("\n")
    with closing(sqlite3.connect(settings.data_dir / OPERATIONS)) as connection:
        connection.execute("SELECT * FROM mark")
        with pytest.raises(StoreLockedError, match="used by another process"):
            restore(settings, tmp_path / "copy")
    assert said(settings.data_dir) == {"later"}
    assert not (settings.data_dir / ".restore").exists()


def test_a_full_disk_changes_nothing(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What was copied by then goes."""
    copy, copied = shutil.copyfile, []

    def full(source: Path, target: Path) -> None:
        copied.append(target)
        if len(copied) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        copy(source, target)

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(StoreUnwritableError, match=r"No space left .*make room"):
        restore(settings, tmp_path / "copy")
    assert said(settings.data_dir) == {"later"}
    assert not (settings.data_dir / ".restore").exists()


def fail_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have one of the next renames fail."""
    replace, steps = Path.replace, iter(range(100))

    def failing(self: Path, target: Path) -> Path:
        if next(steps) == step:
            raise OSError(errno.EIO, "Input/output error")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", failing)


@pytest.mark.parametrize("step", range(8))
def test_an_error_on_the_way_puts_the_former_store_back(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
):
    """Whichever file cannot be renamed."""
    fail_at(step, monkeypatch)
    if step < 7:
        with pytest.raises(StoreUnwritableError, match="Nothing was restored"):
            restore(settings, tmp_path / "copy")
        assert said(settings.data_dir) == {"later"}
    else:
        restore(settings, tmp_path / "copy")
        assert said(settings.data_dir) == {"backup"}
    assert not (settings.data_dir / ".restore").exists()


@pytest.mark.parametrize("step", range(5))
def test_what_a_store_lacked_it_lacks_again(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
):
    """An error leaves none of the backup's files beside it."""
    for name in (STATE, OPERATIONS):
        (settings.data_dir / name).unlink()
    before = {path.name for path in settings.data_dir.iterdir()}
    fail_at(step, monkeypatch)
    with pytest.raises(StoreUnwritableError):
        restore(settings, tmp_path / "copy")
    assert {path.name for path in settings.data_dir.iterdir()} == before


@pytest.mark.parametrize(
    "second", [-1, 3, 9, *(pytest.param(step, marks=pytest.mark.slow) for step in (1, 5, 7, 12, 16))]
)
def test_a_restore_that_is_killed_leaves_a_whole_store_or_none(settings: Settings, tmp_path: Path, second: int):
    """At each of its steps, and again at a later one: nothing opens half a store, and the next restore ends the matter."""
    target = tmp_path / "cut off"
    subprocess.run(
        [sys.executable, "-c", CUT_OFF, settings.data_dir, tmp_path / "copy", target, str(second)], check=True
    )
    folders, refused = sorted(target.iterdir(), key=lambda path: int(path.name)), 0
    assert len(folders) > 15
    for folder in folders:
        if is_cut_off(folder):
            refused += 1
            assert b"lazi restore" in (folder / WAREHOUSE).read_bytes()
            with pytest.raises(StoreUnwritableError, match="cannot be opened"):
                DuckDB(folder / WAREHOUSE)
        else:
            assert said(folder) in ({"later"}, {"backup"}), folder
        restore(Settings("", folder, 3001, "warning"), tmp_path / "copy")
        assert said(folder) == {"backup"}, folder
        assert {"later"} in [said(aside) for aside in folder.glob("before-restore-*")], folder
        assert not (folder / ".restore").exists()
    assert refused or second > 0


def test_who_waits_for_the_store_gets_the_new_one(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """However slow the restore is, and wherever it fails to be."""
    command = [sys.executable, "-c", LOOK, settings.data_dir / WAREHOUSE, "until"]
    prepare, move, others = restoring.prepare, restoring.move, []

    def prepared(*values: Any) -> None:
        others.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert "Could not set lock" in others[0].stdout.readline()
        prepare(*values)

    def slowly(names: Iterable[str], here: Path, there: Path) -> None:
        for name in names:
            threading.Event().wait(0.03)
            move([name], here, there)

    monkeypatch.setattr(restoring, "prepare", prepared)
    monkeypatch.setattr(restoring, "move", slowly)
    restore(settings, tmp_path / "copy")
    *refusals, last = others[0].communicate(timeout=30)[0].splitlines()
    assert last == "opened backup"
    assert all(not line or "Could not set lock" in line for line in refusals)
