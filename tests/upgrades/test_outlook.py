"""What `lazi upgrade --check` tells of stores in which no model was built, and what `lazi upgrade` does there."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipelines.outlook import Outlook, UpgradeError, look
from pipelines.sync import Stores
from pipelines.upgrade import upgrade
from sources.servicetitan.catalog import BY_NAME
from store.envelope import COLUMNS, by_table
from store.migrating import newest
from store.operations import open_operations
from store.postgres import Postgres
from store.raw import ENVELOPE
from store.settings import Engine, Settings
from tests.cli.test_commands import run
from tests.environment import store_environment
from tests.upgrades.tables import looking
from tests.upgrades.test_migrations import settled, up_to

TABLE = BY_NAME["jobs"].raw_table


def due(found: Outlook) -> dict[str, bool | None]:
    """By part whether there is something to do."""
    return {part.part: part.is_due for part in found.parts}


def upgraded(settings: Settings) -> list[str]:
    """The parts that were done."""
    return [part.part for part in upgrade(settings, lambda _: None) if part.is_due]


def execute(settings: Settings, *statements: str) -> None:
    """Change a warehouse by hand."""
    with closing(Stores.open(settings)) as stores:
        for statement in statements:
            if isinstance(stores.warehouse, Postgres):
                with stores.warehouse.cursor() as cursor:
                    cursor.execute(statement)
            else:
                stores.warehouse.fetch(statement)


def test_there_is_nothing_to_do_where_there_is_no_store_and_none_is_made(settings: Settings):
    """The first start makes it."""
    found = look(settings)
    assert (found.is_due, found.found, found.first) == (False, "", [])
    assert not settings.data_dir.exists() or not any(settings.data_dir.iterdir())
    if not settings.is_embedded:
        with looking(settings) as tables:
            assert tables.names() == []


@pytest.mark.parametrize("number", [1, 14, newest() - 1])
def test_pending_migrations_are_told_and_done(number: int, settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """Each with what it is for; looking changes nothing, and behind the upgrade nothing is left to do."""
    up_to(settings, number, monkeypatch)
    with looking(settings) as tables:
        before = tables.schema()
    found = look(settings)
    with looking(settings) as tables:
        assert tables.schema() == before
    [part] = [part for part in found.parts if part.part == "operations"]
    assert [item["number"] for item in part.items] == list(range(number + 1, newest() + 1))
    assert all(item["purpose"] for item in part.items)
    assert (found.is_due, found.is_safe_beside) == (True, False)
    assert any("backup" in step or "pg_dump" in step for step in found.first)
    assert upgraded(settings) == ["operations"]
    assert look(settings).is_due is False
    assert upgraded(settings) == []


def test_what_raw_tables_lack_is_told_and_added_at_the_next_start(settings: Settings):
    """A column of the envelope that an earlier version did not know, and a table; rows that were there stay."""
    values = "1, 5, '{}', NULL, 'h', FALSE, 0, 'b', '2026-05-01T12:00:00Z', 'l'"
    missing = BY_NAME["zones"].raw_table
    indexes = " CASCADE" if settings.engine is Engine.POSTGRES else ""
    execute(
        settings,
        f"ALTER TABLE raw.{TABLE} DROP COLUMN scope",
        f"INSERT INTO raw.{TABLE} VALUES ({values})",
        f"DROP TABLE raw.{missing}{indexes}",
    )
    found = look(settings)
    assert due(found) == {"operations": False, "raw": True, "dlt": False, "models": False}
    [part] = [part for part in found.parts if part.part == "raw"]
    assert part.items == [{"table": f"raw.{missing}"}, {"table": f"raw.{TABLE}", "column": "scope", "type": "TEXT"}]
    assert look(settings).is_due is True
    with closing(Stores.open(settings)) as stores:
        known = by_table(stores.warehouse.fetch(COLUMNS))
        assert known[TABLE] == known[missing] == {name for name, _, _ in ENVELOPE}
        assert stores.warehouse.fetch(f"SELECT st_id, scope FROM raw.{TABLE}") == [(5, None)]
    assert look(settings).is_due is False


def test_what_a_newer_dlt_wrote_is_refused(settings: Settings):
    """Before anything is changed; the table and both versions are named."""
    execute(
        settings,
        "CREATE TABLE raw._dlt_version (version BIGINT, engine_version BIGINT)",
        "INSERT INTO raw._dlt_version VALUES (1, 999)",
    )
    with looking(settings) as tables:
        tables.fetch("INSERT INTO system.model_runs VALUES ('m', ?, ?, 'completed', 'text', NULL)", *[MOMENT] * 2)
    for attempt in (look, upgraded):
        with pytest.raises(UpgradeError, match=r"`raw\._dlt_version` was written by a newer dlt: its engine is 999"):
            attempt(settings)


MOMENT = "2026-05-01T12:00:00.000000+00:00"


def lazi(settings: Settings, *arguments: str) -> Any:
    """The command, as an operator runs it."""
    place = store_environment(settings)
    done = run("lazi", *arguments, folder=settings.data_dir.parent, **place)
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.mark.slow
def test_exit_codes_tell_whether_there_is_something_to_do(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """0 nothing, 1 something, 2 it cannot be told: here another process has the embedded warehouse."""
    up_to(settings, newest() - 1, monkeypatch)
    done = lazi(settings, "upgrade", "--check", "--json")
    assert (done.returncode, json.loads(done.stdout)["is_due"]) == (1, True)
    assert lazi(settings, "upgrade").returncode == 0
    assert lazi(settings, "upgrade", "--check").returncode == 0
    with closing(Stores.open(settings)):
        done = lazi(settings, "upgrade", "--check", "--json")
        assert (done.returncode, json.loads(done.stdout)["is_due"]) == (
            (2, None) if settings.is_embedded else (0, False)
        )
    with closing(Stores.open(settings)):
        assert lazi(settings, "upgrade").returncode == (2 if settings.is_embedded else 0)


def test_a_backup_comes_before_any_change(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It holds the tables of the version before; PostgreSQL has tools of its own, and nothing is changed then."""
    up_to(settings, newest() - 1, monkeypatch)
    done = lazi(settings, "upgrade", "--backup", str(tmp_path / "backup"))
    if settings.is_embedded:
        assert done.returncode == 0, done.stderr
        with closing(sqlite3.connect(tmp_path / "backup" / "lazi-ops.sqlite")) as copy:
            assert copy.execute("PRAGMA user_version").fetchone() == (newest() - 1,)
        assert look(settings).is_due is False
    else:
        assert (done.returncode, "pg_dump" in done.stderr) == (2, True)
        assert len(done.stderr.splitlines()) == 1  # no word of a backup that is not made
        assert not (tmp_path / "backup").exists()
        assert look(settings).is_due is True
    assert lazi(settings, "upgrade", "--check", "--backup", "x").returncode == 2


@pytest.mark.slow
def test_no_password_is_shown(tmp_path: Path):
    """Of a server that does not answer."""
    settings = Settings("postgresql://lazi:hush@127.0.0.1:1/lazi", tmp_path / "data", 3001, "warning")
    for arguments in (["--check"], [], ["--check", "--json"]):
        done = lazi(settings, "upgrade", *arguments)
        assert done.returncode == 2
        assert "hush" not in done.stdout + done.stderr


def test_the_version_that_has_the_store_is_told(settings: Settings):
    """By the newest row of its upgrades."""
    settled(settings)
    with closing(open_operations(settings)) as operations:
        [row] = operations.run("newest_upgrade")
    assert (row["upgrade_id"], row["number"]) == (1, newest())
    assert look(settings).found == row["version"]
