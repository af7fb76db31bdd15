"""`lazi grant`: a role may read the copy, now and after plans, and never what is secret."""

import json
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from click.testing import CliRunner, Result

from cli.main import lazi, main
from store.exceptions import StoreRightsError, StoreUnfitError
from store.operations import open_operations
from store.session import connect
from store.settings import Settings
from tests.models.conftest import Models
from tests.postgres.server import PASSWORD, Server

Read = Callable[[str], list[Any]]


@pytest.fixture
def reporting(server: Server, role: str) -> str:
    """A role that reports, and may nothing yet."""
    name = f"rep'ort\"ing {role[-6:-3]}%s"
    server.run("CREATE ROLE {} LOGIN PASSWORD {word}", name, word=PASSWORD)
    return name


@pytest.fixture
def read(server: Server, role: str, reporting: str) -> Read:
    """What the role that reports finds."""

    def found(query: str) -> list[Any]:
        address = server.url(reporting, database=f"data base-{role}")
        with closing(psycopg2.connect(address)) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    return found


@pytest.fixture
def copy(server: Server, role: str, settings: Settings) -> Settings:
    """A copy as plans make it, small, by statements alone."""
    server.run("ALTER DATABASE {} OWNER TO {}", f"data base-{role}", role)
    open_operations(settings).close()
    for schema in ("raw", "master", "master_store", "crm", "audit"):
        own(settings, f"CREATE SCHEMA {schema}")
    own(settings, "CREATE TABLE raw.st_jobs AS SELECT 1 AS st_id")
    own(settings, "CREATE TABLE master_store.jobs AS SELECT 1 AS st_id")
    own(settings, "CREATE FUNCTION raw.try_text(v text) RETURNS text LANGUAGE sql AS $$ SELECT v $$")
    own(settings, JOBS)
    own(settings, "CREATE VIEW crm.open_jobs AS SELECT st_id FROM master.jobs")
    own(settings, "CREATE TABLE audit.log AS SELECT 1 AS st_id")
    return settings


JOBS = "CREATE VIEW master.jobs AS SELECT st_id, raw.try_text('a') AS text FROM master_store.jobs"
EVERYTHING = "SELECT j.st_id FROM master.jobs AS j, crm.open_jobs AS o, audit.log AS l WHERE j.text = 'a'"
KEPT = ("system.secrets", "system.api_keys", "outbound.mutations", "master_store.jobs")


