"""The pages of mutations as people use them: in a browser, against a live service and its sandbox."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.pages.conftest import NARROW, Seat, looks_right

pytestmark = pytest.mark.slow

PATH = "/api/v1/mutations"
FAR = 90_000  # milliseconds until what runs by itself must be seen
Open = Callable[..., Page]


@dataclass
class Desk:
    """Ann's: she asks for changes by the API."""

    seat: Seat
    key: str

    def ask(self, entity: str, operation: str, record: Any, payload: Any) -> str:
        """Queues a change; the path of its page."""
        asked = {"entity_type": entity, "operation": operation, "entity_id": record, "payload": payload}
        found = httpx.post(f"{self.seat.address}{PATH}", json=asked, headers={"x-api-key": self.key})
        assert found.status_code == 201, found.text
        return f"/mutations/{found.json()['data']['mutation_id']}"

    def decide(self, path: str, word: str) -> None:
        """As somebody else does, by the API."""
        key = self.seat.key(name="Dan")
        assert httpx.post(f"{self.seat.address}/api/v1{path}/{word}", headers={"x-api-key": key}).status_code == 200

    def customer(self, place: int) -> dict[str, Any]:
        """A customer as ServiceTitan has it; each test has its own."""
        return [one for one in self.seat.sandbox.records("customers") if one["active"]][place]

    def sell(self, place: int) -> str:
        """Asks for what somebody else must approve."""
        records = [one for one in self.seat.sandbox.records("estimates") if one["status"]["name"] == "Open"]
        seller = self.seat.sandbox.records("technicians")[0]["id"]
        return self.ask("estimates", "sell", records[place]["id"], {"soldBy": seller})

    def conflict(self, place: int) -> tuple[str, int]:
        """Asks for a name that somebody else changes there; the page's path and the customer."""
        record = self.customer(place)
        self.seat.sandbox.change("customers", record["id"], name=f"Theirs {place}", type="Commercial")
        return self.ask("customers", "update", record["id"], {"name": f"Mine {place}", "doNotMail": True}), record["id"]

    def name_of(self, key: int) -> str:
        """A customer's name in ServiceTitan."""
        [name] = [one["name"] for one in self.seat.sandbox.records("customers") if one["id"] == key]
        return str(name)


@pytest.fixture
def ann(seat: Seat) -> Desk:
    """Somebody who asks for changes."""
    return Desk(seat, seat.key("read", "mutate", name="Ann"))


def reaches(page: Page, state: str) -> None:
    """The open page comes to show a state, without being loaded again."""
    expect(page.locator("h1 .chip")).to_have_text(state, timeout=FAR)


def test_somebody_else_approves_a_change(seat: Seat, open_page: Open, ann: Desk):
    """By keyboard, from the list on; the open page follows until the copy has it. Ann herself sees why she cannot."""
    path = ann.sell(0)
    own = open_page(name="Ann")
    own.goto(f"{seat.address}{path}")
    expect(own.get_by_role("button", name="Approve")).to_be_disabled()
    expect(own.get_by_text("Somebody else must approve it").first).to_be_visible()
    page = open_page(name="Bob")
    page.goto(f"{seat.address}/mutations")
    page.get_by_role("link", name="held").click()
    page.get_by_role("link", name=f"Mutation {path.rpartition('/')[2]}", exact=True).press("Enter")
    page.wait_for_url(f"**{path}")
    looks_right(page, "mutation-held")
    page.get_by_role("button", name="Approve").press("Enter")
    page.wait_for_url(f"**{path}?told=1")
    expect(page.get_by_text("Approved, by Bob.")).to_be_visible()
    reaches(page, "completed")
    expect(page.locator(".story").get_by_text("In the copy")).to_be_visible(timeout=2 * FAR)
    for told in ("Queued by Ann", "Approved by Bob", "Sent to ServiceTitan", "Read back"):
        expect(page.locator(".story")).to_contain_text(told)
    reaches(own, "completed")
    expect(own.locator("#now")).to_contain_text("is completed now")
    looks_right(page, "mutation-completed")


def test_a_conflict_is_resolved_with_mine(seat: Seat, open_page: Open, ann: Desk):
    """What is typed while the page looks for news stays; then mine stands there."""
    path, key = ann.conflict(1)
    page = open_page(name="Bob")
    page.goto(f"{seat.address}{path}")
    reaches(page, "conflict")
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="name", exact=True))
    expect(row).to_contain_text("both: conflict")
    expect(row).to_contain_text("Theirs 1")
    expect(row).to_contain_text("Mine 1")
    looks_right(page, "mutation-conflict")
    with page.expect_response("**/now?*"):
        page.get_by_label("Note").fill("The customer called")
    expect(page.get_by_label("Note")).to_have_value("The customer called")
    page.get_by_role("button", name="Mine: send it").click()
    expect(page.get_by_text("Resolved: mine goes over theirs, by Bob.")).to_be_visible()
    reaches(page, "completed")
    expect(page.locator(".story")).to_contain_text("The customer called")
    assert ann.name_of(key) == "Mine 1"


