"""Partitions of files take the place of others, and a kill between any two steps loses none."""

import os
import time
from pathlib import Path

import pytest

from pipelines.swapping import FORGOTTEN, MERGING, ROWS, Working, finish, swap


class KilledError(BaseException):
    """The process ended here."""


def table_of(files: Path, **partitions: str) -> Path:
    """A table with a file in each of these partitions."""
    for number, content in partitions.items():
        write(files / "master_store" / "jobs" / f"key_bucket={number[1:]}", content)
    return files / "master_store" / "jobs"


def write(folder: Path, content: str) -> None:
    folder.mkdir(parents=True)
    (folder / "part.parquet").write_text(content)


def contents(table: Path) -> dict[str, str]:
    return {each.parent.name.partition("=")[2]: each.read_text() for each in sorted(table.glob("*/*.parquet"))}


@pytest.mark.parametrize(
    ("everything", "expected"),
    [(False, {"1": "new", "3": "old", "4": "new"}), (True, {"-1": "none", "1": "new", "4": "new"})],
)
def test_partitions_are_replaced(tmp_path: Path, everything: bool, expected: dict[str, str]):  # noqa: FBT001
    """Those that are touched, of which one is empty now; or all, but for the one that shows the columns."""
    table = table_of(tmp_path, b1="old", b2="old", b3="old", **{"b-1": "none"})
    untouched = (table / "key_bucket=3" / "part.parquet").stat().st_mtime_ns
    with Working(tmp_path) as work:
        for number in ("1", "4"):
            write(work / ROWS / f"key_bucket={number}", "new")
        swap(work, table, everything=everything, touched=[1, 2, 4])
    assert contents(table) == {**({} if everything else {"-1": "none"}), **expected}
    assert [*(tmp_path / MERGING).iterdir()] == []
    if not everything:
        assert (table / "key_bucket=3" / "part.parquet").stat().st_mtime_ns == untouched


@pytest.mark.parametrize("steps", range(8))
def test_a_kill_between_any_two_steps_loses_nothing(tmp_path: Path, steps: int, monkeypatch: pytest.MonkeyPatch):
    """Who comes next finds all of the old partitions, or puts all of the new ones in place."""
    old, new = {"-1": "none", "1": "old", "2": "old", "3": "old"}, {"-1": "none", "1": "new", "3": "old", "4": "new"}
    table = table_of(tmp_path, **{f"b{number}": content for number, content in old.items()})
    left = [steps]
    rename = Path.rename

    def limited(path: Path, target: Path) -> Path:
        if not left[0]:
            raise KilledError
        left[0] -= 1
        return rename(path, target)

    work = Working(tmp_path).__enter__()
    for number in ("1", "4"):
        write(work / ROWS / f"key_bucket={number}", "new")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", limited)
        try:
            swap(work, table, everything=False, touched=[1, 2, 4])
        except KilledError:
            assert work.exists()
    finish(tmp_path)
    assert contents(table) == new
    assert [*(tmp_path / MERGING).iterdir()] == []


def test_what_no_journal_tells_of_is_dropped_when_it_is_old(tmp_path: Path):
    """The table stays as it was; what somebody may be writing stays too."""
    table = table_of(tmp_path, b1="old")
    old, young = (Working(tmp_path).__enter__() for _ in range(2))
    for work in (old, young):
        write(work / ROWS / "key_bucket=1", "new")
    long_ago = time.time() - 2 * FORGOTTEN
    os.utime(old, (long_ago, long_ago))
    assert finish(tmp_path) == 0
    assert contents(table) == {"1": "old"}
    assert [*(tmp_path / MERGING).iterdir()] == [young]
