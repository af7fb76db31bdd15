"""A customer's time line and history: what is in them, in which order, on which page, and whose it is."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from api.pages import timeline
from api.pages.comparison import changed
from api.pages.customer_history import PAGE, history, waiting, who
from api.pages.timeline import paid, told
from outbound.queue import Queue
from store.operations import open_operations
from store.settings import Settings
from tests.pages.house import WANTED
from tests.pages.tables import Tables

DAY = datetime(2026, 5, 1, 12, tzinfo=UTC)
MINE, OTHERS = (
    {"tenant_id": 1, "customer_id": 7},
    ({"tenant_id": 1, "customer_id": 8}, {"tenant_id": 2, "customer_id": 7}),
)
EVENT = (
    "tenant_id BIGINT, customer_id BIGINT, st_id BIGINT, created_on TIMESTAMPTZ, active BOOLEAN, is_deleted BOOLEAN, "
    "summary TEXT"
)
JOBS = f"{EVENT}, job_number TEXT, job_type_id BIGINT, job_status TEXT, total NUMERIC(18,6), completed_on TIMESTAMPTZ"
ESTIMATES = f"{EVENT}, name TEXT, status_name TEXT, subtotal NUMERIC(18,6), tax NUMERIC(18,6), sold_on TIMESTAMPTZ"
INVOICES = (
    f"{EVENT}, reference_number TEXT, invoice_date TIMESTAMPTZ, invoice_type_name TEXT, total NUMERIC(18,6), "
    "balance NUMERIC(18,6), paid_on TIMESTAMPTZ"
)
LOG = (
    "entity TEXT, tenant_id BIGINT, record_id TEXT, operation TEXT, changes TEXT, actor_type TEXT, actor_id TEXT, "
    "mutation_id TEXT, synced_at TIMESTAMPTZ, version_at TIMESTAMPTZ, payload_hash TEXT"
)
OWNED = (
    "tenant_id BIGINT, customer_id BIGINT, location_id BIGINT, st_id BIGINT, name TEXT, address_street TEXT, value TEXT"
)


@pytest.fixture
def tables(settings: Settings) -> Iterator[Tables]:
    made = Tables(settings)
    yield made
    made.close()


def business(tables: Tables, *, jobs: int = 2) -> None:
    """So many jobs a day apart, one estimate and three invoices of a customer; one job each of two others."""
    rows = [
        MINE | {"st_id": n, "created_on": DAY + timedelta(days=n), "job_number": f"J{n}", "job_type_id": 5}
        for n in range(jobs)
    ]
    tables.make("master.jobs", JOBS, [*rows, *({**each, "st_id": 99} for each in OTHERS)])
    names = [{"tenant_id": tenant, "st_id": 5, "name": name} for tenant, name in ((1, "Repair"), (2, "Theirs"))]
    tables.make("master.job_types", "tenant_id BIGINT, st_id BIGINT, name TEXT", names)
    one = {
        "st_id": 20,
        "created_on": DAY + timedelta(hours=1),
        "name": "Boiler",
        "status_name": "Open",
        "subtotal": 100,
    }
    tables.make("master.estimates", ESTIMATES, [MINE | one, *(each | one for each in OTHERS)])
    bills = [
        {"st_id": 30, "invoice_date": DAY - timedelta(days=1), "total": 50, "balance": 0},
        {"st_id": 31, "created_on": DAY + timedelta(days=400), "total": 50, "balance": 20},
        {"st_id": 32, "total": 50},
    ]
    tables.make("master.invoices", INVOICES, [whose | bill for whose in (MINE, *OTHERS) for bill in bills])


def test_jobs_estimates_and_invoices_are_one_line_of_time(tables: Tables):
    """The newest first, what has no date last; amounts with tax; nobody else's."""
    business(tables)
    found = tables.ask(told(tables.dialect, 1, 7))
    assert [(one["kind"], one["st_id"]) for one in found.events] == [
        ("invoice", 31),
        ("job", 1),
        ("estimate", 20),
        ("job", 0),
        ("invoice", 30),
        ("invoice", 32),
    ]
    assert [one["title"] for one in found.events if one["kind"] == "job"] == ["Repair", "Repair"]
    assert [one["state"] for one in found.events] == ["Partly paid", "", "Open", "", "Paid", ""]
    assert found.events[2]["amount"] == Decimal(100)
    assert (found.counts, found.total, found.pages) == ({"job": 2, "estimate": 1, "invoice": 3}, 6, 1)


def test_pages_hold_each_event_once(tables: Tables):
    """Also where many have the same moment; a kind has pages of its own, and behind the last one there is nothing."""
    business(tables, jobs=45)
    leaves = [tables.ask(told(tables.dialect, 1, 7, "job", page)) for page in (1, 2, 3, 4)]
    assert [len(leaf.events) for leaf in leaves] == [timeline.PAGE, timeline.PAGE, 5, 0]
    assert [one["st_id"] for leaf in leaves for one in leaf.events] == list(range(44, -1, -1))
    assert (leaves[0].pages, leaves[0].total) == (3, 45)


@pytest.mark.parametrize(
    ("total", "balance", "word"),
    [
        (10, 0, "Paid"),
        (10, 10, "Unpaid"),
        (10, 3, "Partly paid"),
        (-10, -10, "Credit"),
        (None, 3, "Unpaid"),
        (10, None, ""),
    ],
)
def test_the_balance_tells_whether_an_invoice_is_paid(total: int | None, balance: int | None, word: str):
    """ServiceTitan's invoices have no state of their own."""
    assert paid(*(None if each is None else Decimal(each) for each in (total, balance))) == word