def test_a_conflict_is_resolved_with_theirs(seat: Seat, open_page: Open, ann: Desk):
    """Nothing is sent, also not by Enter in the note."""
    path, key = ann.conflict(2)
    page = open_page(name="Bob")
    page.goto(f"{seat.address}{path}")
    reaches(page, "conflict")
    page.get_by_label("Note").press("Enter")
    page.get_by_role("button", name="Theirs: give it up").click()
    expect(page.get_by_text("Resolved: theirs stays, by Bob.")).to_be_visible()
    reaches(page, "cancelled")
    assert ann.name_of(key) == "Theirs 2"


def test_a_completed_update_is_reverted(seat: Seat, open_page: Open, ann: Desk):
    """By another mutation, whose page follows."""
    record = ann.customer(3)
    path = ann.ask("customers", "update", record["id"], {"name": "For a moment"})
    page = open_page(name="Bob")
    page.goto(f"{seat.address}{path}")
    reaches(page, "completed")
    assert ann.name_of(record["id"]) == "For a moment"
    page.get_by_role("button", name="Revert").click()
    expect(page.get_by_text(f"that mutation {path.rpartition('/')[2]} changed, by Bob.")).to_be_visible()
    reaches(page, "completed")
    assert ann.name_of(record["id"]) == record["name"]


def test_a_change_is_cancelled_and_a_failed_one_tried_again(seat: Seat, open_page: Open, ann: Desk):
    """A held one is given up; one that ServiceTitan refused is sent once more, and refused again."""
    page = open_page("read", "mutate", name="Bob")
    page.goto(f"{seat.address}{ann.sell(1)}")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancelled, by Bob.")).to_be_visible()
    reaches(page, "cancelled")
    path = ann.ask("jobs", "create", None, JOB)
    page.goto(f"{seat.address}{path}")
    reaches(page, "failed")
    looks_right(page, "mutation-failed")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("To be tried again, by Bob.")).to_be_visible()
    expect(page.locator(".story")).to_contain_text("Taken up, attempt 2", timeout=FAR)
    reaches(page, "failed")


BEGIN, END = "2026-12-01T09:00:00Z", "2026-12-01T10:00:00Z"
VISIT = {"start": BEGIN, "end": END, "arrivalWindowStart": BEGIN, "arrivalWindowEnd": END, "technicianIds": []}
JOB = {
    "customerId": 999_999_999_999,
    "locationId": 1,
    "businessUnitId": 1,
    "jobTypeId": 1,
    "campaignId": 1,
    "priority": "Normal",
    "summary": "No heat upstairs. " * 30,
    "appointments": [VISIT],
}


def test_an_open_list_tells_of_newer_ones_and_moves_nothing(seat: Seat, open_page: Open, ann: Desk):
    """Its rows' states follow where they stand; the newer ones come when one asks for them."""
    path = ann.sell(2)
    number = path.rpartition("/")[2]
    page = open_page("read", name="Rea", width=NARROW)
    page.goto(f"{seat.address}/mutations?entity_type=estimates")
    first = page.get_by_role("row").nth(1)
    expect(first.get_by_role("link")).to_have_text(number)
    expect(page.locator(f"#state-{number}")).to_have_text("held")
    stood = first.bounding_box()
    newest = ann.sell(3).rpartition("/")[2]
    show = page.get_by_role("link", name="1 newer: show")
    expect(show).to_be_visible(timeout=FAR)
    expect(first.get_by_role("link")).to_have_text(number)
    assert first.bounding_box() == stood
    ann.decide(path, "reject")
    expect(page.locator(f"#state-{number}")).to_have_text("cancelled", timeout=FAR)
    looks_right(page, "mutations")
    show.click()
    expect(first.get_by_role("link")).to_have_text(newest)
    ann.decide(f"/mutations/{newest}", "cancel")


def test_pages_are_read_without_scripts(seat: Seat, open_page: Open, ann: Desk):
    """The list, its filters and a mutation's page; and a change is decided."""
    path = ann.sell(4)
    page = open_page(name="Bob", java_script_enabled=False)
    page.goto(f"{seat.address}/mutations")
    page.get_by_label("State", exact=True).select_option("held")
    page.get_by_label("Initiated by").fill("Ann")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url("**state=held**")
    expect(page.get_by_label("Initiated by")).to_have_value("Ann")
    page.get_by_role("link", name=f"Mutation {path.rpartition('/')[2]}", exact=True).click()
    expect(page.get_by_role("rowheader", name="status.name")).to_be_visible()
    page.get_by_role("button", name="Reject").click()
    expect(page.get_by_text("Rejected, by Bob.")).to_be_visible()


def test_an_empty_list_says_so(seat: Seat, open_page: Open):
    """With the way back."""
    page = open_page("read", name="Rea")
    page.goto(f"{seat.address}/mutations?entity_id=nobody")
    expect(page.get_by_text("No mutation matches these filters.")).to_be_visible()
    looks_right(page, "mutations-empty")
