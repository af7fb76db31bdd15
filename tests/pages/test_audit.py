"""The audit page as people use it: in a browser, on a live service."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.pages.conftest import Seat, comes_to_tell, looks_right
from tests.pages.test_mutations_live import Desk

pytestmark = pytest.mark.slow

Open = Callable[..., Page]


def renamed_by_ann(seat: Seat, page: Page, place: int) -> tuple[int, str, str]:
    """Have a customer renamed from here and wait until the log has it; the customer, the mutation's path and the name."""
    desk = Desk(seat, seat.key("read", "mutate", name="Ann"))
    record, name = desk.customer(place)["id"], desk.customer(place)["name"][::-1].strip()
    path = desk.ask("customers", "update", record, {"name": name})
    comes_to_tell(page, f"/audit?entity=customers&record={record}&actor=Ann", f'href="{path}"')
    return record, path, name


def test_a_change_of_ours_is_told_with_what_was_and_who_wanted_it(seat: Seat, open_page: Open):
    """It is found by filters, by keyboard, and leads to its mutation and its customer; what was there stands beside it."""
    page = open_page()
    record, path, name = renamed_by_ann(seat, page, 12)
    page.goto(f"{seat.address}/audit")
    page.get_by_label("Entity", exact=True).select_option("customers")
    page.get_by_label("Who", exact=True).fill("Ann")
    page.get_by_label("Field", exact=True).fill("name")
    page.get_by_label("Record", exact=True).fill(str(record))
    page.get_by_label("Record", exact=True).press("Enter")
    page.wait_for_url("**/audit?entity=customers&record=*&field=name&*actor=Ann*")
    row = page.locator("table.log tbody tr").first
    expect(row.locator(".new")).to_have_text(f"is {name}")
    assert str(row.locator(".when time").get_attribute("datetime")).endswith("+00:00")
    expect(row.get_by_role("link", name="Ann")).to_be_visible()
    looks_right(page, "audit-found")
    row.get_by_role("link", name=str(record)).click()
    page.wait_for_url(f"**/customers/{record}")
    page.go_back()
    row.get_by_role("link", name="mutation").click()
    page.wait_for_url(f"**{path}")


def test_the_log_is_read_page_by_page(seat: Seat, open_page: Open):
    """From the newest to older ones and back; the filters stay, and the address is all that somebody else needs."""
    page = open_page("read")
    page.goto(f"{seat.address}/audit?operation=insert")
    expect(page.get_by_role("heading", name="The newest first")).to_be_visible()
    expect(page.locator("table.log tbody tr")).to_have_count(50)
    looks_right(page, "audit-first")
    page.get_by_role("link", name="Older").click()
    page.wait_for_url("**operation=insert&after=*")
    expect(page.get_by_role("heading", name="Older changes")).to_be_visible()
    expect(page.get_by_label("What happened", exact=True)).to_have_value("insert")
    page.get_by_role("link", name="To the newest").click()
    page.wait_for_url("**/audit?operation=insert")


def test_filters_work_without_scripts(seat: Seat, open_page: Open):
    """They are a form whose answer is an address."""
    page = open_page("read", java_script_enabled=False)
    page.goto(f"{seat.address}/audit")
    page.get_by_label("Entity", exact=True).select_option("customers")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url("**/audit?entity=customers*")
    links = page.locator("table.log td.what a:first-child")
    expect(links.first).to_have_text("customers")
    assert set(links.all_inner_texts()) == {"customers"}
    page.get_by_role("link", name="Clear").click()
    page.wait_for_url("**/audit")


def test_what_finds_nothing_says_so(seat: Seat, open_page: Open):
    """With a way back, and how fields are called."""
    page = open_page("read")
    page.goto(f"{seat.address}/audit?field=nothing")
    expect(page.get_by_text("Nothing that changed matches these filters.")).to_be_visible()
    expect(page.get_by_text("Fields have ServiceTitan's names")).to_be_visible()
    looks_right(page, "audit-nothing")
    page.get_by_role("link", name="Show everything").click()
    page.wait_for_url("**/audit")
