"""How long somebody is signed in, and where the door leads: nowhere that is not ours."""

import asyncio
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import time_machine
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from api.pages.attempts import MOST, MOST_KEPT, Attempts
from api.pages.session import SECONDS, Session, Sessions
from api.problems import TooManyError
from store.operations import open_operations
from store.settings import Settings
from tests.pages.house import HOST, House, is_page


def cookie(found: httpx.Response) -> Any:
    """The session's cookie with its attributes."""
    return SimpleCookie(found.headers["set-cookie"])["lazi_session"]


def test_the_cookie_is_for_this_site_alone_and_not_for_scripts(house: House):
    """It lasts half a day, holds no key, and signing out takes it away."""
    visitor = house.visitor()
    made = cookie(house.ask("POST", "/sign-in", data={"key": visitor.key}))
    assert (made["httponly"], made["samesite"], made["path"], made["secure"]) == (True, "strict", "/", "")
    assert (made["max-age"], made["domain"]) == (str(SECONDS), "")
    assert visitor.key.split("_", 2)[2] not in made.value
    assert cookie(house.act("/sign-out", visitor))["max-age"] == "0"


@pytest.mark.parametrize(
    ("client", "scheme", "is_secure"),
    [("127.0.0.1", "https", True), ("10.0.0.9", "https", False), ("127.0.0.1", "http", False)],
)
def test_behind_a_trusted_proxys_https_the_cookie_is_for_https_alone(
    house: House, client: str, scheme: str, *, is_secure: bool
):
    """Uvicorn believes `X-Forwarded-Proto` of 127.0.0.1 and of those that FORWARDED_ALLOW_IPS names, and of nobody else."""
    app: Any = ProxyHeadersMiddleware(house.app, trusted_hosts="127.0.0.1")  # type: ignore[arg-type]
    key = house.key()

    async def entered() -> httpx.Response:
        transport = httpx.ASGITransport(app, client=(client, 5000))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as asking:
            headers = {"x-forwarded-proto": scheme, "origin": f"{scheme}://{HOST}"}
            return await asking.post("/sign-in", data={"key": key}, headers=headers)

    found = asyncio.run(entered())
    assert (found.status_code, bool(cookie(found)["secure"])) == (303, is_secure)


def test_a_page_that_came_by_http_may_not_send_to_https(house: House):
    """Where it is known that browsers see https."""
    headers = {"origin": f"http://{HOST}"}
    found = house.ask("POST", f"https://{HOST}/sign-in", data={"key": house.key()}, headers=headers)
    assert found.status_code == 403


def test_a_session_ends_after_half_a_day(house: House):
    """However often its pages are looked at."""
    visitor = house.visitor()
    begun = datetime.now(UTC)
    with time_machine.travel(begun + timedelta(seconds=SECONDS - 60)):
        assert house.ask("GET", "/", visitor).status_code == 200
    with time_machine.travel(begun + timedelta(seconds=SECONDS + 60)):
        assert house.ask("GET", "/", visitor).status_code == 303
        assert Session("k", "n", begun).is_over


def test_a_copy_of_the_cookie_opens_nothing_once_somebody_signed_out(house: House):
    """In no process of the store, and also when this one has forgotten what it knew; another session of the key goes on."""
    visitor = house.visitor()
    other = house.enter(visitor.key)
    house.act("/sign-out", visitor)
    assert house.ask("GET", "/", visitor).status_code == 303
    with closing(open_operations(house.settings)) as operations:
        sessions = Sessions(operations)
        session = sessions.read(visitor.cookie)
        assert session
        assert sessions.has_ended(session)
    assert house.ask("GET", "/", other).status_code == 200


def test_what_is_kept_of_ended_sessions_goes_when_their_cookies_are_too_old(house: House):
    """The table has half a day's at most."""
    sessions = Sessions(house.operations)
    old, young = Session("k", "old", datetime.now(UTC)), Session("k", "young", datetime.now(UTC))
    with time_machine.travel(datetime.now(UTC) - timedelta(seconds=SECONDS + 60)):
        sessions.end(old)
    sessions.end(young)
    assert [Sessions(house.operations).has_ended(each) for each in (old, young)] == [False, True]


def test_what_a_process_knows_of_sessions_has_a_bound(house: House, monkeypatch: pytest.MonkeyPatch):
    """And is forgotten beyond."""
    monkeypatch.setattr("api.pages.session.MOST_KEPT", 3)
    sessions = Sessions(house.operations)
    for number in range(10):
        assert not sessions.has_ended(Session("k", str(number), datetime.now(UTC)))
    assert len(sessions.known) <= 3