def past(tables: Tables, rows: list[dict[str, object]]) -> None:
    """A log, and a customer with a location and contacts; each of two others has some too."""
    tables.make("audit.log", LOG, [{"tenant_id": 1, "payload_hash": "h"} | row for row in rows])
    place = {"tenant_id": 1, "customer_id": 7, "st_id": 70, "address_street": "1 Elm St"}
    tables.make("master.locations", OWNED, [place, *(each | {"st_id": 80} for each in OTHERS)])
    contacts = [MINE | {"st_id": 71, "value": "a@b.example"}, *(each | {"st_id": 81} for each in OTHERS)]
    tables.make("master.customer_contacts", OWNED, contacts)
    reached = [(1, 70, 72), (1, 80, 82), (2, 70, 82)]
    rows = [{"tenant_id": tenant, "location_id": where, "st_id": key} for tenant, where, key in reached]
    tables.make("master.location_contacts", OWNED, rows)
    people = [{"tenant_id": tenant, "st_id": 4, "name": name} for tenant, name in ((1, "Bea"), (2, "Theirs"))]
    tables.make("master.employees", OWNED, people)


def test_the_history_is_of_a_customer_and_what_belongs_to_it(tables: Tables):
    """With who did it: by a mutation, by a user who is an employee, or by one whom only ServiceTitan knows."""
    changes = '{"name": {"old": "A", "new": "B"}, "modifiedOn": {"old": "x", "new": "y"}}'
    ours = {
        "actor_type": "lazi",
        "actor_id": "Ann: the second",
        "mutation_id": "12",
        "operation": "update",
        "changes": changes,
    }
    theirs = {"actor_type": "servicetitan", "operation": "insert"}
    past(
        tables,
        [
            {"entity": "customers", "record_id": "7", "synced_at": DAY, "actor_id": "4"} | theirs,
            {"entity": "locations", "record_id": "70", "synced_at": DAY + timedelta(1), "actor_id": "5"} | theirs,
            {"entity": "customer_contacts", "record_id": "71", "synced_at": DAY + timedelta(2)} | theirs,
            {"entity": "location_contacts", "record_id": "72", "synced_at": DAY + timedelta(3)} | theirs,
            {"entity": "customers", "record_id": "7", "synced_at": DAY + timedelta(4)} | ours,
            {"entity": "customers", "record_id": "70", "synced_at": DAY} | theirs,
            {"entity": "customers", "record_id": "7", "synced_at": DAY, "tenant_id": 2} | theirs,
            {"entity": "locations", "record_id": "80", "synced_at": DAY} | theirs,
            {"entity": "customer_contacts", "record_id": "81", "synced_at": DAY} | theirs,
            {"entity": "location_contacts", "record_id": "82", "synced_at": DAY} | theirs,
        ],
    )
    found = tables.ask(history(tables.dialect, 1, 7))
    assert [(one.entity, one.record_id, one.did, one.who, one.mutation_id) for one in found.changes] == [
        ("customers", "7", "changed", "Ann: the second", "12"),
        ("location_contacts", "72", "first seen", "ServiceTitan", None),
        ("customer_contacts", "71", "first seen", "ServiceTitan", None),
        ("locations", "70", "first seen", "ServiceTitan user 5", None),
        ("customers", "7", "first seen", "Bea in ServiceTitan", None),
    ]
    assert changed(found.changes[0].fields, found.names) == [("Name", "A", "B")]
    assert (found.changes[3].named, found.has_more) == ("1 Elm St", False)


def test_the_history_has_pages(tables: Tables):
    """Of fifteen changes; the last one says that there are no more."""
    one = {"entity": "customers", "record_id": "7", "actor_type": "servicetitan", "operation": "update"}
    past(tables, [one | {"synced_at": DAY + timedelta(minutes=n)} for n in range(PAGE + 1)])
    first, second = (tables.ask(history(tables.dialect, 1, 7, page)) for page in (1, 2))
    assert (len(first.changes), first.has_more, len(second.changes), second.has_more) == (PAGE, True, 1, False)


def test_what_is_waited_for_is_of_this_customer(settings: Settings):
    """And of this tenant; what is over is left out."""
    with closing(open_operations(settings)) as operations:
        queue = Queue(operations)
        whose = ((1, "7"), (1, "7"), (1, "8"), (2, "7"))
        made = [queue.add(replace(WANTED, tenant_id=tenant, record_id=record))[0] for tenant, record in whose]
        queue.decide(made[0], "cancel", "Ann")
        found = waiting(queue, 1, 7, None)
    assert [one.mutation_id for one in found.mutations] == [made[1].mutation_id]
    assert found.is_moving


def test_a_change_of_ours_that_names_nobody_is_ours():
    """And ServiceTitan's without a user is ServiceTitan's."""
    assert who("lazi", None, {}) == "ST-LAZI"
    assert who("servicetitan", None, {}) == "ServiceTitan"


def test_of_an_object_only_what_differs_is_told():
    """An address is told by its parts, a custom field by its name, a list as a whole; moments that are equal are no change."""
    fields = {
        "address": {"old": {"street": "1 Elm", "zip": "1"}, "new": {"street": "2 Elm", "zip": "1"}},
        "customFields": {
            "old": [{"typeId": 3, "name": "Gate", "value": "1"}],
            "new": [{"typeId": 3, "name": "Gate", "value": "2"}],
        },
        "tagTypeIds": {"old": [1], "new": []},
        "active": {"old": True, "new": False},
        "createdOn": {"old": "2026-01-01T00:00:00.10Z", "new": "2026-01-01T00:00:00.1Z"},
    }
    assert changed(fields, {"tagTypeIds": {"1": "VIP"}}) == [
        ("Address: street", "1 Elm", "2 Elm"),
        ("Gate", "1", "2"),
        ("Tag types", "VIP", ""),
        ("Active", "yes", "no"),
    ]
