"""Invoices, their items and the payments on them. Amounts are whole cents until they are written."""

from functools import lru_cache
from typing import Any

from sandbox import clock, naming, share
from sandbox.business import REMEMBERED, Business
from sandbox.chance import below, salt
from sandbox.row import Row
from sandbox.stories.story import Near, Story, near_job

SERVICE, QUANTITY, PAID, TAKEN, TYPE = map(salt, ("service", "quantity", "paid", "taken", "paymentType"))
PARTIAL = 7
"""One payment in so many covers half of its invoice only."""
MOST = 3


def money(cents: int) -> str:
    """`149.95`."""
    return f"{cents / 100:.2f}"


def service_of(business: Business, item: int) -> int:
    """The position of the service that an invoice item sells."""
    return below(business.sizes["pricebook_services"], business.number("invoice_items", item), SERVICE)


def quantity_of(business: Business, item: int) -> int:
    """How many are sold: none on a canceled job."""
    job = share.INVOICE_ITEMS.parent(item)
    if job % share.CANCELED_JOBS.parents in share.CANCELED_JOBS.owners:
        return 0
    return 1 + below(MOST, business.number("invoice_items", item), QUANTITY)


@lru_cache(REMEMBERED)
def total(business: Business, invoice: int) -> int:
    """The sum of an invoice's items, in cents."""
    return sum(
        business.price(service_of(business, item)) * quantity_of(business, item)
        for item in share.INVOICE_ITEMS.children(invoice)
    )


def payments_of(business: Business, invoice: int) -> range:
    """The positions of the payments on an invoice."""
    found = share.PAYMENTS.children(invoice)
    return found if invoice < business.sizes["invoices"] else found[:0]


def amount(business: Business, payment: int) -> int:
    """What a payment covers, in cents."""
    due = total(business, share.PAYMENTS.parent(payment))
    return due // 2 if below(PARTIAL, business.number("payments", payment), PAID) == 0 else due


def balance(business: Business, invoice: int) -> int:
    """What an invoice leaves open, in cents."""
    return total(business, invoice) - sum(amount(business, payment) for payment in payments_of(business, invoice))


def paid_on(business: Business, payment: int) -> int:
    """When a payment was taken: within three weeks of the job."""
    number = business.number("payments", payment)
    created = business.job_created(share.PAYMENTS.parent(payment))
    return business.capped(created + clock.HOUR + below(21 * clock.DAY, number, TAKEN), number)


def person(row: Row, name: str) -> dict[str, Any]:
    """The id and name of a record nearby."""
    position = row.near[name]
    return {"id": row.business.ident(name, position), "name": row.business.called(name, position)}


def near_invoice(business: Business, _name: str, position: int) -> Near:
    """The job of an invoice has its position."""
    return near_job(business, position)


def near_item(business: Business, _name: str, position: int) -> Near:
    """The invoice of an item."""
    return near_job(business, share.INVOICE_ITEMS.parent(position))


def near_payment(business: Business, _name: str, position: int) -> Near:
    """The invoice of a payment."""
    return near_job(business, share.PAYMENTS.parent(position))


def invoiced(business: Business, _name: str, position: int, near: Near) -> int:
    """Seconds after the job was booked."""
    return business.capped(business.job_created(near["jobs"]) + 2 * clock.SECOND + position % 977, position)


def settled(business: Business, invoice: int, created: int) -> int:
    """When the last payment came, or when the invoice was made."""
    return max([created, *(paid_on(business, payment) for payment in payments_of(business, invoice))])


def invoice(row: Row) -> dict[str, Any]:
    """Whose, for what, how much and what of it is paid; its items are told elsewhere."""
    business, position = row.business, row.position
    due, left = total(business, position), balance(business, position)
    payments = payments_of(business, position)
    job = row.near["jobs"]
    address = naming.address(business.number("locations", row.near["locations"]))
    address = {name: value for name, value in address.items() if name not in {"latitude", "longitude"}}
    return {
        "referenceNumber": str(row.ident),
        "invoiceDate": clock.midnight(row.created),
        "dueDate": clock.midnight(row.created + 30 * clock.DAY),
        "subTotal": money(due),
        "salesTax": money(0),
        "discountTotal": money(0),
        "total": money(due),
        "balance": money(left),
        "paidOn": clock.stamp(max(paid_on(business, payment) for payment in payments))
        if payments and not left
        else None,
        "customer": person(row, "customers"),
        "customerAddress": address,
        "location": person(row, "locations"),
        "locationAddress": address,
        "job": {"id": business.ident("jobs", job), "number": str(business.ident("jobs", job)), "type": None},
        "adjustmentToId": None,
        "invoiceConfiguration": "JobInvoice",
        "syncStatus": "Exported" if payments else "Pending",
    }


def item(row: Row) -> dict[str, Any]:
    """A sold service at its price."""
    business, position = row.business, row.position
    service, count = service_of(business, position), quantity_of(business, position)
    price = business.price(service)
    return {
        "invoiceId": business.ident("invoices", share.INVOICE_ITEMS.parent(position)),
        "type": "Service",
        "skuId": business.ident("pricebook_services", service),
        "skuName": naming.sku(service),
        "displayName": naming.sku(service),
        "quantity": f"{count}.00",
        "price": money(price),
        "total": money(price * count),
        "cost": money(price // 3),
        "totalCost": money(price // 3 * count),
        "order": position - share.INVOICE_ITEMS.children(share.INVOICE_ITEMS.parent(position))[0] + 1,
    }


def payment(row: Row) -> dict[str, Any]:
    """A payment that is applied to its invoice in full."""
    business, position = row.business, row.position
    owed = business.ident("invoices", row.near["invoices"])
    covered, when = money(amount(business, position)), clock.stamp(row.created)
    applied = {
        "appliedAmount": covered,
        "appliedBy": business.called("employees", row.position_of("employees", TAKEN)),
        "appliedId": row.ident + business.sizes["payments"],
        "appliedOn": when,
        "appliedTo": owed,
        "appliedToReferenceNumber": str(owed),
    }
    return {
        "appliedTo": [applied],
        "customer": person(row, "customers"),
        "date": clock.midnight(row.created),
        "total": covered,
        "unappliedAmount": money(0),
        "refundedPaymentId": None,
        "type": row.name_of("payment_types", TYPE),
        "typeId": str(row.id_of("payment_types", TYPE)),
    }


def taken(business: Business, _name: str, position: int, _near: Near) -> int:
    """When the payment was taken."""
    return paid_on(business, position)


STORIES = {
    "invoices": Story(invoice, near_invoice, invoiced, settled),
    "invoice_items": Story(item, near_item, invoiced),
    "payments": Story(payment, near_payment, taken),
}
