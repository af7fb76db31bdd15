"""Whoever uses the pages, and however: every page that links lead to is looked at, so that a new one is covered by existing."""

import re
from collections import deque
from collections.abc import Callable
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from store.settings import Settings
from tests.pages.conftest import NARROW, WIDE, Seat, shoot
from tests.pages.house import Way, opened
from tests.pages.test_mutations_live import Desk

pytestmark = pytest.mark.slow

Open = Callable[..., Page]
HREF = re.compile(r'<a\b[^>]*\bhref="(/[^"#]*)')
PARTS = {"/mutations/now", "/mutations/*/now", "/customers/*/waiting", "/events"}
"""What pages ask for, and nobody opens."""

REFUSED = (
    "/sign-in",
    "/audit?entity=jbs&day=2026-01-01",
    "/customers/99999999999",
    "/mutations?state=none",
    "/entities/jbs",
)
"""Pages that say what is wrong, and the one that asks for a key."""

VARIANTS = [
    (width, size, scheme) for width, size in (("wide", WIDE), ("narrow", NARROW)) for scheme in ("light", "dark")
]
PLACES: dict[str, dict[str, str]] = {}


@pytest.fixture
def places(seat: Seat, tmp_path: Path) -> dict[str, str]:
    """By route, an address of each page that links lead to from the overview on; found once for each service."""
    if seat.address not in PLACES:
        desk = Desk(seat, seat.key("read", "mutate"))
        desk.conflict(9)
        held = desk.sell(3)
        with opened(Settings("", tmp_path, 3001, "warning")) as house:
            ways = [way for way in house.closed("GET") if pattern(way) not in PARTS]
        PLACES[seat.address] = walked(seat, ways, deque(["/", held, "/entities/customers/runs"]))
        assert {pattern(way) for way in ways} == set(PLACES[seat.address])
    return PLACES[seat.address]


def pattern(way: Way) -> str:
    """A route with a star for each parameter."""
    return "/" + "/".join(part if isinstance(part, str) else "*" for part in way.components).strip("/")


def walked(seat: Seat, ways: list[Way], ahead: deque[str]) -> dict[str, str]:
    """Follow links as somebody who is signed in, to one page of each route."""
    found: dict[str, str] = {}
    with httpx.Client(base_url=seat.address, timeout=60) as client:
        client.post("/sign-in", data={"key": seat.key()})
        while ahead:
            address = ahead.popleft()
            path = urlsplit(address).path
            route = next((pattern(way) for way in ways if re.fullmatch(pattern(way).replace("*", "[^/]+"), path)), None)
            if route is None or route in found:
                continue
            answer = client.get(address)
            assert answer.status_code == 200, (address, answer.text)
            found[route] = address
            ahead.extend(unescape(each) for each in HREF.findall(answer.text))
    return found


def looked_at(page: Page, name: str) -> list[str]:
    """What axe finds at both widths in both schemes, and what is wider than the window."""
    wrong = []
    for width, size, scheme in VARIANTS:
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        shoot(page, f"access-{name}-{width}-{scheme}")
        if page.evaluate("document.documentElement.scrollWidth") > size[0]:
            wrong.append(f"{name} {width}: wider than the window")
        found = Axe().run(page)
        wrong += [
            f"{name} {width} {scheme}: {each['id']} {node['target']} {node.get('failureSummary', '')}"
            for each in found.response["violations"]
            for node in each["nodes"]
        ]
    return wrong


def test_axe_finds_nothing_on_any_page(seat: Seat, open_page: Open, places: dict[str, str]):
    """At 380 and 1,600 pixels, light and dark; nothing is wider than the window either."""
    page = open_page()
    wrong = []
    for route, address in places.items():
        page.goto(f"{seat.address}{address}")
        wrong += looked_at(page, route.strip("/").replace("/", "-").replace("*", "one") or "overview")
    assert wrong == []


def test_axe_finds_nothing_where_something_is_refused(seat: Seat, browser: object, places: dict[str, str]):
    """Pages of errors and the door are pages too."""
    assert places
    context = browser.new_context()  # type: ignore[attr-defined]
    page = context.new_page()
    page.goto(f"{seat.address}/sign-in")
    page.get_by_label("Key").fill("lazi_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    wrong = looked_at(page, "sign-in-wrong")
    page.get_by_label("Key").fill(seat.key())
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{seat.address}/")
    for number, address in enumerate(REFUSED):
        page.goto(f"{seat.address}{address}")
        expect(page.get_by_role("alert" if number else "textbox").first).to_be_visible()
        wrong += looked_at(page, f"refused-{number}")
    context.close()
    assert wrong == []


def test_the_keyboard_reaches_everything_in_order(seat: Seat, open_page: Open, places: dict[str, str]):
    """First a link past the frame; then what can be used, as it stands in the page, each with a visible mark."""
    page = open_page()
    for route, address in places.items():
        page.goto(f"{seat.address}{address}")
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        if page.evaluate("document.activeElement.matches('a.skip')"):
            expect(focused).to_have_text("Skip to the content")
            expect(focused).to_be_in_viewport()
        else:
            assert page.locator("[autofocus]").count() == 1, route  # the page's own field comes first
        assert page.locator("[tabindex]:not([tabindex='0']):not([tabindex='-1'])").count() == 0, route
        for _ in range(25):
            page.keyboard.press("Tab")
            marked = page.evaluate(MARKED)
            assert marked in {"", "ok"}, (route, marked)
    page.goto(f"{seat.address}/audit")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")


MARKED = """() => {
  const one = document.activeElement;
  if (one === document.body) return "";
  const before = window.lastFocused;
  window.lastFocused = one;
  if (before && before.isConnected && !(before.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING)
      && one !== document.querySelector("a.skip") && before !== one)
    return `${one.outerHTML.slice(0, 200)} comes after what stands behind it`;
  for (let each = one; each && each !== document.body; each = each.parentElement) {
    for (const pseudo of [null, "::after"]) {
      const style = getComputedStyle(each, pseudo);
      if (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2) return "ok";
    }
  }
  return `${one.outerHTML.slice(0, 200)} has no visible focus`;
}"""


def test_every_page_can_be_read_without_scripts(seat: Seat, open_page: Open, places: dict[str, str]):
    """Its heading, its links and what it tells are there; nothing waits to be loaded."""
    with_scripts = open_page()
    without = open_page(java_script_enabled=False)
    for route, address in places.items():
        with_scripts.goto(f"{seat.address}{address}")
        without.goto(f"{seat.address}{address}")
        expect(without.locator("h1")).to_have_count(1)
        assert without.locator("h1").inner_text() == with_scripts.locator("h1").inner_text(), route
        assert without.locator("main a").count() == with_scripts.locator("main a").count(), route


def test_another_tenants_records_are_not_there(seat: Seat, places: dict[str, str]):
    """To see or to change: a page of one of its records is one that there is not, whatever the key may do."""
    with httpx.Client(base_url=seat.address, timeout=60) as client:
        client.post("/sign-in", data={"key": seat.key(tenant=2)})
        token = client.get("/mutations").text.partition('data-token="')[2].partition('"')[0]
        for route, address in places.items():
            status = client.get(address).status_code
            assert status == (404 if "*" in route and not route.startswith("/entities") else 200), (route, status)
        for path in (places["/customers/*/edit"], places["/mutations/*"] + "/cancel"):
            assert client.post(path, data={"token": token}).status_code == 404, path
        for path in ("/customers", "/mutations", "/audit"):
            numbers = set(re.findall(rf'href="{path}/(\d+)', client.get(path).text))
            assert numbers == set(), path
