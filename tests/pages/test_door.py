"""Who may see pages, in a browser: signing in, out, and back to where one was."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.pages.conftest import Seat, shoot, sign_in

pytestmark = pytest.mark.slow

Open = Callable[..., Page]


def test_a_key_opens_pages_until_one_signs_out(seat: Seat, open_page: Open):
    """The cookie is http-only; without it every page leads to the door, and from there back to the page."""
    page = open_page("read")
    expect(page.get_by_role("heading", name="Overview")).to_have_count(1)
    [cookie] = page.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("lazi_session", True, "Strict")
    assert page.evaluate("document.cookie") == ""
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{seat.address}/sign-in")
    assert page.context.cookies() == []
    page.goto(f"{seat.address}/audit?operation=insert")
    page.wait_for_url(f"{seat.address}/sign-in?next=/audit%3Foperation%3Dinsert")
    shoot(page, "sign-in")
    page.keyboard.type(seat.key("read"))  # the field has the focus
    page.keyboard.press("Enter")
    page.wait_for_url(f"{seat.address}/audit?operation=insert")


def test_the_link_below_each_page_leads_to_the_apis_documents(seat: Seat, open_page: Open):
    """A browser asks for nothing more, and shows them with their own files."""
    page = open_page("read")
    page.get_by_role("contentinfo").get_by_role("link", name="API").click()
    page.wait_for_url(f"{seat.address}/api/docs")
    expect(page.get_by_role("heading", name="ST-LAZI")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("/api/v1/customers", exact=True).first).to_be_visible()


@pytest.fixture
def loud(browser: Browser, seat: Seat) -> Iterator[Page]:
    """A page of somebody who is signed in, whose browser may say what it is refused."""
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, seat.address, seat.key())
    yield page
    context.close()


def elsewhere(page: Page, html: str) -> None:
    """Open a page of another site."""
    page.context.route("http://evil.test/", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.goto("http://evil.test/")


def test_a_part_that_htmx_asks_for_leads_to_the_door_when_the_session_is_over(seat: Seat, loud: Page):
    """The whole page goes there, not a part of it, and comes back."""
    loud.goto(f"{seat.address}/customers")
    loud.context.clear_cookies()
    loud.get_by_role("searchbox").fill("a")
    loud.wait_for_url(f"{seat.address}/sign-in?next=/customers**")


def test_a_page_that_renews_itself_leads_to_the_door_when_the_session_is_over(seat: Seat, loud: Page):
    """Nobody loads it again, and what it shows would grow old: as when somebody signed out in another window."""
    loud.goto(f"{seat.address}/")
    token = loud.locator("body").get_attribute("data-token") or ""
    loud.context.request.post(f"{seat.address}/sign-out", form={"token": token}, max_redirects=0)
    loud.wait_for_url(f"{seat.address}/sign-in?next=/")


def test_a_page_that_is_not_renewed_says_so(seat: Seat, loud: Page):
    """As long as the service does not answer; what it showed stays, and who looks on must know that it is old."""
    loud.route("**/events?**", lambda route: route.abort())
    loud.goto(f"{seat.address}/")
    expect(loud.get_by_text("Not renewed since")).to_be_visible(timeout=30_000)
    shoot(loud, "not-renewed")
    loud.unroute("**/events?**")
    expect(loud.get_by_text("Not renewed since")).to_have_count(0, timeout=30_000)


def test_a_form_from_elsewhere_is_refused(seat: Seat, loud: Page):
    """As a browser sends it: with its real origin, and without the cookie, which is for this site alone."""
    target = f"{seat.address}/sign-out"
    elsewhere(loud, f"<form method=post action={target}><button>Win</button></form>")
    with loud.expect_response(target) as found:
        loud.get_by_role("button", name="Win").click()
    assert found.value.status == 403
    loud.goto(f"{seat.address}/")
    expect(loud.get_by_role("button", name="Sign out")).to_be_visible()


def test_no_other_site_can_frame_or_read_ours(seat: Seat, loud: Page):
    """A frame of a page stays empty, and a script of another site gets no answer."""
    elsewhere(loud, f"<iframe src={seat.address}/sign-in></iframe>")
    expect(loud.frame_locator("iframe").get_by_label("Key")).to_have_count(0)
    read = f"fetch('{seat.address}/sign-in').then(() => 'read', () => 'refused')"
    assert loud.evaluate(read) == "refused"


def test_a_link_from_elsewhere_leads_to_the_page_of_who_is_signed_in(seat: Seat, loud: Page):
    """Although the cookie does not come along from another site: as in a message of an alarm."""
    elsewhere(loud, f"<a href={seat.address}/audit?operation=insert>Look</a>")
    loud.get_by_role("link", name="Look").click()
    loud.wait_for_url(f"{seat.address}/audit?operation=insert")
    expect(loud.get_by_role("heading", name="Audit")).to_be_visible()
