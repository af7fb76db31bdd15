"""Roles that are no administrators: what they need, and what is said when they lack it."""

import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from sources.servicetitan.catalog import CATALOG
from sources.servicetitan.reading import raw_table
from store.exceptions import StoreRightsError, StoreUnfitError
from store.fitness import unfit
from store.operations import open_operations
from store.settings import Settings
from store.warehouse import open_warehouse
from tests.pipelines.harbour import harbour
from tests.postgres.server import Server

TABLES = [raw_table(entity) for entity in CATALOG[:5]]


def open_both(settings: Settings) -> None:
    """Make all tables of a store, and write into it."""
    with closing(open_operations(settings)) as operations, closing(open_warehouse(settings)) as warehouse:
        warehouse.prepare(TABLES)
        operations.run("take_from_budget", application="app", tenant_id=1, interval=1.0, burst_seconds=3.0)


def mended(server: Server, database: str, work: Callable[[], Any]) -> list[str]:
    """Run the statements that an error names, as an administrator, until it works; all of them."""
    done: list[str] = []
    while told := refused(work):
        statements = re.findall(r"^  (.+);$", told, re.MULTILINE)
        assert statements, told
        assert not set(statements) & set(done), (done, told)
        done += statements
        with server.administrator(database) as cursor:
            for statement in statements:
                cursor.execute(statement)
    return done


def refused(work: Callable[[], Any]) -> str:
    """What is said when rights lack for it; nothing where it can be done."""
    try:
        work()
    except StoreRightsError as error:
        return str(error)
    return ""


def test_the_right_to_make_schemas_is_enough(settings: Settings):
    """Of its own it may nothing else; a second time changes nothing."""
    open_both(settings)
    open_both(settings)


def test_a_role_that_may_not_make_schemas_is_told_the_grant(server: Server, role: str, settings: Settings):
    """Before anything was made; what it names is enough."""
    name = f"data base-{role}"
    server.run("REVOKE CREATE ON DATABASE {} FROM {}", name, role)
    (statement,) = mended(server, name, lambda: open_both(settings))
    assert statement.startswith("GRANT CREATE ON DATABASE ")


def test_what_another_role_restored_is_told_by_its_statements(server: Server, role: str, settings: Settings):
    """A dump that was loaded by an administrator: its schemas and tables are handed over by what the error names."""
    name = f"data base-{role}"
    open_both(settings)
    with server.administrator(name) as cursor:
        cursor.execute(
            "SELECT FORMAT('ALTER TABLE %I.%I OWNER TO postgres', schemaname, tablename) FROM pg_tables "
            "WHERE schemaname IN ('raw', 'system', 'outbound')"
        )
        for (statement,) in cursor.fetchall():
            cursor.execute(statement)
        for schema in ("raw", "system", "outbound"):
            cursor.execute(f"ALTER SCHEMA {schema} OWNER TO postgres")
    done = mended(server, name, lambda: open_both(settings))
    assert any(statement.startswith("ALTER TABLE raw.st_") for statement in done)
    assert any(statement.startswith("ALTER TABLE ") and "system." in statement for statement in done)


def test_a_right_that_is_taken_meanwhile_is_told(server: Server, role: str, settings: Settings):
    """With the role, what it lacks, and the statement."""
    with closing(open_operations(settings)) as operations:
        for schema in ("system", "outbound"):
            server.run(f"ALTER SCHEMA {schema} OWNER TO postgres", database=f"data base-{role}")
        with pytest.raises(StoreRightsError, match=r"schema system.*`GRANT USAGE, CREATE ON SCHEMA") as told:
            operations.run("take_from_budget", application="app", tenant_id=1, interval=1.0, burst_seconds=3.0)
        assert f'"{role.replace(chr(34), chr(34) * 2)}"' in str(told.value)


def test_a_lake_is_served_by_the_same_right(server: Server, role: str, settings: Settings, tmp_path: Path):
    """First and again, row by row and whole; a table that was taken away from the role is told with what gives it back."""
    with closing(harbour(settings.database_url, tmp_path)) as made:
        made.put(1)
        made.publish()
        made.put(2)
        made.take(1)
        for whole in (False, True):
            assert made.publish(whole=whole).refused == {}
            assert made.served() == made.here()
        place = made.define(["master.jobs"], None).tables[0].place
        server.run(f"ALTER TABLE {place} OWNER TO postgres", database=f"data base-{role}")
        made.put(3)
        with pytest.raises(StoreRightsError, match="permission denied for table.*`ALTER TABLE .* OWNER TO ") as told:
            made.publish(whole=True)
        assert f'"{role.replace(chr(34), chr(34) * 2)}"' in str(told.value)


def test_a_database_that_cannot_hold_every_text_is_refused(server: Server, role: str, settings: Settings):
    """Before anything was made in it."""
    server.run("DROP DATABASE {}", name := f"data base-{role}")
    server.run("CREATE DATABASE {} ENCODING 'SQL_ASCII' TEMPLATE template0", name)
    server.run("GRANT CREATE ON DATABASE {} TO {}", name, role)
    with pytest.raises(StoreUnfitError, match="encoded as `SQL_ASCII`.*ENCODING 'UTF8'"):
        open_operations(settings)
    with closing(psycopg2.connect(settings.database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM pg_namespace WHERE nspname IN ('system', 'outbound')")
        assert cursor.fetchone() == (0,)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({"version": 14}, "version 14; 15 or later"),
        ({"version": 17, "is_standby": True}, "is a standby.*target_session_attrs=read-write"),
        ({}, "^$"),
    ],
)
def test_a_server_that_cannot_be_used_is_told(found: dict[str, Any], told: str):
    """Too old, or one that can only be read."""
    good = {"version": 15, "encoding": "UTF8", "is_standby": False, "has_plain_strings": True}
    assert re.search(told, unfit(good | found))


def test_a_role_for_which_backslashes_are_marks_is_told(server: Server, role: str, settings: Settings):
    """With the statement that it may run itself, and that mends it."""
    server.run("ALTER DATABASE {} SET standard_conforming_strings = off", f"data base-{role}")
    with pytest.raises(StoreUnfitError, match="standard_conforming_strings") as told:
        open_both(settings)
    with closing(psycopg2.connect(settings.database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(str(told.value).split("`")[3])
    open_both(settings)
