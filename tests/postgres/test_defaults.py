"""What a server, a database or a role sets by default changes nothing for us."""

from pathlib import Path

import pytest

from store.settings import Settings
from tests.models.conftest import Models
from tests.postgres.doors import BY_SESSION, DOORS, READING
from tests.postgres.server import Server

ODD = {
    "timezone": "Asia/Kathmandu",
    "datestyle": "German",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "statement_timeout": "1500",
    "lock_timeout": "900",
    "idle_in_transaction_session_timeout": "1200",
    "idle_session_timeout": "1100",
    "search_path": "nowhere",
    "extra_float_digits": "-10",
    "client_encoding": "LATIN1",
    "intervalstyle": "sql_standard",
    "lc_messages": "C",
    "bytea_output": "escape",
    "client_min_messages": "error",
}
EXPECTED = {
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
    "default_transaction_isolation": "read committed",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "extra_float_digits": "1",
    "client_encoding": "UTF8",
}
LIMITED = {"statement_timeout": "30s", "idle_in_transaction_session_timeout": "1min"}


@pytest.fixture
def odd(server: Server, role: str, settings: Settings) -> Settings:
    """A database that sets everything otherwise."""
    for name, value in ODD.items():
        server.run(f"ALTER DATABASE {{}} SET {name} = {{value}}", f"data base-{role}", value=value)
        server.run(f"ALTER ROLE {{}} SET {name} = {{value}}", role, value=value)
    return settings


@pytest.mark.parametrize("door", DOORS)
def test_every_session_is_alike(odd: Settings, door: str):
    """At every door; only what reads for people who wait has a limit of time, and cannot write."""
    query = ", ".join(f"CURRENT_SETTING('{name}') AS {name}" for name in EXPECTED)
    told = dict(zip(EXPECTED, DOORS[door](odd, f"SELECT {query}"), strict=True))
    assert told == EXPECTED | (LIMITED if door in READING else {})
    (can_only_read,) = DOORS[door](odd, "SELECT CURRENT_SETTING('transaction_read_only')")
    assert can_only_read == ("on" if door in READING else "off")


def test_a_right_outlives_the_limits_of_the_database(odd: Settings):
    """Whoever holds it does something that takes longer than a session may rest or a statement may take."""
    assert BY_SESSION["session"](odd, "SELECT CAST(PG_SLEEP(1.6) AS TEXT)") == ("",)


@pytest.mark.slow
def test_models_show_the_same_whatever_is_set(odd: Settings, tmp_path: Path):
    """Moments, numbers and texts."""
    project = tmp_path / "project"
    project.mkdir()
    models = Models(odd, project)
    models.land("jobs", 1, days_ago=3, jobStatus="Schédüled", createdOn="2026-03-04T05:06:07Z", summary="a\\d'b")
    models.land("invoices", 7, total="1234567.89", invoiceDate="2026-03-04T23:30:00-05:00")
    models.refresh()
    found = models.fetch("SELECT job_status, CAST(created_on AS TEXT), summary, bad_columns FROM master.jobs")
    assert found == [("Schédüled", "2026-03-04 05:06:07+00", "a\\d'b", None)]
    assert models.fetch("SELECT CAST(total AS TEXT), bad_columns FROM master.invoices") == [("1234567.890000", None)]
    models.warehouse.close()


@pytest.mark.slow
@pytest.mark.parametrize("stands", ["in another schema", "where the role may not go"])
def test_models_are_built_whether_or_not_pieces_of_text_can_be_indexed(
    server: Server, role: str, settings: Settings, tmp_path: Path, stands: str
):
    """An administrator may have made the extension, anywhere; the index is made where it can be."""
    name = f"data base-{role}"
    server.run("CREATE SCHEMA extensions", database=name)
    server.run("CREATE EXTENSION pg_trgm SCHEMA extensions", database=name)
    if stands == "in another schema":
        server.run("GRANT USAGE ON SCHEMA extensions TO {}", role, database=name)
    project = tmp_path / "project"
    project.mkdir()
    models = Models(settings, project)
    models.land("customers", 1, name="Ada Byron")
    models.refresh()
    indexes = "SELECT COUNT(*) > 0 FROM pg_indexes WHERE schemaname = 'crm_store' AND indexdef LIKE '%gin_trgm_ops%'"
    assert models.fetch("SELECT name FROM crm.customer_facts") == [("Ada Byron",)]
    assert models.fetch(indexes) == [(stands == "in another schema",)]
    models.warehouse.close()
