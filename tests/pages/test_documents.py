"""The API's documents in a browser: the operations page's session opens them, and nothing else of the API."""

import base64
from dataclasses import replace

import pytest

from store import keys
from tests.pages.house import House, is_page

DOCUMENTS = ["/api/docs", "/api/docs/openapi.json", "/api/docs/assets/swagger-ui.css"]
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.mark.parametrize("path", DOCUMENTS)
def test_who_is_signed_in_sees_the_documents(house: House, path: str):
    """Without a key in the request; the page's files come too."""
    assert house.ask("GET", path, house.visitor("read"), headers=BROWSER).status_code == 200
    assert house.ask("GET", path, house.visitor("read")).status_code == 200


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_strangers_browser_is_led_to_the_door_and_back(house: House, path: str):
    """As from the pages; what shows no pages is refused as everywhere."""
    found = house.ask("GET", path, headers=BROWSER)
    assert (found.status_code, found.headers["location"]) == (303, f"/sign-in?next={path}")
    back = house.ask("POST", "/sign-in", data={"key": house.key("read"), "next": path})
    assert (back.status_code, back.headers["location"]) == (303, path)
    refused = house.ask("GET", path)
    assert (refused.status_code, refused.headers["www-authenticate"][:5]) == (401, "Basic")


def test_the_way_back_from_the_documents_leads_nowhere_else(house: House):
    """Whatever stands behind the path stays a part of a path of ours."""
    for address in ("/api/docs?next=//evil.test", "/api/docs/%2F%2Fevil.test", "/api/docs?x=%22%3E"):
        found = house.ask("GET", address, headers=BROWSER)
        assert found.headers.get("location", "/sign-in?next=/api/docs").startswith("/sign-in?next=/api/docs"), address


def test_a_link_of_another_site_to_the_documents_is_asked_for_again(house: House):
    """The cookie came not along; a page of ours asks once more with it."""
    headers = {**BROWSER, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    found = house.ask("GET", "/api/docs", headers=headers)
    assert (found.status_code, is_page(found)) == (200, True)
    assert 'content="0; url=/api/docs"' in found.text


@pytest.mark.parametrize("end", ["signed out", "revoked", "tampered"])
def test_a_session_that_is_over_opens_no_document(house: House, end: str, monkeypatch: pytest.MonkeyPatch):
    """For a browser it is the door, for anything else a refusal."""
    visitor = house.visitor("read")
    if end == "signed out":
        house.act("/sign-out", visitor)
    elif end == "revoked":
        monkeypatch.setattr("api.gate.FRESH", 0.0)
        keys.revoke(house.operations, visitor.key.split("_")[1])
    else:
        visitor = replace(visitor, cookie=visitor.cookie[:-3] + "abc")
    for path in DOCUMENTS:
        assert house.ask("GET", path, visitor).status_code == 401, path
        assert house.ask("GET", path, visitor, headers=BROWSER).status_code == 303, path


def test_a_password_that_a_browser_keeps_does_not_hide_the_session(house: House):
    """As one of a key that was revoked: browsers send it as long as they run."""
    old = base64.b64encode(b"me:lazi_old_key").decode()
    headers = {**BROWSER, "authorization": f"Basic {old}"}
    assert house.ask("GET", "/api/docs", house.visitor("read"), headers=headers).status_code == 200
    assert house.ask("GET", "/api/docs", headers=headers).status_code == 303


def test_no_other_route_of_the_api_takes_the_cookie(house: House):
    """By any method, from a browser or not: a page of another site could make a browser send it."""
    visitor = house.visitor()
    asked = 0
    for route in house.app.routes:
        for handler in getattr(route, "route_handlers", ()):
            own = {"page", "for_people", "open"} & handler.opt.keys()
            if own or not handler.opt.get("scope"):
                continue
            for method in handler.http_methods - {"OPTIONS"}:
                path = "/" + "/".join(part if isinstance(part, str) else "1" for part in route.path_components)
                for headers in ({}, BROWSER):
                    found = house.ask(method, path, visitor, headers=headers)
                    assert found.status_code == 401, (method, path, found.status_code)
                    asked += 1
    assert asked > 400
    assert house.ask("GET", "/api/v1/customers", headers={"x-api-key": visitor.key}).status_code != 401
