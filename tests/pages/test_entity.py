"""The pages of entities in a browser: what people see, and what happens when they ask for a read."""

import re
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from store.operations import open_operations
from tests.pages.conftest import NARROW, WIDE, Seat, looks_right, shoot, sign_in

pytestmark = pytest.mark.slow
Open = Callable[..., Page]
FAR = 60_000  # milliseconds in which a read that was asked for must have come to its end


def newest_run(page: Page) -> str:
    """When the newest read of the table began."""
    return page.locator(".runs tbody tr time").first.get_attribute("datetime") or ""


def ask(page: Page, button: str, what: str) -> None:
    """Press a button by keyboard; the page says that it is asked for, and then, by itself, that it is done."""
    before = newest_run(page)
    page.get_by_role("button", name=button).press("Enter")
    top = page.locator(".runs tbody tr").first
    expect(top.locator("time")).not_to_have_attribute("datetime", before, timeout=FAR)
    expect(top).to_contain_text(what, timeout=FAR)
    expect(top).to_contain_text("completed", timeout=FAR)
    expect(page.get_by_text("asked for")).to_have_count(0, timeout=FAR)


def test_one_finds_an_entity_by_its_table(seat: Seat, open_page: Open):
    """By text, by state and by module; with `/` one is at the search at once."""
    page = open_page("read")
    page.goto(f"{seat.address}/entities")
    looks_right(page, "entities")
    page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})
    page.keyboard.press("/")
    page.keyboard.type("customer con")
    page.keyboard.press("Enter")
    page.wait_for_url("**/entities?q=customer+con")
    expect(page.get_by_role("rowheader", name=re.compile("custom"))).to_have_text(["customer_contacts"])
    page.get_by_role("navigation", name="States").get_by_role("link", name="never").click()
    expect(page.get_by_text("None of the 176 entities fits")).to_be_visible()
    page.get_by_role("link", name="Show all").click()
    page.get_by_role("navigation", name="Modules").get_by_role("link", name="telecom").press("Enter")
    page.get_by_role("link", name="calls_v2").click()
    expect(page.get_by_role("heading", name="calls_v2", level=1)).to_be_visible()
    page.get_by_role("navigation", name="Where this page stands").get_by_role("link", name="telecom").click()
    expect(page.get_by_role("rowheader", name=re.compile("calls"))).to_have_text(["calls", "calls_v2"])


def test_a_page_tells_all_of_an_entity(seat: Seat, open_page: Open):
    """And looks right; a customer leads to its page."""
    page = open_page()
    page.goto(f"{seat.address}/entities/customers")
    expect(page.get_by_text("fresh", exact=True)).to_be_visible()
    expect(page.get_by_text("no gap")).to_be_visible()
    row = page.locator(".fields tr", has=page.get_by_role("rowheader", name="mergedToId"))
    expect(row).to_contain_text(re.compile(r"merged_to_id BIGINT"))
    expect(row.locator(".portion")).to_contain_text("%")
    looks_right(page, "entity-customers")
    for name in ("invoices", "report_data", "booking_contacts"):
        page.goto(f"{seat.address}/entities/{name}")
        looks_right(page, f"entity-{name}")
    page.goto(f"{seat.address}/entities/jobs")
    link = page.locator("a[href^='/customers/']").first
    key = link.inner_text()
    link.click()
    page.wait_for_url(f"**/customers/{key}")


def test_a_read_that_is_asked_for_is_followed(seat: Seat, open_page: Open):
    """A sync, a full read and a reconciliation, without loading the page again."""
    page = open_page()
    page.goto(f"{seat.address}/entities/campaigns")
    ask(page, "Sync now", "Sync")
    ask(page, "Full read", "Full read")
    ask(page, "Reconcile", "Reconciliation")
    page.reload()
    expect(page.get_by_text("ServiceTitan showed")).to_be_visible()
    looks_right(page, "entity-reconciled")


def test_trouble_stands_where_one_looks(seat: Seat, open_page: Open):
    """A failed read, a gap, drift and a wish that nobody grants."""
    now = datetime.now(UTC)
    with closing(open_operations(seat.settings)) as operations:
        for number in range(24):
            begun, is_bad = now - timedelta(minutes=24 - number), number in {5, 23}
            ident, known = f"trouble-{begun}", {"tenant_id": 9, "entity": "estimates"}
            operations.run("start_batch", sync_batch_id=ident, **known, started_at=begun, feed="export")
            counts = dict.fromkeys(("unchanged", "bytes", "repaired", "pages"), 0) | {"retries": 4 * is_bad}
            told = {"fetched": 0 if is_bad else 40 + number, "appended": 0 if is_bad else number, "requests": 3}
            covered = {"covered_from": f"token {number}", "covered_to": None if is_bad else f"token {number + 1}"}
            ended = {"finished_at": begun + timedelta(seconds=2.4), "status": "failed" if is_bad else "completed"}
            error = f"ServiceTitan gave no usable answer. {'The last one was 503 Service Unavailable. ' * 6}"
            values = counts | told | covered | ended | {"error": error if is_bad else None}
            operations.run("finish_batch", sync_batch_id=ident, **values)
        for path, kind, detail in (("reviewStatus", "retyped", "string -> integer"), ("surcharge", "added", "number")):
            operations.run("note_drift", **known, path=path, kind=kind, detail=detail, records=12, now=now)
        operations.run("wish", **known, work="full", wished_at=now - timedelta(minutes=5))
    page = open_page()
    page.context.clear_cookies()
    sign_in(page, seat.address, seat.key(tenant=9))
    page.goto(f"{seat.address}/entities/estimates")
    for text in ("failing", "gap", "nobody has begun it", "another type", "not in the field registry"):
        expect(page.get_by_text(text).first).to_be_visible()
    page.locator(".runs summary").first.press("Enter")
    page.get_by_text("The chain of reads").press("Enter")
    looks_right(page, "entity-trouble")
    page.get_by_role("link", name="Older reads").click()
    expect(page.locator(".runs tbody tr")).to_have_count(4)
    looks_right(page, "entity-runs")


def test_without_scripts_all_can_be_read_and_asked_for(seat: Seat, open_page: Open):
    """The page shows what is asked for; whoever may not ask sees why."""
    page = open_page(java_script_enabled=False)
    page.goto(f"{seat.address}/entities/tag_types")
    page.get_by_role("button", name="Full read").click()
    page.wait_for_url("**/entities/tag_types")
    expect(page.get_by_text(re.compile("asked for Full read|under way|Full read"))).not_to_have_count(0)
    expect(page.locator("time").first).to_have_text(re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d$"))
    reader = open_page("read", width=NARROW)
    reader.goto(f"{seat.address}/entities/tag_types")
    for name, scope in (("Sync now", "mutate"), ("Full read", "admin"), ("Reconcile", "admin")):
        expect(reader.get_by_role("button", name=name)).to_be_disabled()
        expect(reader.get_by_text(f"Needs a key with the scope {scope}.").first).to_be_visible()
    shoot(reader, "entity-reader-narrow-light")
