"""Forward migrations of operations tables, on both stores: the same tables wherever one comes from, and no row lost."""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from store import migrating
from store.migrating import MigrationError, files, migrations, newest, order, statements
from store.operations import open_operations
from store.settings import Settings
from tests.upgrades.tables import NOON, Tables, looking

NUMBERS = [number for number, _ in migrations(after=0)]
GONE = {"system.late_loads": 8}
"""Tables that a migration takes away with their rows, by its number: what they told stands elsewhere from then on."""


def settled(settings: Settings) -> None:
    """Open a store and close it."""
    open_operations(settings).close()


def up_to(settings: Settings, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store as it was when this migration was the newest one."""
    with monkeypatch.context() as before:
        known = [one for one in migrations(after=0) if one[0] <= number]
        before.setattr("store.migrating.migrations", lambda after: [one for one in known if one[0] > after])
        before.setattr(migrating, "newest", lambda: number)
        settled(settings)


def kept(before: dict[str, list[dict[str, Any]]], after: dict[str, list[dict[str, Any]]], since: int) -> None:
    """Every row of before is there, in all columns that are still there."""
    for table, rows in before.items():
        if table not in after:
            assert GONE.get(table, 0) > since, f"`{table}` went with its rows"
            continue
        common = rows[0].keys() & after[table][0].keys()
        assert common, table
        shown = [{name: row[name] for name in common} for row in after[table]]
        for row in rows:
            assert {name: row[name] for name in common} in shown, table


@contextmanager
def as_newer(monkeypatch: pytest.MonkeyPatch, more: list[tuple[int, str]]) -> Iterator[None]:
    """This process as a newer version, with these migrations more, for stores that it opens meanwhile."""
    known = [*migrations(after=0), *more]
    with monkeypatch.context() as newer:
        newer.setattr("store.migrating.migrations", lambda after: [one for one in known if one[0] > after])
        newer.setattr(migrating, "newest", lambda: known[-1][0])
        newer.setattr("store.migrating.ours", lambda: "99.0.0")
        yield


def fresh(settings: Settings, request: pytest.FixtureRequest, tmp_path: Any) -> list[tuple[Any, ...]]:
    """The tables of a new store of the same kind."""
    url = "" if settings.is_embedded else request.getfixturevalue("make_database")()
    other = Settings(url, tmp_path / "fresh", 3001, "warning")
    settled(other)
    with looking(other) as tables:
        return tables.schema()


@pytest.mark.parametrize("number", NUMBERS)
def test_from_every_migration_onward_the_tables_become_those_of_a_new_store_and_keep_their_rows(
    number: int, settings: Settings, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, tmp_path: Any
):
    """With rows in every table that there was."""
    up_to(settings, number, monkeypatch)
    with looking(settings) as tables:
        assert all(tables.fill().values())
        before = tables.content()
    settled(settings)
    with looking(settings) as tables:
        assert tables.schema() == fresh(settings, request, tmp_path)
        kept(before, tables.content(), number)


def test_numbers_have_no_hole_and_no_double():
    """1, 2, 3: two branches that each add the next one are told."""
    assert list(range(1, len(NUMBERS) + 1)) == NUMBERS
    assert newest() == NUMBERS[-1]


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_a_migration_says_what_it_is_for_and_can_be_cut_into_statements(path):
    """A comment first, which `lazi upgrade --check` shows; no semicolon anywhere but behind a statement."""
    text = path.read_text(encoding="utf-8")
    assert text.startswith("-- ")
    assert re.fullmatch(r"\d{4}_[a-z_]+\.sql", path.name)
    code = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    assert len(statements(text)) == len(re.findall(r";$", code, re.MULTILINE)) == code.count(";")


def states(tables: Tables) -> tuple[Any, ...]:
    """Everything that there is."""
    return tables.schema(), tables.content()


BROKEN = "CREATE TABLE system.half (n BIGINT);\nINSERT INTO system.half (n) VALUES (1);\nDROP TABLE system.turns;\n"


@pytest.mark.parametrize("last", ["INSERT INTO system.nowhere (n) VALUES (1);", "CREATE TABLE system.half (n BIGINT);"])
def test_a_migration_that_fails_half_way_leaves_all_as_it_was(
    last: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    """Also those before it that would go; it says which statement and why, and the version of before goes on working."""
    settled(settings)
    with looking(settings) as tables:
        tables.fill()
        before = states(tables)
    more = [(NUMBERS[-1] + 1, "CREATE TABLE system.well (n BIGINT);"), (NUMBERS[-1] + 2, BROKEN + last)]
    told = rf"Migration {NUMBERS[-1] + 2} .* statement 4: .*(nowhere|half)"
    with as_newer(monkeypatch, more), pytest.raises(MigrationError, match=told):
        settled(settings)
    with looking(settings) as tables:
        assert states(tables) == before
    with closing(open_operations(settings)) as operations:
        operations.run("note_landed", entity="jobs", now=NOON)
        assert "jobs" in {row["entity"] for row in operations.run("stale_entities")}


@pytest.mark.parametrize(
    ("older", "newer"),
    [("0.1.0", "0.1.1"), ("0.9.0", "0.10.0"), ("0.1", "0.1.1"), ("1.9", "2.0.0.dev1"), ("0.1.0", "1"), ("", "0.1.0")],
)
def test_versions_are_told_by_their_numbers(older: str, newer: str):
    """Not by their letters."""
    assert order(older) < order(newer)
