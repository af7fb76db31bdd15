"""The pages of customers in a browser, against what the sandbox's ServiceTitan has."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

from tests.pages.conftest import NARROW, WIDE, Seat, shoot, sign_in

pytestmark = pytest.mark.slow
Open = Callable[..., Page]
SOON = 60_000  # milliseconds, on a busy machine
EDITED, HELD_BACK, LEFT = 11, 12, 13  # customers that one test each has to itself, by their place


def customers(seat: Seat) -> list[dict[str, Any]]:
    """All customers who are in use."""
    return [one for one in seat.sandbox.records("customers") if one["active"]]


def of(seat: Seat, entity: str, key: int) -> list[dict[str, Any]]:
    """An entity's records of a customer."""
    found = seat.sandbox.records(entity)
    return [one for one in found if key in {one.get("customerId"), (one.get("customer") or {}).get("id")}]


def busiest(seat: Seat) -> dict[str, Any]:
    """The customer with the most events."""
    kinds = ("jobs", "estimates", "invoices")
    return max(customers(seat), key=lambda one: sum(len(of(seat, kind, one["id"])) for kind in kinds))


def card(page: Page, name: str) -> Locator:
    """A part of the page by its heading."""
    return page.get_by_role("region", name=name, exact=True)


@contextmanager
def spoken(browser: Browser, seat: Seat, *scopes: str, **more: Any) -> Iterator[Page]:
    """A page that may be answered with an error, which browsers speak of."""
    context = browser.new_context(viewport={"width": WIDE[0], "height": WIDE[1]}, **more)
    page = context.new_page()
    sign_in(page, seat.address, seat.key(*scopes))
    yield page
    context.close()


def test_a_search_answers_as_one_types_and_opens_by_keyboard(seat: Seat, open_page: Open):
    """The address keeps what was typed; arrow keys go through what is found and back, Enter opens."""
    wanted = customers(seat)[3]
    page = open_page("read")
    page.goto(f"{seat.address}/customers")
    expect(page.get_by_role("status")).to_have_text("Changed last in ServiceTitan")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type(wanted["name"])
    link = page.get_by_role("link", name=wanted["name"]).first
    expect(page.get_by_role("status")).to_contain_text(f"“{wanted['name']}”")
    expect(link).to_have_attribute("href", f"/customers/{wanted['id']}")
    assert "search=" in page.url
    page.keyboard.press("ArrowDown")
    expect(link).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(wanted["name"])
    page.go_back()
    expect(page.get_by_role("searchbox")).to_have_value(wanted["name"])
    expect(link).to_be_visible()


def test_a_customer_is_found_by_phone_e_mail_street_and_id(seat: Seat, open_page: Open):
    """Whatever signs stand in the number; the newest search is what one sees."""
    page = open_page("read")
    contacts = seat.sandbox.records("customer_contacts")
    wanted = next(
        one
        for one in customers(seat)
        if {each["type"] for each in contacts if each["customerId"] == one["id"] and each["active"]}
        >= {"Email", "MobilePhone"}
    )
    own = [each for each in contacts if each["customerId"] == wanted["id"] and each["active"]]
    email = max((each for each in own if each["type"] == "Email"), key=lambda each: each["modifiedOn"])
    phone = max((each for each in own if each["type"] == "MobilePhone"), key=lambda each: each["modifiedOn"])
    page.goto(f"{seat.address}/customers")
    for text in (
        email["value"],
        "".join(filter(str.isdigit, phone["value"])),
        wanted["address"]["street"][:10],
        str(wanted["id"]),
    ):
        page.get_by_role("searchbox").fill(text)
        expect(page.get_by_role("status")).to_contain_text(f"“{text}”")
        expect(page.get_by_role("link", name=wanted["name"]).first).to_be_visible()
    page.get_by_role("searchbox").fill("nobody is called <i>this</i>")
    expect(page.get_by_role("status")).to_have_text("No customer matches “nobody is called <i>this</i>”")
    shoot(page, "customers-none")


def test_everything_can_be_read_without_javascript(seat: Seat, open_page: Open):
    """The search is a form, a customer is a page, and its time line has links."""
    wanted = busiest(seat)
    page = open_page("read", java_script_enabled=False)
    page.goto(f"{seat.address}/customers")
    page.get_by_role("searchbox").fill(wanted["name"])
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name=wanted["name"]).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(wanted["name"])
    card(page, "Time line").get_by_role("link", name="Invoices").click()
    expect(page).to_have_url(f"{seat.address}/customers/{wanted['id']}?kind=invoice#timeline")
    expect(card(page, "Time line").get_by_role("listitem")).to_have_count(
        min(20, len(of(seat, "invoices", wanted["id"])))
    )


