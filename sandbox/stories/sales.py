"""Estimates and what they offer; memberships."""

from typing import Any

from sandbox import clock, naming, share
from sandbox.business import Business
from sandbox.chance import below, salt
from sandbox.row import Row
from sandbox.stories.story import Near, Story, near_job

SERVICE, QUANTITY, STATE, OFFERED, DECIDED, SELLER, CANCELED = map(
    salt, ("offer", "offers", "state", "offered", "decided", "soldBy", "canceled")
)
MOST = 3
STATES = ((5, 1, "Sold"), (8, 0, "Open"), (10, 2, "Dismissed"))
"""Of ten estimates, up to which one an estimate is in which state."""


def state(business: Business, estimate: int) -> tuple[int, str]:
    """The status of an estimate, as number and word."""
    place = below(10, business.number("estimates", estimate), STATE)
    return next((value, name) for limit, value, name in STATES if place < limit)


def offered(business: Business, _name: str, position: int, near: Near) -> int:
    """Within two days of the job."""
    number = business.number("estimates", position)
    return business.capped(business.job_created(near["jobs"]) + below(2 * clock.DAY, number, OFFERED), number)


def decided(business: Business, estimate: int, created: int) -> int:
    """When the customer decided; open estimates were last touched when they were made."""
    if not state(business, estimate)[0]:
        return created
    number = business.number("estimates", estimate)
    return max(created, business.capped(created + below(10 * clock.DAY, number, DECIDED), number))


def offer(business: Business, item: int) -> tuple[int, int, int]:
    """The service of an estimate item by position, how many, and the price of one in cents."""
    number = business.number("estimate_items", item)
    service = below(business.sizes["pricebook_services"], number, SERVICE)
    return service, 1 + below(MOST, number, QUANTITY), business.price(service)


def subtotal(business: Business, estimate: int) -> int:
    """The sum of an estimate's items, in cents."""
    offers = (offer(business, item) for item in share.ESTIMATE_ITEMS.children(estimate))
    return sum(count * price for _, count, price in offers)


def estimate(row: Row) -> dict[str, Any]:
    """An offer made on a job; its items are told elsewhere."""
    business = row.business
    value, name = state(business, row.position)
    job = business.ident("jobs", row.near["jobs"])
    is_sold = name == "Sold"
    return {
        "jobId": job,
        "jobNumber": str(job),
        "customerId": business.ident("customers", row.near["customers"]),
        "locationId": business.ident("locations", row.near["locations"]),
        "status": {"value": value, "name": name},
        "name": naming.sku(offer(business, share.ESTIMATE_ITEMS.children(row.position)[0])[0]),
        "soldOn": clock.stamp(decided(business, row.position, row.created)) if is_sold else None,
        "soldBy": row.id_of("technicians", SELLER) if is_sold else None,
        "subtotal": subtotal(business, row.position) / 100,
        "tax": 0.0,
    }


def near_estimate(business: Business, _name: str, position: int) -> Near:
    """The job of an estimate."""
    return near_job(business, share.ESTIMATES.parent(position)) | {"estimates": position}


def near_item(business: Business, _name: str, position: int) -> Near:
    """The estimate of an item and its job."""
    return near_estimate(business, "estimates", share.ESTIMATE_ITEMS.parent(position))


def item_made(business: Business, _name: str, _position: int, near: Near) -> int:
    """With its estimate."""
    return offered(business, "estimates", near["estimates"], near)


def item(row: Row) -> dict[str, Any]:
    """An offered service at its price."""
    business = row.business
    service, count, price = offer(business, row.position)
    account = row.position_of("gl_accounts", SERVICE)
    sku = {
        "id": business.ident("pricebook_services", service),
        "name": naming.sku(service),
        "displayName": naming.sku(service),
        "type": "Service",
        "soldHours": 1.0 + service % 8 / 2,
        "generalLedgerAccountId": business.ident("gl_accounts", account),
        "generalLedgerAccountName": business.called("gl_accounts", account),
        "modifiedOn": clock.stamp(row.created),
    }
    return {
        "sku": sku,
        "skuAccount": sku["generalLedgerAccountName"],
        "qty": count,
        "unitRate": price / 100,
        "total": price * count / 100,
        "unitCost": price // 3 / 100,
        "totalCost": price // 3 * count / 100,
        "invoiceItemId": None,
    }


def service(row: Row) -> dict[str, Any]:
    """A service of the price book at the price at which it is sold."""
    name = naming.sku(row.position)
    return {"code": f"S{row.position + 1:04}", "displayName": name, "price": row.business.price(row.position) / 100}


def membership(row: Row) -> dict[str, Any]:
    """A year's membership, with the status that follows from its dates."""
    end = row.created + 365 * clock.DAY
    is_canceled = row.chance(10, CANCELED) == 0
    status = "Canceled" if is_canceled else "Active" if end > row.business.horizon else "Expired"
    return {
        "from": clock.midnight(row.created),
        "to": clock.midnight(end),
        "status": status,
        "cancellationDate": clock.midnight(row.modified) if is_canceled else None,
    }


STORIES = {
    "estimates": Story(estimate, near_estimate, offered, decided),
    "estimate_items": Story(item, near_item, item_made),
    "pricebook_services": Story(service),
    "memberships": Story(membership),
}
