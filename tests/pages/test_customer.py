"""What the copy knows of one customer, on both engines: whose it is, and what is missing."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from api.pages.customer import IDENTITY, LOCATION, Customer, known, modeled
from api.relations import Relation
from api.resources import CONTACTS, CUSTOMER_360, OPEN_ESTIMATES
from store.settings import Settings
from tests.pages.tables import Tables

NUMBERS = {"tenant_id", "st_id", "customer_id", "merged_to_id", "payment_term_id"}
MINE, NEIGHBOUR, STRANGER = (1, 7), (1, 8), (2, 7)
"""Tenants and customers."""


def shape(names: tuple[str, ...]) -> str:
    """Columns of a table; what is no number is text."""
    return ", ".join(f"{name} {'BIGINT' if name in NUMBERS else 'TEXT'}" for name in dict.fromkeys(names))


def modelled(tables: Tables, relation: Relation, **more: Any) -> None:
    """A view's rows, one for each customer, which names its owner."""
    kinds = {"JSONB": "JSON"} if tables.dialect == "duckdb" else {}
    columns = ", ".join(f"{each.name} {kinds.get(each.type, each.type)}" for each in relation.columns)
    owners = ((MINE, "mine"), (NEIGHBOUR, "neighbour"), (STRANGER, "stranger"))
    rows = [{"tenant_id": tenant, "customer_id": key, "customer_name": name} for (tenant, key), name in owners]
    if not relation.has("customer_name"):
        rows = [{"name": row.pop("customer_name"), **row} for row in rows]
    tables.make(relation.name, columns, [row | more for row in rows])


@pytest.fixture
def tables(settings: Settings) -> Iterator[Tables]:
    """Three customers, of whom two have the same key and two the same tenant."""
    made = Tables(settings)
    people = [
        {"tenant_id": tenant, "st_id": key, "name": name, "payment_term_id": 5, "tag_type_ids": json.dumps([2, 1, 9])}
        for (tenant, key), name in ((MINE, "mine"), (NEIGHBOUR, "neighbour"), (STRANGER, "stranger"))
    ]
    made.make("master.customers", shape(("tenant_id", *IDENTITY)), people)
    named = [
        {"tenant_id": tenant, "st_id": key, "name": f"{key} of {tenant}"} for tenant in (1, 2) for key in (1, 2, 5)
    ]
    for name in ("tag_types", "payment_terms"):
        made.make(f"master.{name}", shape(("tenant_id", "st_id", "name")), named)
    places = [
        {"tenant_id": tenant, "customer_id": key, "st_id": 70 + place, "address_street": f"{place} Elm"}
        for place, (tenant, key) in enumerate((MINE, NEIGHBOUR, STRANGER))
    ]
    made.make("master.locations", shape(("tenant_id", "customer_id", *LOCATION)), places)
    modelled(made, CUSTOMER_360)
    modelled(made, CONTACTS, contact_id=1, is_primary=True)
    modelled(made, OPEN_ESTIMATES, estimate_id=1)
    yield made
    made.close()


def found(tables: Tables, tenant: int, key: int) -> Customer:
    """A customer that there is."""
    one: Customer | None = tables.ask(known(tables.dialect, tenant, key))
    assert one is not None
    return one


def test_everything_is_of_this_customer_and_tenant(tables: Tables):
    """Two tenants may have the same keys of customers, tags and payment terms."""
    mine = found(tables, *MINE)
    assert (mine.identity["name"], (mine.value or {})["name"]) == ("mine", "mine")
    assert [one["customer_name"] for one in (*mine.contacts, *mine.open_estimates)] == ["mine", "mine"]
    assert [one["st_id"] for one in mine.locations] == [70]
    assert [tag["name"] for tag in mine.tags] == ["2 of 1", "1 of 1", "Tag 9"]
    assert mine.payment_term == "5 of 1"
    assert (mine.street_of(70), mine.street_of(72)) == ("0 Elm", "location 72")
    assert found(tables, *STRANGER).payment_term == "5 of 2"


def test_one_that_is_not_there_is_none(tables: Tables):
    """Of this tenant; nor was it ever modelled."""
    assert tables.ask(known(tables.dialect, 2, 8)) is None
    assert tables.ask(modeled(tables.dialect, 2, 8)) is None
    assert tables.ask(modeled(tables.dialect, 1, 8)) is not None


def test_what_the_models_lack_is_missing_alone(tables: Tables):
    """A customer that landed a moment ago has an identity, and no value yet."""
    tables.run("DELETE FROM crm.customer_360")
    tables.run("UPDATE master.customers SET tag_type_ids = NULL, payment_term_id = NULL")
    mine = found(tables, *MINE)
    assert (mine.value, mine.tags, mine.payment_term) == (None, [], None)
