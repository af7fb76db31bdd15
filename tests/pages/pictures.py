"""`make pictures`: the README's pictures, of a service on a sandbox. The hours before it began are `bench.year`'s."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from playwright.sync_api import Page, expect, sync_playwright

from bench import year
from store.settings import Settings
from tests.pages.conftest import FLAGS, Seat, chromium, comes_to_tell, furnished, sign_in
from tests.pages.test_mutations_live import Desk

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
SIZE: Any = {"width": 1440, "height": 900}
PATIENCE = 120_000  # milliseconds until what runs by itself must be seen


def main() -> None:
    """Make them."""
    DOCS.mkdir(exist_ok=True)
    with TemporaryDirectory() as name:
        folder = Path(name)
        settings = Settings("", folder / "data", 3001, "warning")
        with furnished(settings, folder) as seat, opened(seat) as page:
            year.add(settings, days=2)
            key = busiest(seat)
            worked_on(seat, page, key)
            take(page, seat, f"/customers/{key}", "customer", "Time line")
            take(page, seat, "/", "overview", "Degraded.")


@contextmanager
def opened(seat: Seat) -> Iterator[Page]:
    """A page of somebody who is signed in."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = browser.new_page(viewport=SIZE, color_scheme="light", timezone_id="UTC", locale="en-US")
        sign_in(page, seat.address, seat.key("read", "mutate", name="Ann"))
        yield page
        browser.close()


def busiest(seat: Seat) -> int:
    """The customer with the most to show."""
    asked = {"sort": "job_count", "order": "desc", "limit": 1}
    found = httpx.get(f"{seat.address}/api/v1/crm/customers", params=asked, headers={"x-api-key": seat.key("read")})
    return int(found.json()["data"][0]["customer_id"])


def worked_on(seat: Seat, page: Page, key: int) -> None:
    """Have a change of the customer made from here, and wait until its history tells of it; leave another to be approved."""
    desk = Desk(seat, seat.key("read", "mutate", name="Ann"))
    [customer] = [one for one in seat.sandbox.records("customers") if one["id"] == key]
    path = desk.ask("customers", "update", key, {"doNotMail": not customer["doNotMail"]})
    comes_to_tell(page, f"/audit?entity=customers&record={key}", f'href="{path}"')
    comes_to_tell(page, f"/customers/{key}", "</a>: update by", does=False)
    desk.sell(0)


def take(page: Page, seat: Seat, address: str, name: str, shown: str) -> None:
    """A picture of the upper part of a page, as soon as it shows this."""
    page.goto(f"{seat.address}{address}")
    expect(page.get_by_text(shown).first).to_be_visible(timeout=PATIENCE)
    page.screenshot(path=DOCS / f"{name}.png")


if __name__ == "__main__":
    main()
