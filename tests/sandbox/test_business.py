"""The records of different entities agree with each other."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from sandbox.server import Sandbox

Records = dict[int, dict[str, Any]]


def by_id(sandbox: Sandbox, name: str) -> Records:
    return {record["id"]: record for record in sandbox.records(name)}


def test_a_job_is_done_at_a_location_of_its_customer(sandbox: Sandbox) -> None:
    """Job, customer and location belong together, and so do a job's first and last appointments."""
    customers, locations, jobs = (by_id(sandbox, name) for name in ("customers", "locations", "jobs"))
    appointments = by_id(sandbox, "appointments")
    for job in jobs.values():
        assert job["customerId"] in customers
        assert locations[job["locationId"]]["customerId"] == job["customerId"]
        own = [ident for ident, one in appointments.items() if one["jobId"] == job["id"]]
        assert [min(own), max(own), len(own)] == [
            job["firstAppointmentId"],
            job["lastAppointmentId"],
            job["appointmentCount"],
        ]


def test_dates_follow_each_other(sandbox: Sandbox) -> None:
    """A customer comes before the job, the job before its appointments and its completion."""
    customers, jobs = by_id(sandbox, "customers"), by_id(sandbox, "jobs")
    for job in jobs.values():
        assert customers[job["customerId"]]["createdOn"] <= job["createdOn"] <= job["modifiedOn"]
        assert (job["completedOn"] is not None) == (job["jobStatus"] == "Completed")
        assert job["completedOn"] is None or job["createdOn"] < job["completedOn"] <= job["modifiedOn"]
    for appointment in sandbox.records("appointments"):
        job = jobs[appointment["jobId"]]
        assert job["createdOn"] < appointment["start"] < appointment["end"]
        assert job["completedOn"] is None or appointment["end"] <= job["completedOn"]


def test_an_invoice_is_the_sum_of_its_items(sandbox: Sandbox) -> None:
    """Items shown in an invoice are the exported ones; totals and balances add up."""
    items = by_id(sandbox, "invoice_items")
    paid: dict[int, Decimal] = {}
    for payment in sandbox.records("payments"):
        (applied,) = payment["appliedTo"]
        paid[applied["appliedTo"]] = Decimal(applied["appliedAmount"])
    for invoice in sandbox.records("invoices"):
        own = [items[item["id"]] for item in invoice["items"]]
        assert {item["invoiceId"] for item in own} == {invoice["id"]}
        total = sum(Decimal(item["quantity"]) * Decimal(item["price"]) for item in own)
        assert Decimal(invoice["total"]) == total
        assert Decimal(invoice["balance"]) == total - paid.get(invoice["id"], Decimal(0))


def test_a_customer_owes_what_the_invoices_leave_open(sandbox: Sandbox) -> None:
    """A customer's balance is the sum of the balances of all invoices, deleted jobs included."""
    owed: dict[int, Decimal] = {}
    for invoice in sandbox.records("invoices"):
        ident = invoice["customer"]["id"]
        owed[ident] = owed.get(ident, Decimal(0)) + Decimal(invoice["balance"])
    for customer in sandbox.records("customers"):
        assert Decimal(str(customer["balance"])) == owed.get(customer["id"], Decimal(0))


def test_only_sold_estimates_are_sold(sandbox: Sandbox) -> None:
    """Sold estimates have a seller and a date, others have none; items are the listed ones."""
    jobs, items = by_id(sandbox, "jobs"), by_id(sandbox, "estimate_items")
    estimates = sandbox.records("estimates")
    for estimate in estimates:
        is_sold = estimate["status"]["name"] == "Sold"
        assert (estimate["soldOn"] is not None, estimate["soldBy"] is not None) == (is_sold, is_sold)
        assert estimate["id"] in jobs[estimate["jobId"]]["estimateIds"]
        assert sum(items[item["id"]]["total"] for item in estimate["items"]) == pytest.approx(estimate["subtotal"])
    assert {estimate["status"]["name"] for estimate in estimates} == {"Open", "Sold", "Dismissed"}


def test_stopped_jobs_have_reasons(sandbox: Sandbox) -> None:
    """Exactly the canceled and the held jobs have one."""
    jobs = sandbox.records("jobs")
    for name, status in (("job_cancel_reasons_by_job", "Canceled"), ("job_hold_reasons_by_job", "Hold")):
        reasons = {reason["jobId"] for reason in sandbox.records(name)}
        assert reasons == {job["id"] for job in jobs if job["jobStatus"] == status}


def test_the_same_call_looks_alike_in_both_versions(sandbox: Sandbox) -> None:
    """The second and the third version of the telephone API tell of the same calls."""
    old = {call["id"] for call in sandbox.records("calls_v2")}
    assert old == {call["leadCall"]["id"] for call in sandbox.records("calls")}


@pytest.mark.parametrize("customers", [2, 13, 50])
def test_references_resolve(customers: int) -> None:
    """Whatever the size of the business, core references lead to records."""
    sandbox = Sandbox(customers=customers)
    idents = {name: set(by_id(sandbox, name)) for name in ("customers", "locations", "jobs", "invoices", "technicians")}
    assert len(idents["customers"]) == customers
    for job in sandbox.records("jobs"):
        assert job["customerId"] in idents["customers"]
        assert job["locationId"] in idents["locations"]
        assert job["invoiceId"] in idents["invoices"]
    for rating in sandbox.records("technician_ratings"):
        assert rating["technicianId"] in idents["technicians"]
        assert rating["jobId"] in idents["jobs"]


def test_a_seed_and_a_day_give_the_same_data() -> None:
    """Data depend on the seed and the day, and on nothing else."""
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    first, again, other = (Sandbox(seed=seed, today=noon).records("jobs") for seed in (5, 5, 6))
    assert first == again != other


def test_nothing_is_younger_than_today() -> None:
    """Creation and modification lie before the day's midnight, over three years and up to yesterday."""
    records = Sandbox(customers=300, today=datetime(2026, 3, 1, 12, tzinfo=UTC)).records("jobs")
    assert max(record["modifiedOn"] for record in records) <= "2026-03-01T00:00:00.0000000Z"
    days = sorted(record["createdOn"][:10] for record in records)
    assert days[0] < "2023-12"
    assert days[-1] > "2026-02-20"


def test_customers_are_at_every_stage(sandbox: Sandbox) -> None:
    """Some were served lately, some long ago, some never."""
    latest: dict[int, str] = {}
    for job in sandbox.records("jobs"):
        latest[job["customerId"]] = max(latest.get(job["customerId"], ""), job["createdOn"])
    years = {moment[:4] for moment in latest.values()}
    assert len(years) > 1
    assert len(latest) < len(sandbox.records("customers"))


def test_data_are_as_awkward_as_real_ones(sandbox: Sandbox) -> None:
    """Other scripts and emoji, a few inactive records, and nulls where the documents promise values."""
    customers, locations = sandbox.records("customers"), sandbox.records("locations")
    assert not "".join(record["name"] for record in customers + locations).isascii()
    inactive = sum(not record["active"] for record in customers + locations)
    assert 0 < inactive < len(customers + locations) / 10
    assert any(record["customFields"] is None for record in customers + locations)
    assert any(record["externalData"] is None for record in customers)
