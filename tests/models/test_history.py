"""`audit.log` and `audit.quarantine` on a real warehouse of each kind."""

import json
import secrets
from typing import Any

import pytest
from sqlglot import parse_one

from macros.history import union, versions_of
from tests.models.conftest import Models

LOG = "SELECT {columns} FROM audit.log WHERE entity = 'jobs' AND record_id = '{key}' ORDER BY version_at, synced_at"


def log(models: Models, key: int, *columns: str) -> list[tuple[Any, ...]]:
    """What the log says of a job, oldest version first."""
    return models.fetch(LOG.format(columns=", ".join(columns), key=key))


def plain(value: Any) -> Any:
    """JSON as Python values: DuckDB gives its text."""
    return json.loads(value) if isinstance(value, str) else value


def test_log_tells_what_changed(models: Models):
    """Each version is compared with the one before it, whenever it landed, and names who made it."""
    models.land("jobs", 1, days_ago=9, jobStatus="Scheduled", createdById=5)
    models.land("jobs", 1, days_ago=8, jobStatus="Dispatched", createdById=5, modifiedById=6)
    models.land("jobs", 2, days_ago=9, summary="a")
    models.refresh()
    assert log(models, 1, "operation", "actor_type", "actor_id") == [
        ("insert", "servicetitan", "5"),
        ("update", "servicetitan", "6"),
    ]
    assert log(models, 2, "operation", "changes", "changed_fields", "actor_id") == [("insert", None, None, None)]

    models.land("jobs", 1, days_ago=8.5, jobStatus="Hold", createdById=5)  # lands late, between the two
    models.land("jobs", 2, days_ago=7, summary="a", active=False, deleted=True)
    models.land("jobs", 2, days_ago=6, summary="b", active=True, batch="mutation:m-1")
    models.refresh()
    [_, late, after] = log(models, 1, "changed_fields", "changes")
    assert plain(late[0]) == ["jobStatus", "modifiedOn"]
    assert plain(late[1])["jobStatus"] == {"old": "Scheduled", "new": "Hold"}
    assert plain(after[1])["jobStatus"] == {"old": "Hold", "new": "Dispatched"}
    assert plain(after[0]) == ["jobStatus", "modifiedById", "modifiedOn"]
    assert log(models, 2, "operation", "actor_type", "mutation_id", "is_deleted") == [
        ("insert", "servicetitan", None, False),
        ("delete", "servicetitan", None, True),
        ("restore", "lazi", "m-1", False),
    ]

    before = models.fetch("SELECT MAX(modeled_at) FROM audit.log")
    models.refresh()  # with nothing new
    assert models.fetch("SELECT MAX(modeled_at) FROM audit.log") == before
    assert models.fetch("SELECT COUNT(*) FROM audit.log") == [(6,)]


@pytest.mark.slow
def test_log_reads_the_entities_that_landed(models: Models):
    """Entities of which nothing landed are not read; what landed there all the same is logged when they are named."""
    models.land("jobs", 1, days_ago=3, summary="a")
    models.land("customers", 1, days_ago=3, name="a")
    models.refresh()
    models.land("jobs", 1, days_ago=2, summary="b")
    models.land("customers", 1, days_ago=2, name="b")
    newest = "SELECT entity, COUNT(*) FROM audit.log GROUP BY entity ORDER BY entity"
    models.write_log()
    assert models.fetch(newest) == [("customers", 1), ("jobs", 1)]
    models.write_log("jobs")
    assert models.fetch(newest) == [("customers", 1), ("jobs", 2)]
    models.write_log("customers", "jobs")
    assert models.fetch(newest) == [("customers", 2), ("jobs", 2)]


@pytest.mark.slow
def test_quarantine_shows_what_master_could_not_type(models: Models):
    """A value that does not fit its column is NULL in master and stands in quarantine as it was sent; no text is too long."""
    long = secrets.token_hex(20_000)  # an index takes 2,700 bytes, and these compress to half
    models.land("customers", 1, balance="a lot", createdOn="2026-01-01T00:00:00Z", address={"latitude": "north"})
    models.land("customers", 2, name=long, address={"city": long, "state": long})
    models.land("invoices", 3, customer={"id": 1}, total="12.50")
    models.refresh()
    query = "SELECT entity, record_id, column_name, sql_type, raw_text FROM audit.quarantine ORDER BY column_name"
    assert models.fetch(query) == [
        ("customers", "1", "address_latitude", "DOUBLE PRECISION", "north"),
        ("customers", "1", "balance", "NUMERIC(18,6)", "a lot"),
    ]
    models.land("customers", 1, balance=1)
    models.refresh()
    assert models.fetch(query) == []


@pytest.mark.slow
def test_facts_follow_a_record_that_moves(models: Models):
    """A job that moves to another customer leaves the former one's facts; others are not written again."""
    for customer in (1, 2, 3):
        models.land("customers", customer, name=f"customer {customer}", createdOn="2026-01-01T00:00:00Z")
    models.land("jobs", 1, days_ago=2, customerId=1, jobStatus="Completed")
    models.land("invoices", 1, days_ago=2, customer={"id": 1}, total="9.50", balance="1.00")
    models.refresh()
    query = "SELECT completed_job_count, CAST(invoice_total AS DOUBLE PRECISION) FROM crm.customer_facts ORDER BY customer_id"
    assert models.fetch(query) == [(1, 9.5), (0, 0), (0, 0)]
    [first] = models.fetch("SELECT modeled_at FROM crm.customer_facts WHERE customer_id = 3")

    models.land("jobs", 1, days_ago=1, customerId=2, jobStatus="Completed")
    models.land("invoices", 1, days_ago=1, customer={"id": 2}, total="9.50", balance="0.00")
    models.refresh()
    assert models.fetch(query) == [(0, 0), (1, 9.5), (0, 0)]
    assert models.fetch("SELECT modeled_at FROM crm.customer_facts WHERE customer_id = 3") == [first]
    assert models.fetch(f"SELECT COUNT(*) FROM crm.customer_facts WHERE modeled_at > '{first[0]}'") == [(2,)]


def test_first_build_reads_every_version():
    """Without a mark nothing is compared with the log."""
    assert "JOIN" not in versions_of("jobs", "", "")
    assert "JOIN" in versions_of("jobs", "audit.log", "2026-01-01")


def test_unions_do_not_nest_deeply():
    """A union of many queries is no deeper than its binary logarithm; recursion stays within its limit."""
    query = union([parse_one("SELECT 1 AS one") for _ in range(1000)])
    assert query.sql().count("UNION ALL") == 999