@pytest.mark.parametrize(
    "onward",
    [
        "//evil.test",
        "/\\evil.test",
        "///evil.test",
        "https://evil.test/",
        "https:evil.test",
        "javascript:alert(1)",
        "evil.test",
        "",
        "/\t/evil.test",
        "/\n/evil.test",
        "/a\r\nset-cookie: a=b",
        "\x00/a",
        "/\N{SNOWMAN}",
        "//[",
        "/" + "a" * 5000,
        "\\\\evil.test",
        " //evil.test",
    ],
)
def test_the_door_leads_nowhere_else(house: House, onward: str):
    """An address of another site, or one that a browser might take for one, becomes the first page."""
    visitor = house.visitor()
    found = house.ask("POST", "/sign-in", data={"key": visitor.key, "next": onward})
    assert (found.status_code, found.headers["location"]) == (303, "/")
    shown = house.ask("GET", "/sign-in", params={"next": onward})
    assert 'name="next" value="/"' in shown.text


@pytest.mark.parametrize(
    "onward", ["/", "/customers?q=a&after=x", "/entities/jobs#fields", "/a//b", "/%2F%2Fevil.test"]
)
def test_the_door_leads_back(house: House, onward: str):
    """Path and query of an address of ours."""
    visitor = house.visitor()
    found = house.ask("POST", "/sign-in", data={"key": visitor.key, "next": onward})
    assert (found.status_code, found.headers["location"]) == (303, onward)


def test_a_link_of_another_site_is_asked_for_again_by_a_page_of_ours(house: House):
    """Because the cookie came not along; then, and where it is no link that was followed, the door is shown."""
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    found = house.ask("GET", "/audit?day=%22%3E&entity=jobs", headers=headers)
    assert (found.status_code, is_page(found)) == (200, True)
    assert 'content="0; url=/audit?day=%22%3E&amp;entity=jobs"' in found.text
    for further in ({"sec-fetch-site": "same-origin"}, {"sec-fetch-mode": "no-cors"}):
        assert house.ask("GET", "/audit", headers={**headers, **further}).status_code == 303
    assert house.ask("GET", "/audit?day=2026-01-01", house.visitor(), headers=headers).status_code in {200, 503}


def test_an_action_after_the_session_leads_back_to_its_page(house: House):
    """Where it cannot be taken up again; not to a page of another site."""
    for referer, onward in ((f"http://{HOST}/mutations/5?a=1", "/mutations/5%3Fa%3D1"), ("http://evil.test/a", "/")):
        found = house.ask("POST", "/sign-out", headers={"referer": referer})
        assert found.headers["location"] == f"/sign-in?next={onward}"


def test_an_address_that_sent_many_wrong_keys_must_wait(house: House, monkeypatch: pytest.MonkeyPatch):
    """Also with the right one, so that nobody can find one by trying; who is signed in notices nothing."""
    visitor = house.visitor()
    monkeypatch.setattr("api.pages.door.time", SimpleNamespace(monotonic=lambda: 1e9))
    for _ in range(MOST):
        assert house.ask("POST", "/sign-in", data={"key": "lazi_wrong"}).status_code == 401
    found = house.ask("POST", "/sign-in", data={"key": visitor.key, "next": "/audit"})
    assert (found.status_code, found.cookies.get("lazi_session"), is_page(found)) == (429, None, True)
    assert 'name="next" value="/audit"' in found.text
    assert 1 <= int(found.headers["retry-after"]) <= 120
    assert house.ask("GET", "/", visitor).status_code == 200


def test_wrong_keys_are_counted_for_each_address_and_right_ones_are_not():
    """An address that waits as it is told may try again, and what is kept of addresses has a bound."""
    attempts = Attempts()
    for _ in range(3 * MOST):
        attempts.note("a", 60.0)
        attempts.take_back("a")
    attempts.demand("a", 60.0)
    for _ in range(MOST):
        attempts.note("a", 61.0)
    with pytest.raises(TooManyError) as told:
        attempts.demand("a", 61.0)
    attempts.demand("b", 61.0)
    attempts.demand("a", 61.0 + int(told.value.headers["Retry-After"]))
    for number in range(MOST_KEPT + 5):
        attempts.note(str(number), 62.0)
    assert len(attempts.windows) <= MOST_KEPT


def test_a_session_outlives_the_service_and_no_store_knows_anothers(house: House, settings: Settings):
    """The same store's next process knows it; a cookie that another store signed opens nothing."""
    visitor = house.visitor()
    with closing(open_operations(house.settings)) as operations:
        again = Sessions(operations).read(visitor.cookie)
        assert again is not None
        assert again.key_id == visitor.key.split("_")[1]
    with closing(open_operations(settings)) as operations:
        assert Sessions(operations).read(visitor.cookie) is None
        strange = Sessions(operations).begun(visitor.key.split("_")[1])
    found = house.ask("GET", "/", replace(visitor, cookie=strange))
    assert (found.status_code, found.headers["location"]) == (303, "/sign-in?next=/")


@pytest.mark.parametrize("change", ["", "x", ".", "a.b.c", "\x00", "%FF", '"'])
def test_a_cookie_that_was_tampered_with_opens_nothing(house: House, change: str):
    """Nor does it break anything. The last sign of a signature has two bits that say nothing; so more of it goes."""
    visitor = house.visitor()
    for cookie in (change, visitor.cookie[:-3] + change, change + visitor.cookie):
        if cookie != visitor.cookie:
            assert house.ask("GET", "/", replace(visitor, cookie=cookie)).status_code in {303, 400}, cookie