def own(settings: Settings, statement: str) -> None:
    """Run a statement as the owner."""
    with closing(connect(settings.database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)


def grant(*arguments: str) -> Result:
    """What `lazi grant` says."""
    found = CliRunner().invoke(lazi, ["grant", *arguments], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found


def may(read: Read, query: str) -> bool:
    """Whether the role may ask this."""
    with suppress(psycopg2.errors.InsufficientPrivilege):
        return bool(read(query))
    return False


def test_a_role_reads_the_copy_and_nothing_else(copy: Settings, reporting: str, read: Read):
    """Not raw, not what sessions are signed with, not the queue; and it writes nothing."""
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        read("SELECT 1")
    assert copy
    assert "may read master, crm, audit" in grant(reporting).output
    assert read(EVERYTHING) == [(1,)]
    for table in (*KEPT, "raw.st_jobs"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            read(f"SELECT * FROM {table}")
    for statement in ("DELETE FROM audit.log RETURNING 1", "CREATE TABLE crm.mine (n INT)", "DROP VIEW master.jobs"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            read(statement)


def test_what_is_made_anew_can_be_read_too(copy: Settings, reporting: str, read: Read):
    """A plan drops views and makes others."""
    grant(reporting)
    own(copy, "DROP VIEW master.jobs CASCADE")
    own(copy, JOBS)
    own(copy, "CREATE VIEW crm.open_jobs AS SELECT 5 AS st_id")
    own(copy, "DROP TABLE audit.log; CREATE TABLE audit.log AS SELECT 2 AS st_id")
    own(copy, "CREATE TABLE raw.st_new AS SELECT 1 AS st_id")
    assert read(EVERYTHING) == [(1,)]
    assert not may(read, "SELECT * FROM raw.st_new")


def test_raw_is_granted_where_it_is_asked_for(copy: Settings, reporting: str, read: Read):
    """What lands later too; secrets stay where they are."""
    grant(reporting, "--raw")
    own(copy, "CREATE TABLE raw.st_new AS SELECT 3 AS st_id")
    assert read("SELECT o.st_id + n.st_id FROM raw.st_jobs AS o, raw.st_new AS n") == [(4,)]
    assert not any(may(read, f"SELECT * FROM {table}") for table in KEPT)
    grant(reporting, "--revoke", "--raw")
    assert (may(read, "SELECT * FROM raw.st_new"), may(read, EVERYTHING)) == (False, True)


def test_what_was_granted_is_taken_away(copy: Settings, reporting: str, read: Read):
    """Also for what is made later; twice is no error, and neither is what never was."""
    before = privileges(copy)
    grant(reporting, "--raw")
    assert privileges(copy) != before
    grant(reporting, "--revoke")
    assert not may(read, EVERYTHING)
    assert not may(read, "SELECT * FROM raw.st_jobs")
    own(copy, "CREATE VIEW crm.later AS SELECT 5 AS st_id")
    assert not may(read, "SELECT * FROM crm.later")
    own(copy, "DROP VIEW crm.later")
    grant(reporting, "--revoke")
    assert privileges(copy) == before


def test_granting_twice_changes_nothing(copy: Settings, reporting: str):
    """The same rights, told in the same words."""
    once = grant(reporting, "--json").output
    before = privileges(copy)
    twice = json.loads(grant(reporting, "--json").output)
    assert [each for each in json.loads(once)["statements"] if "CONNECT" not in each] == twice["statements"]
    assert (twice["schemas"], twice["notes"], twice["done"]) == (["master", "crm", "audit"], [], True)
    assert privileges(copy) == before


def privileges(settings: Settings) -> list[Any]:
    """All rights on schemas, tables and what will be made, but an owner's own."""
    query = """SELECT kind, name, a.grantee::REGROLE::TEXT, a.privilege_type FROM (
      SELECT 'schema' AS kind, nspname::TEXT AS name, nspacl AS acl, nspowner AS owner FROM pg_namespace
      UNION ALL SELECT 'table', oid::REGCLASS::TEXT, relacl, relowner FROM pg_class
      UNION ALL SELECT 'later', defaclnamespace::REGNAMESPACE::TEXT, defaclacl, defaclrole FROM pg_default_acl
    ) AS s CROSS JOIN LATERAL ACLEXPLODE(s.acl) AS a WHERE a.grantee <> s.owner ORDER BY 1, 2, 3, 4"""
    with closing(connect(settings.database_url)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def test_it_can_be_granted_before_anything_is_there(
    server: Server, role: str, settings: Settings, reporting: str, read: Read
):
    """The schemas are made; what the first plan makes can be read."""
    server.run("GRANT CONNECT ON DATABASE {} TO {}", f"data base-{role}", reporting)
    grant(reporting)
    own(settings, "CREATE VIEW master.jobs AS SELECT 1 AS st_id")
    assert read("SELECT st_id FROM master.jobs") == [(1,)]


def test_what_is_printed_before_anything_is_there_can_be_run_by_an_administrator(
    server: Server, role: str, settings: Settings, reporting: str, read: Read
):
    """The schemas that it makes are our own."""
    with server.administrator(f"data base-{role}") as cursor:
        cursor.execute(grant(reporting, "--print").stdout)
    server.run("GRANT CONNECT ON DATABASE {} TO {}", f"data base-{role}", reporting)
    own(settings, "CREATE VIEW crm.later AS SELECT 4 AS n")
    assert read("SELECT n FROM crm.later") == [(4,)]


def test_what_is_printed_is_what_would_be_done(server: Server, role: str, copy: Settings, reporting: str, read: Read):
    """And changes nothing; an administrator can run it."""
    before = privileges(copy)
    text = grant(reporting, "--print").stdout
    assert privileges(copy) == before
    with server.administrator(f"data base-{role}") as cursor:
        cursor.execute(text)
    own(copy, "DROP VIEW master.jobs CASCADE")
    own(copy, JOBS)
    own(copy, "CREATE VIEW crm.open_jobs AS SELECT 5 AS st_id")
    assert read(EVERYTHING) == [(1,)]


def test_a_role_that_there_is_not_is_told(copy: Settings, role: str, reporting: str):
    """With the nearest name, and how to make one; our own role needs nothing."""
    assert copy
    with pytest.raises(StoreUnfitError, match=r"no role `wrong name`.*CREATE ROLE \"wrong name\" LOGIN PASSWORD"):
        grant("wrong name")
    with pytest.raises(StoreUnfitError) as told:
        grant(reporting[:-1])
    assert f"Is `{reporting}` meant?" in str(told.value)
    with pytest.raises(StoreUnfitError, match="owns the copy"):
        grant(role)
    with pytest.raises(StoreUnfitError, match="no role `public`"):
        grant("public")


def test_no_superuser_is_offered(server: Server, copy: Settings, reporting: str):
    """Neither as the one that is meant nor among those that there are: whoever reports shall not be one."""
    assert copy
    server.run("CREATE ROLE {} SUPERUSER", near := f"boss {reporting}")
    with pytest.raises(StoreUnfitError) as told:
        grant(near[:-1])
    assert near not in str(told.value)
    assert "`postgres`" not in str(told.value)
    assert f"`{reporting}`" in str(told.value)


def test_a_role_that_may_see_secrets_by_other_rights_is_told(server: Server, role: str, copy: Settings, reporting: str):
    """It is granted all the same; who reads it knows."""
    assert copy
    server.run("GRANT {} TO {}", role, reporting)
    assert "`outbound` and `system` by other rights" in grant(reporting).stderr


def test_a_role_that_cannot_come_in_is_told(server: Server, role: str, settings: Settings, reporting: str):
    """Where to connect is the owner's to allow, and to log in is an administrator's."""
    assert settings
    server.run("ALTER ROLE {} NOLOGIN", reporting)
    told = grant(reporting).stderr
    assert 'GRANT CONNECT ON DATABASE "data base-' in told
    assert "It cannot log in" in told
    server.run("GRANT CONNECT ON DATABASE {} TO {}", f"data base-{role}", reporting)
    server.run("ALTER ROLE {} LOGIN", reporting)
    assert grant(reporting).stderr == ""


def test_what_others_made_there_is_left_out_and_told(
    server: Server, role: str, copy: Settings, reporting: str, read: Read
):
    """A view of somebody else's in our schema keeps nothing from being granted."""
    assert copy
    server.run("CREATE VIEW crm.theirs AS SELECT 1 AS n", database=f"data base-{role}")
    assert "crm.theirs" in grant(reporting).stderr
    assert may(read, EVERYTHING)
    assert not may(read, "SELECT * FROM crm.theirs")
    assert "crm.theirs" in grant(reporting, "--revoke").stderr
    assert not may(read, EVERYTHING)


def test_schemas_of_another_role_cannot_be_granted(server: Server, role: str, copy: Settings, reporting: str):
    """Told with what an administrator can do; nothing is half done."""
    server.run("ALTER SCHEMA crm OWNER TO postgres", database=f"data base-{role}")
    before = privileges(copy)
    with pytest.raises(StoreRightsError, match=r"refuses `GRANT USAGE ON SCHEMA.*`--print`"):
        grant(reporting)
    assert privileges(copy) == before


def test_the_embedded_store_has_no_roles(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """It is said why, with exit code 2."""
    monkeypatch.setenv("LAZI_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["lazi", "grant", "reporting"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "`lazi grant` is for PostgreSQL" in capsys.readouterr().err


@pytest.mark.slow
def test_rights_outlive_a_plan_that_builds_everything_anew(
    server: Server, role: str, settings: Settings, reporting: str, read: Read, tmp_path: Path
):
    """Real models, whose text changes: other tables stand behind other views, and the role reads them."""
    project = tmp_path / "project"
    project.mkdir()
    models = Models(settings, project)
    models.land("jobs", 1, jobStatus="Scheduled", createdOn="?")
    grant(reporting)
    server.run("GRANT CONNECT ON DATABASE {} TO {}", f"data base-{role}", reporting)
    models.refresh()
    queries = (
        "SELECT job_status FROM master.jobs",
        "SELECT raw_text FROM audit.quarantine",
        "SELECT COUNT(*) > 0 FROM audit.log",
        "SELECT COUNT(*) >= 0 FROM crm.customer_facts",
    )
    before = [read(query) for query in queries]
    assert before == [[("Scheduled",)], [("?",)], [(True,)], [(True,)]]
    made = "SELECT 'master.jobs'::REGCLASS::OID, 'crm.customer_facts'::REGCLASS::OID"
    former = models.fetch(made)
    macro = project / "macros" / "newest.py"
    text = macro.read_text(encoding="utf-8")
    macro.write_text(text.replace('"{}__text"', '"{}__words"'), encoding="utf-8")
    models.refreshes = 0
    models.refresh()
    assert not set(models.fetch(made)[0]) & set(former[0])
    assert [read(query) for query in queries] == before
    models.warehouse.close()
