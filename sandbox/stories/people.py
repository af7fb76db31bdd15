"""Customers, their locations and how to reach them; employees and technicians."""

from typing import Any

from sandbox import clock, naming, share
from sandbox.business import Business
from sandbox.chance import mix
from sandbox.row import Row
from sandbox.stories.billing import balance
from sandbox.stories.story import Near, Story

KINDS = ("MobilePhone", "Email", "Phone")


def near_customer(business: Business, customer: int) -> Near:
    """A customer, the first location and the first job."""
    customer %= business.customers
    jobs = share.JOBS.children(customer)
    job = jobs[0] if jobs else customer % business.sizes["jobs"]
    return {"customers": customer, "locations": share.LOCATIONS.children(customer)[0], "jobs": job, "invoices": job}


def near_location(business: Business, location: int) -> Near:
    """A location and its customer."""
    location %= business.sizes["locations"]
    return {"customers": business.customer_of("locations", location), "locations": location}


def came(business: Business, _name: str, position: int, near: Near) -> int:
    """With the customer, and then one after the other."""
    return business.capped(business.birth(near["customers"]) + position % 9 * clock.MINUTE, position)


def place(row: Row, location: int) -> dict[str, object]:
    """The address of a location."""
    return naming.address(row.business.number("locations", location))


def customer(row: Row) -> dict[str, Any]:
    """Name, address and balance, which is the sum of what the invoices leave open."""
    business = row.business
    jobs = share.JOBS.children(row.position) if row.position < business.customers else ()
    merged = None if row.active else business.ident("customers", row.number % business.customers)
    return {
        "name": naming.customer(row.number),
        "type": "Commercial" if naming.is_company(row.number) else "Residential",
        "address": place(row, row.near["locations"]),
        "balance": sum(balance(business, job) for job in jobs) / 100,
        "mergedToId": merged,
    }


def location(row: Row) -> dict[str, Any]:
    """Whose it is and where."""
    return {
        "name": row.business.called("locations", row.near["locations"]),
        "customerId": row.business.ident("customers", row.near["customers"]),
        "address": place(row, row.position),
        "mergedToId": None,
    }


def contact(row: Row, nth: int, owner: str) -> dict[str, Any]:
    """A number or an address, of a kind that follows from its place among its owner's."""
    kind = KINDS[nth % len(KINDS)]
    person = row.business.number("customers", row.near["customers"])
    value = naming.email(person) if kind == "Email" else naming.phone(mix(person + nth))
    settings = None if kind == "Email" else {"phoneNumber": value, "doNotText": row.chance(9, nth) == 0}
    return {
        "type": kind,
        "value": value,
        "phoneSettings": settings,
        f"{owner}Id": row.business.ident(f"{owner}s", row.near[f"{owner}s"]),
    }


def customer_contact(row: Row) -> dict[str, Any]:
    """A customer's phone, mobile phone or email address."""
    return contact(row, row.position - share.CUSTOMER_CONTACTS.children(row.near["customers"])[0], "customer")


def location_contact(row: Row) -> dict[str, Any]:
    """The same for a location."""
    return contact(row, row.position - share.LOCATION_CONTACTS.children(row.near["locations"])[0], "location")


def staff(row: Row) -> dict[str, Any]:
    """A name that is the sum of its parts."""
    first, last = naming.first_name(row.number), naming.last_name(row.number)
    return {"name": f"{first} {last}", "firstName": first, "lastName": last}


def settings(row: Row) -> dict[str, Any]:
    """First all technicians, then all employees; the two number themselves apart."""
    technicians = row.business.sizes["technicians"]
    is_technician = row.position < technicians
    kind, place = ("technicians", row.position) if is_technician else ("employees", row.position - technicians)
    return {
        "employeeId": row.business.ident(kind, place),
        "employeeType": "Technician" if is_technician else "Employee",
    }


STORIES = {
    "customers": Story(customer, lambda business, _name, position: near_customer(business, position), came),
    "locations": Story(location, lambda business, _name, position: near_location(business, position), came),
    "customer_contacts": Story(
        customer_contact,
        lambda business, _name, position: near_customer(business, share.CUSTOMER_CONTACTS.parent(position)),
        came,
    ),
    "location_contacts": Story(
        location_contact,
        lambda business, _name, position: near_location(business, share.LOCATION_CONTACTS.parent(position)),
        came,
    ),
    "employees": Story(staff),
    "technicians": Story(staff),
    "payroll_settings": Story(settings),
}