def test_a_customer_stands_on_one_page(seat: Seat, open_page: Open):
    """Who it is, how to reach it, what it is worth, what was done, offered and billed: as ServiceTitan has it."""
    wanted = busiest(seat)
    key, page = wanted["id"], open_page("read")
    page.goto(f"{seat.address}/customers/{key}")
    identity = card(page, "Customer")
    expect(identity).to_contain_text(wanted["address"]["street"])
    expect(identity).to_contain_text(wanted["address"]["zip"])
    tags = {one["id"]: one["name"] for one in seat.sandbox.records("tag_types")}
    for tag in wanted["tagTypeIds"]:
        expect(identity).to_contain_text(tags[tag])
    for one in of(seat, "customer_contacts", key):
        if one["active"]:
            expect(card(page, "Contacts").get_by_role("link", name=one["value"]).first).to_be_visible()
    for one in of(seat, "locations", key):
        expect(card(page, "Locations")).to_contain_text(one["address"]["street"])
    billed = [one for one in of(seat, "invoices", key) if one["active"]]
    value = sum(round(float(one["total"]) * 100) for one in billed) / 100
    stats = page.locator("dl.stats")
    expect(stats).to_contain_text(f"{value:,.2f}".replace(",", "\u202f"))
    expect(stats).to_contain_text(f"of {len(billed)} invoice")
    is_open = [one for one in of(seat, "estimates", key) if one["status"]["name"] == "Open" and one["active"]]
    expect(card(page, "Open estimates").get_by_role("listitem")).to_have_count(len(is_open))
    expect(card(page, "History of changes").get_by_role("listitem").filter(has_text="customer").first).to_be_visible()


def test_the_time_line_is_whole_in_pages(seat: Seat, open_page: Open):
    """Every job, estimate and invoice once, each kind by itself too; the address names the page that one sees."""
    wanted = busiest(seat)
    kinds = {"job": "jobs", "estimate": "estimates", "invoice": "invoices"}
    page = open_page("read")
    page.goto(f"{seat.address}/customers/{wanted['id']}")
    line = card(page, "Time line")
    seen: Counter[str] = Counter()
    while True:
        seen.update(line.locator("ol .kind").all_inner_texts())
        older = line.get_by_role("link", name="Older")
        if not older.count():
            break
        number = len(seen) and page.url
        older.press("Enter")
        expect(page).not_to_have_url(str(number))
        expect(line.get_by_role("link", name="Newer")).to_be_visible()
    assert seen == {kind: len(of(seat, entity, wanted["id"])) for kind, entity in kinds.items()}
    line.get_by_role("link", name="Jobs").press("Enter")
    expect(line.get_by_role("link", name="Jobs")).to_have_attribute("aria-current", "true")
    expect(line.locator("ol .kind")).to_have_text(["job"] * min(20, seen["job"]))
    assert page.url.endswith("?kind=job")


def test_an_edit_goes_from_the_form_through_the_queue_into_the_copy(seat: Seat, open_page: Open):
    """Looked at first; then the page shows it by itself, and the history says who did it by which mutation."""
    wanted = customers(seat)[EDITED]
    page = open_page("read", "mutate", name="Ann of the office")
    page.goto(f"{seat.address}/customers/{wanted['id']}")
    page.get_by_role("link", name="Edit customer").press("Enter")
    page.get_by_label("Name").fill("Renamed Customer")
    page.get_by_label("City").fill("Newtown")
    shoot(page, "customers-edit-wide")
    page.get_by_role("button", name="Look at the preview").click()
    differs = card(page, "What differs")
    expect(differs.get_by_role("heading", level=3)).to_have_text(["Name", "Address: city"])
    for text in (wanted["name"], "Renamed Customer", wanted["address"]["city"], "Newtown", "no approval needed"):
        expect(differs).to_contain_text(text)
    shoot(page, "customers-preview-wide")
    page.get_by_role("button", name="Back to the form").click()
    expect(page.get_by_label("City")).to_have_value("Newtown")
    page.get_by_role("button", name="Look at the preview").click()
    page.get_by_role("button", name="Queue this change").dblclick()
    page.wait_for_url(f"{seat.address}/mutations/*")
    ident = page.url.rpartition("/")[2]
    page.goto(f"{seat.address}/customers/{wanted['id']}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Renamed Customer", timeout=SOON)
    expect(card(page, "Customer")).to_contain_text("Newtown")
    newest = card(page, "History of changes").locator("ol.changes > li").first
    expect(newest).to_contain_text(f"Ann of the office by mutation {ident} changed", timeout=SOON)
    expect(newest.get_by_role("link")).to_have_attribute("href", f"/mutations/{ident}")
    expect(newest).to_contain_text("Newtown")
    [there] = [one for one in seat.sandbox.records("customers") if one["id"] == wanted["id"]]
    assert (there["name"], there["address"]["city"]) == ("Renamed Customer", "Newtown")
    assert there["address"]["street"] == wanted["address"]["street"]
    shoot(page, "customers-changed-wide")


