"""What the copy knows of one customer: who it is, how to reach it, what it is worth, where it is, what it was offered."""

import re
from dataclasses import dataclass
from typing import Any

from api.pages.door import Visit
from api.pages.selection import Record, document, marks, selected
from api.problems import NoRecordError
from api.resources import CONTACTS, CUSTOMER_360, OPEN_ESTIMATES
from api.steps import Steps
from api.text import shortened

MOST = 200  # of a list that hardly anybody's reaches
IDENTITY = (
    "st_id",
    "name",
    "type",
    "active",
    "is_deleted",
    "merged_to_id",
    "address_street",
    "address_unit",
    "address_city",
    "address_state",
    "address_zip",
    "address_country",
    "tag_type_ids",
    "do_not_mail",
    "do_not_service",
    "national_account",
    "tax_exempt",
    "payment_term_id",
    "balance",
    "credit_limit",
    "created_on",
    "modified_on",
    "synced_at",
    "modeled_at",
)
LOCATION = ("st_id", "name", "active", "is_deleted", "address_street", "address_unit", "address_city", "address_state")
OF_TENANT = "WHERE tenant_id = {mark} AND "
OF_CUSTOMER = OF_TENANT + "customer_id = {mark} "
LIMIT = f"LIMIT {MOST + 1}"  # pages say so where there are more
KEY = re.compile(r"\d{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer, and what belongs to it. `value` is None as long as the customer models lack it."""

    identity: Record
    value: Record | None
    tags: list[Record]
    payment_term: str | None
    contacts: list[Record]
    locations: list[Record]
    open_estimates: list[Record]

    def street_of(self, location: int) -> str:
        """Where a location is; its key where that is not known."""
        found = next((one["address_street"] for one in self.locations if one["st_id"] == location), None)
        return found or f"location {location}"


def key_in_path(request: Visit) -> int:
    """The customer that the path names. Raises NoRecordError."""
    text = str(request.path_params["id"])
    if KEY.fullmatch(text):
        return int(text)
    raise missing(text)


def missing(customer: object) -> NoRecordError:
    """The error for a customer that there is not."""
    return NoRecordError(f"The copy has no customer `{shortened(str(customer))}` of this key's tenant.")


def known(dialect: str, tenant: int, key: int) -> Steps[Customer | None]:
    """A customer; None where the copy has none with this key."""
    identity = yield from one(dialect, IDENTITY, "FROM master.customers " + OF_TENANT + "st_id = {mark}", tenant, key)
    if identity is None:
        return None
    own = (tenant, key)
    value = yield from one(dialect, names(CUSTOMER_360), "FROM crm.customer_360 " + OF_CUSTOMER, tenant, key)
    tags = yield from tagged(dialect, tenant, document(identity["tag_type_ids"]) or [])
    term = yield from payment_term(dialect, tenant, identity["payment_term_id"])
    rest = f"FROM crm.contacts {OF_CUSTOMER} ORDER BY is_primary DESC, owner_type, owner_id, type, contact_id {LIMIT}"
    contacts = yield from selected(dialect, names(CONTACTS), rest, own)
    rest = f"FROM master.locations {OF_CUSTOMER} ORDER BY is_deleted, st_id {LIMIT}"
    locations = yield from selected(dialect, LOCATION, rest, own)
    rest = f"FROM crm.open_estimates {OF_CUSTOMER} ORDER BY created_on DESC, estimate_id DESC {LIMIT}"
    estimates = yield from selected(dialect, names(OPEN_ESTIMATES), rest, own)
    return Customer(identity, value, tags, term, contacts, locations, estimates)


def modeled(dialect: str, tenant: int, key: int) -> Steps[Record | None]:
    """When a customer was last written in the copy's tables; None where there is none."""
    return (
        yield from one(dialect, ("modeled_at",), "FROM master.customers " + OF_TENANT + "st_id = {mark}", tenant, key)
    )


def names(relation: Any) -> tuple[str, ...]:
    """All of a relation's columns."""
    return tuple(column.name for column in relation.columns)


def one(dialect: str, columns: tuple[str, ...], rest: str, *values: Any) -> Steps[Record | None]:
    """The first row, if there is one."""
    rows = yield from selected(dialect, columns, rest, values)
    return rows[0] if rows else None


def tagged(dialect: str, tenant: int, keys: list[int]) -> Steps[list[Record]]:
    """Tags by their keys, in the order of the customer; one that the copy does not have is named by its key."""
    if not keys:
        return []
    rest = f"FROM master.tag_types {OF_TENANT}st_id IN ({marks(len(keys))})"
    rows = yield from selected(dialect, ("st_id", "name"), rest, [tenant, *keys])
    known_names = {row["st_id"]: row["name"] for row in rows}
    return [{"st_id": key, "name": known_names.get(key) or f"Tag {key}"} for key in keys]


def payment_term(dialect: str, tenant: int, key: int | None) -> Steps[str | None]:
    """What a payment term is called."""
    if key is None:
        return None
    rest = "FROM master.payment_terms " + OF_TENANT + "st_id = {mark}"
    found = yield from one(dialect, ("name",), rest, tenant, key)
    return (found or {}).get("name") or f"Payment term {key}"
