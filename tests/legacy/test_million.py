"""A million raw rows: exact, in little memory, and also when the process is killed again and again."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from store.settings import Settings
from store.warehouse import open_warehouse
from tests.conftest import MakeDatabase
from tests.environment import store_environment
from tests.legacy import crowd
from tests.legacy.original import Original

ROOT = Path(__file__).parents[2]
ROWS = int(os.environ.get("LEGACY_ROWS", "1000000"))
RECORDS = ROWS // crowd.TURNS
VERSIONS = 4 * RECORDS + len(range(0, RECORDS, 50))  # each has four, and one more where it was deleted
KILLS = 12
MOST_MB = 1100


@pytest.fixture(scope="module")
def full(make_database: MakeDatabase) -> Original:
    """A database of the original's with a million raw rows."""
    original = Original(make_database())
    crowd.fill(original, ROWS)
    return original


@pytest.fixture(scope="module")
def expected(full: Original) -> list[crowd.Version]:
    """What must be here of it."""
    return sorted(crowd.expected(full))


def started(settings: Settings, original: Original) -> "subprocess.Popen[str]":
    """A takeover in a process of its own."""
    ours = store_environment(settings)
    command = [sys.executable, "-m", "tests.legacy.child", original.url]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **ours}, stdout=subprocess.PIPE, text=True)


def finished(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """What a takeover that was let alone came to."""
    told, _ = process.communicate()
    assert process.returncode == 0
    found: dict[str, Any] = json.loads(told.splitlines()[-1])
    return found


def landed(settings: Settings) -> Iterator[crowd.Version]:
    """What is here."""
    warehouse = open_warehouse(settings)
    try:
        yield from warehouse.fetch(crowd.LANDED)
    finally:
        warehouse.close()


def check(settings: Settings, expected: list[crowd.Version], report: dict[str, Any]) -> None:
    """Every version is here once, and every count is right."""
    assert sorted(landed(settings)) == expected
    [table] = report["tables"]
    tally = table["tally"]
    assert (tally["rows"], tally["versions"]) == (ROWS + crowd.ODD_ROWS, VERSIONS)
    assert tally["repeats"] == ROWS - VERSIONS
    assert sum(odd["rows"] for odd in tally["rejected"].values()) == crowd.ODD_ROWS
    assert (tally["equal"], tally["differing"], tally["only_there"]) == (RECORDS, 0, crowd.ODD_ROWS)
    assert table["only_here"] == 0


@pytest.mark.slow
def test_a_million_rows_are_taken_over_exactly_in_little_memory(
    settings: Settings, full: Original, expected: list[crowd.Version]
) -> None:
    """All versions, each once, with hash and date; the process's peak stays near a gigabyte."""
    found = finished(started(settings, full))
    check(settings, expected, found["report"])
    assert found["report"]["tables"][0]["landed_now"] == len(expected) == VERSIONS
    sys.stdout.write(f"{ ({name: found[name] for name in ('peak_mb', 'cpu', 'wall')}) }\n")  # `-rP` shows it
    assert found["peak_mb"] < MOST_MB
    again = finished(started(settings, full))
    check(settings, expected, again["report"])
    assert again["report"]["tables"][0]["landed_now"] == 0


@pytest.mark.slow
def test_killed_at_any_moment_it_comes_to_the_same(
    settings: Settings, full: Original, expected: list[crowd.Version]
) -> None:
    """Kill -9 at random moments, a dozen times; then let alone: every version once, every count right."""
    chance = random.Random(11)  # noqa: S311  no secret
    kills = 0
    while kills < KILLS:
        process = started(settings, full)
        time.sleep(chance.uniform(1.0, 8.0))
        if process.poll() is not None:
            process.communicate()
            break
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += 1
    assert kills >= KILLS // 2
    found = finished(started(settings, full))
    check(settings, expected, found["report"])