def test_what_changed_there_meanwhile_is_seen_before_it_is_queued(seat: Seat, open_page: Open):
    """The preview asks ServiceTitan, and says that the change would come to a conflict."""
    wanted = customers(seat)[HELD_BACK]
    page = open_page("read", "mutate")
    page.goto(f"{seat.address}/customers/{wanted['id']}/edit")
    seat.sandbox.change("customers", wanted["id"], name="Changed There")
    page.get_by_label("Name").fill("Changed Here")
    page.get_by_role("button", name="Look at the preview").click()
    expect(page.get_by_role("alert")).to_contain_text("comes to a conflict")
    for text in (wanted["name"], "Changed There", "Changed Here"):
        expect(card(page, "What differs")).to_contain_text(text)
    shoot(page, "customers-conflict-wide")


def test_a_wrong_value_is_refused_and_stays_in_the_form(seat: Seat, browser: Browser):
    """So does everything else that was typed; an edit that changes nothing is told to be none."""
    wanted = customers(seat)[LEFT]
    with spoken(browser, seat) as page:
        page.goto(f"{seat.address}/customers/{wanted['id']}/edit")
        page.get_by_role("button", name="Look at the preview").click()
        expect(page.get_by_role("alert")).to_contain_text("Nothing differs")
        page.get_by_label("Credit limit", exact=True).fill("plenty")
        page.get_by_label("Name").fill("<b>Kept</b>")
        page.get_by_role("button", name="Look at the preview").click()
        expect(page.get_by_role("alert")).to_contain_text("Credit limit: plenty is not a number.")
        expect(page.get_by_label("Credit limit", exact=True)).to_have_value("plenty")
        expect(page.get_by_label("Credit limit", exact=True)).to_have_attribute("aria-invalid", "true")
        expect(page.get_by_label("Name")).to_have_value("<b>Kept</b>")
        shoot(page, "customers-refused-wide")


def test_who_may_only_read_is_told_why_there_is_no_button(seat: Seat, open_page: Open):
    """And the form's address is closed to them."""
    page = open_page("read")
    page.goto(f"{seat.address}/customers/{customers(seat)[0]['id']}")
    expect(page.get_by_text("Editing needs a key with the scope mutate; this one has read.")).to_be_visible()
    expect(page.get_by_role("link", name="Edit customer")).to_have_count(0)
    assert page.request.get(f"{page.url}/edit").status == 403


def test_a_merged_customer_leads_to_the_other_and_one_that_never_was_is_not_found(seat: Seat, open_page: Open):
    """Who is inactive keeps a page."""
    page = open_page("read")
    gone = next(one for one in seat.sandbox.records("customers") if not one["active"])
    page.goto(f"{seat.address}/customers/{gone['id']}")
    expect(page.get_by_text("inactive", exact=True).first).to_be_visible()
    shoot(page, "customers-merged-wide")
    page.get_by_role("link", name=f"customer {gone['mergedToId']}").click()
    expect(page).to_have_url(f"{seat.address}/customers/{gone['mergedToId']}")
    for key in ("1", "none", "9" * 40):
        found = page.request.get(f"{seat.address}/customers/{key}")
        assert (found.status, "The copy has no customer" in found.text()) == (404, True)


@pytest.mark.parametrize(("size", "dark"), [(WIDE, False), (WIDE, True), (NARROW, False), (NARROW, True)])
def test_pages_fit_and_can_be_used_by_everybody(seat: Seat, open_page: Open, size: tuple[int, int], *, dark: bool):
    """At both widths and in both schemes: nothing is beside the screen, and axe-core finds nothing."""
    axe = Axe()
    page, key = open_page(width=size, dark=dark), busiest(seat)["id"]
    kind = f"{'wide' if size == WIDE else 'narrow'}-{'dark' if dark else 'light'}"
    for name, path in (("search", "?search=a"), ("empty", ""), ("one", f"/{key}"), ("edit", f"/{key}/edit")):
        page.goto(f"{seat.address}/customers{path}")
        if name == "search":
            page.get_by_role("searchbox").press("ArrowDown")
        shoot(page, f"customers-{name}-{kind}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        found = axe.run(page)
        assert found.violations_count == 0, found.generate_report()
    page.get_by_label("City").fill("Newtown")
    page.get_by_role("button", name="Look at the preview").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Preview of the change")
    shoot(page, f"customers-preview-{kind}")
    assert axe.run(page).violations_count == 0
