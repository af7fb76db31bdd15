"""`lazi upgrade` of whole stores by a next version of this program, as an operator does it."""

import json
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sandbox.server import Sandbox
from store.migrating import newest
from store.operations import open_operations
from store.settings import Engine, Settings
from store.warehouse import open_warehouse
from tests.upgrades.tables import NOON, Tables, looking
from tests.upgrades.trees import Tree, newer, present, with_other_models

SHOWN = "SELECT tenant_id, st_id, payload_hash, job_status FROM master.jobs ORDER BY tenant_id, st_id"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed=5, customers=12) as running:
        yield running


def outlook(tree: Tree) -> tuple[int, dict[str, Any]]:
    """What `--check` tells, by part; nothing of the store is another one for it."""
    with looking(tree.settings) as tables:
        before = tables.schema(), tables.content()
    done = tree.lazi("upgrade", "--check", "--json")
    with looking(tree.settings) as tables:
        assert (tables.schema(), tables.content()) == before
    assert "Traceback" not in done.stderr, done.stderr
    found = json.loads(done.stdout) if done.stdout else {"parts": []}
    return done.returncode, found | {part["part"]: part for part in found["parts"]}


def fetch(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with closing(open_warehouse(settings)) as warehouse:
        return warehouse.fetch(query)


def age_state(settings: Settings) -> None:
    """SQLMesh's state as libraries of an earlier minor version would have written it."""
    if settings.is_embedded:
        with duckdb.connect(settings.data_dir / "lazi-state.duckdb") as connection:
            connection.execute(AGED.format(schema="sqlmesh"))
        return
    with looking(settings) as tables:
        tables.execute(AGED.format(schema=STATE[settings.engine]))


STATE = {Engine.POSTGRES: "sqlmesh_state", Engine.DUCKLAKE: "sqlmesh_state_lake"}
AGED = "UPDATE {schema}._versions SET sqlmesh_version = '0.230.0', sqlglot_version = '29.1.0', schema_version = 101"


@pytest.mark.slow
def test_a_whole_store_is_upgraded_with_models_whose_text_changed(settings: Settings, sandbox: Sandbox, tmp_path: Path):
    """The outlook says what will be done, changes nothing, and says at the end that nothing is left; no row is another one."""
    older = present(settings)
    done = older.lazi("sync", "--entity", "jobs", "--entity", "customers", **sandbox.environment())
    assert done.returncode == 0, done.stderr
    rows, (code, found) = fetch(settings, SHOWN), outlook(older)
    assert rows
    assert (code, [part["part"] for part in found["parts"] if part["is_due"]]) == (0, []), found

    next_one = with_other_models(newer(settings, tmp_path / "next"))
    code, found = outlook(next_one)
    assert code == 1
    assert (found["version"], found["found"]) == ("99.0.0", "0.1.0")
    assert found["operations"]["items"] == [{"number": newest() + 1, "purpose": "What a test adds"}]
    assert not found["is_safe_beside"]
    jobs = [one for one in found["models"]["items"] if one["model"] == "master.jobs"]
    assert jobs == [{"model": "master.jobs", "change": "changed", "kind": "table", "rows": len(rows)}]
    assert any("backup" in step or "pg_dump" in step for step in found["first"])

    backup = ["--backup", str(tmp_path / "backup")] if settings.is_embedded else []
    done = next_one.lazi("upgrade", *backup, "--json")
    assert done.returncode == 0, done.stderr
    assert {"part": "models", "is_due": True, "text": "planned", "items": []} in json.loads(done.stdout)["parts"]
    assert fetch(settings, SHOWN) == rows
    with looking(settings) as tables:
        assert tables.fetch("SELECT n FROM system.additions") == [(1,)]
    code, found = outlook(next_one)
    assert code == 0, found

    age_state(settings)
    code, found = outlook(next_one)
    assert code == 1
    assert "0.230.0" in found["state"]["text"]
    done = next_one.lazi("upgrade")
    assert done.returncode == 0, done.stderr
    code, found = outlook(next_one)
    assert code == 0, found
    assert fetch(settings, SHOWN) == rows

    refused = older.lazi("upgrade", "--check")
    assert refused.returncode == 2
    assert "`99.0.0` has upgraded this store" in refused.stderr
    if settings.is_embedded:
        assert older.lazi("restore", str(tmp_path / "backup")).returncode == 0
        assert older.lazi("sync", "--entity", "jobs", **sandbox.environment()).returncode == 0
        assert fetch(settings, SHOWN) == rows


ONE = {"LAZI_SCHEDULE": "1=off, 2=off, 3=off, 4=off, campaigns=1s", "LAZI_RECONCILE": "off"}
BEGUN = {"up": "sync campaigns: ", "sync": "sync campaigns: ", "outbound": "Sending the changes of "}
"""What a service says when it is at work."""


@pytest.mark.slow
@pytest.mark.parametrize("command", [("up", "--port", "0"), ("sync", "--schedule"), ("outbound",)], ids=" ".join)
def test_a_service_of_the_older_version_ends_when_the_newer_one_upgrades(
    command: tuple[str, ...], settings: Settings, sandbox: Sandbox, tmp_path: Path
):
    """It says why, in one line, with the exit code of what cannot begin: whoever looks after it starts the newer one."""
    older, next_one = present(settings), newer(settings, tmp_path / "next")
    process = older.start(*command, **sandbox.environment(), **ONE)
    try:
        assert process.stderr
        assert any(BEGUN[command[0]] in line for line in process.stderr)
        assert next_one.lazi("keys", "list").returncode == 0
        err = process.communicate(timeout=120)[1]
    finally:
        process.kill()
    assert process.returncode == 2, err
    assert err.count("lazi: ST-LAZI `99.0.0` has upgraded this store") == 1
    assert "Traceback" not in err


MANY, EACH = 150, 20_000
LONG = f"""-- Takes its time.
CREATE TABLE system.additions (n BIGINT PRIMARY KEY);
CREATE TABLE system.numbers (n BIGINT);
INSERT INTO system.numbers (n)
WITH RECURSIVE place (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM place WHERE n < {EACH}) SELECT n FROM place;
""" + "\n".join(
    f"INSERT INTO system.additions (n) SELECT {times * EACH} + n FROM system.numbers;" for times in range(MANY)
)


def is_migrating(tables: Tables) -> bool:
    """Whether a process is in the middle of a migration."""
    if not tables.is_sqlite:
        return bool(tables.fetch(LOCKS))
    try:
        tables.connection.execute("PRAGMA busy_timeout = 0")
        tables.connection.execute("BEGIN IMMEDIATE")
        tables.connection.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return True
    return False


LOCKS = """SELECT 1 FROM pg_locks WHERE relation = CAST('system.upgrades' AS REGCLASS)
AND mode = 'AccessExclusiveLock' AND granted"""


@pytest.mark.slow
def test_an_upgrade_that_is_killed_in_the_middle_of_a_migration_changes_nothing_and_goes_on_later(
    settings: Settings, tmp_path: Path
):
    """Tables and rows are those of before, the older version works, and the next try does it whole."""
    open_operations(settings).close()
    with looking(settings) as tables:
        tables.fill()
    next_one = newer(settings, tmp_path / "next", migration=LONG)
    for times in range(5):
        with looking(settings) as tables:
            before = tables.schema(), tables.content()
            process = next_one.start("keys", "list")
            while not is_migrating(tables):
                assert process.poll() is None, process.communicate()
            time.sleep(times / 50)  # somewhere in it: it takes a second and more
            process.kill()
            process.communicate()
            assert process.returncode == -signal.SIGKILL
            while is_migrating(tables):  # until the server has noticed
                time.sleep(0.01)
            assert (tables.schema(), tables.content()) == before
        with closing(open_operations(settings)) as operations:
            operations.run("note_landed", entity=f"entity {times}", now=NOON)
    with looking(settings) as tables:
        before = tables.schema(), tables.content()
    done = next_one.lazi("keys", "list")
    assert done.returncode == 0, done.stderr
    with looking(settings) as tables:
        assert tables.fetch("SELECT COUNT(*) FROM system.additions") == [(MANY * EACH,)]
        assert tables.content(list(before[1])) == before[1]
