"""What no page does for who may not: every route of the pages is asked, so that a new one is covered by existing."""

import re
from dataclasses import replace
from typing import Any

import pytest

from api.pages.session import Sessions
from outbound.queue import Queue
from store import keys
from store.exceptions import StoreUnreachableError, StoreUnwritableError
from tests.pages.house import HOST, House, Visitor, is_page

ANYBODY = {("GET", "/sign-in"), ("POST", "/sign-in")}
"""What needs no session, besides the files that pages load."""

FOREIGN = {
    "another site": {"origin": "http://evil.test"},
    "another port of this machine": {"origin": f"http://{HOST}:8080"},
    "a name that begins as ours": {"origin": f"http://{HOST}.evil.test"},
    "a page without an origin": {"origin": "null"},
    "a file": {"origin": "file://"},
    "nothing": {"origin": ""},
    "another site, as the browser says": {"sec-fetch-site": "cross-site"},
    "another site below the same name": {"sec-fetch-site": "same-site"},
    "both at odds": {"origin": f"http://{HOST}", "sec-fetch-site": "cross-site"},
}


INLINE = re.compile(r"<style|<script(?![^>]*\ssrc=)|<[^>]*\s(?:style|on\w+)\s*=", re.IGNORECASE)
"""What the policy would stop."""


def assert_safe(headers: Any) -> None:
    """The headers of every page."""
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert {value for name, value in policy.items() if name not in {"default-src", "base-uri", "frame-ancestors"}} == {
        "'self'"
    }
    assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
    assert (headers["referrer-policy"], headers["cross-origin-opener-policy"]) == ("same-origin", "same-origin")


def test_only_the_door_and_files_are_open(house: House):
    """Every other route needs a session; a browser is led to the door, and from there back."""
    known = {(way.method, way.path) for way in house.pages() if way.is_open and way.components[0] != "pages"}
    assert known == ANYBODY
    for way in house.closed("GET"):
        found = house.ask("GET", f"{way.path}?a=1&b=%C3%A9")
        assert (found.status_code, found.text) == (303, ""), way
        assert found.headers["location"] == f"/sign-in?next={way.path}%3Fa%3D1%26b%3D%25C3%25A9", way


def test_htmx_is_told_to_lead_the_page_to_the_door(house: House):
    """And from there to the page that asked, not to the part of it that was asked for."""
    headers = {"hx-request": "true", "hx-current-url": f"http://{HOST}/customers?q=a"}
    for way in [*house.closed("GET"), *house.closed("POST")]:
        found = house.ask(way.method, way.path, headers=headers)
        assert (found.status_code, found.headers["hx-redirect"]) == (401, "/sign-in?next=/customers%3Fq%3Da"), way
    strange = house.ask("GET", "/", headers={"hx-request": "true", "hx-current-url": "http://evil.test/a"})
    assert strange.headers["hx-redirect"] == "/sign-in?next=/"


def test_every_answer_has_the_headers_that_keep_it_safe(house: House):
    """Pages, redirections, refusals and files; no policy allows anything inline, and nothing may keep a page."""
    visitor = house.visitor()
    for way in house.pages():
        path = f"{way.path}?part=none" if way.path == "/events" else way.path  # what streams would not end
        found = house.ask(way.method, path, visitor)
        assert_safe(found.headers)
        is_file = way.path.startswith("/pages/")
        assert found.headers["cache-control"] == ("public, max-age=31536000, immutable" if is_file else "no-store"), way
        assert_safe(house.ask(way.method, path).headers)


def test_pages_hold_nothing_inline(house: House):
    """No style, no script and no handler of events stands in the HTML, which the policy would stop."""
    visitor = house.visitor()
    for way in house.closed("GET"):
        if way.path != "/events":
            assert INLINE.findall(house.ask("GET", way.path, visitor).text) == [], way
    for bad in ("<style>", "<p class=a style=b>", "<script>", "<script type=module>", "<a href=b\nonclick='c()'>"):
        assert INLINE.search(bad), bad


def test_an_action_needs_what_a_form_of_the_session_shows(house: House):
    """Without the token, with an empty one, one of another session or a made one it is refused by a page, and nothing is done."""
    visitor, other = house.visitor(), house.visitor()
    for way in house.closed("POST"):
        for token in ("", "nonsense", other.token, visitor.token[:-1], visitor.cookie, "\N{SNOWMAN}", "\x00"):
            found = house.act(way.path, replace(visitor, token=token))
            assert found.status_code == 403, (way, token)
            assert is_page(found)
        assert house.ask("POST", way.path, visitor).status_code == 403, way
        for shown in (other.token.encode(), b"\xff", b""):
            assert house.ask("POST", way.path, visitor, headers={"x-form-token": shown}).status_code == 403, way
    assert house.ask("GET", "/", visitor).status_code == 200


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
def test_an_action_from_elsewhere_is_refused(house: House, headers: dict[str, str]):
    """Whatever it shows: also signing in, so that nobody is signed in as somebody else."""
    visitor = house.visitor()
    for way in house.closed("POST"):
        found = house.act(way.path, visitor, **headers)
        assert found.status_code == 403, way
        assert is_page(found)
    found = house.ask("POST", "/sign-in", data={"key": visitor.key}, headers=headers)
    assert (found.status_code, found.cookies.get("lazi_session")) == (403, None)
    assert house.ask("GET", "/", visitor).status_code == 200


@pytest.mark.parametrize(
    "kind", ["application/json", "text/plain", "multipart/form-data; boundary=x", "multipart/form-data", "a/b; c"]
)
def test_an_action_is_a_plain_form(house: House, kind: str):
    """No other kind of body is looked at: none of our forms sends one."""
    visitor = house.visitor()
    for path in (*(way.path for way in house.closed("POST")), "/sign-in"):
        headers = {"content-type": kind, "x-form-token": visitor.token}
        assert house.ask("POST", path, visitor, content=b"--x\r\n", headers=headers).status_code == 403, path


def test_an_action_needs_the_scope_of_its_route(house: House):
    """A key without it is refused by a page that names it; every action but signing out needs more than reading."""
    for way in house.closed("POST"):
        if way.path == "/sign-out":
            continue
        assert way.scope in {"mutate", "admin"}, way
        for scope in set(keys.SCOPES) - {way.scope}:
            found = house.act(way.path, house.visitor(scope, "read"))
            assert (found.status_code, f"<code>{way.scope}</code>" in found.text) == (403, True), (way, scope)
            assert is_page(found)


def test_a_key_that_may_not_read_opens_no_page(house: House):
    """Neither at the door nor behind it, whatever else it may: pages show the copy."""
    key = house.key("mutate", "admin")
    found = house.ask("POST", "/sign-in", data={"key": key})
    assert (found.status_code, found.cookies.get("lazi_session"), is_page(found)) == (403, None, True)
    assert "scope <code>read</code>" in found.text
    sessions = Sessions(house.operations)
    cookie = sessions.begun(key.split("_")[1])
    session = sessions.read(cookie)
    assert session
    visitor = Visitor(key, cookie, sessions.token(session))
    for way in [*house.closed("GET"), *house.closed("POST")]:
        found = house.act(way.path, visitor) if way.method == "POST" else house.ask("GET", way.path, visitor)
        assert (found.status_code, "scope <code>read</code>" in found.text) == (403, True), way


def test_a_revoked_key_ends_its_sessions(house: House, monkeypatch: pytest.MonkeyPatch):
    """Within the second for which a key is believed to be as it was."""
    monkeypatch.setattr("api.gate.FRESH", 0.0)
    visitor = house.visitor()
    keys.revoke(house.operations, visitor.key.split("_")[1])
    for way in [*house.closed("GET"), *house.closed("POST")]:
        found = house.act(way.path, visitor) if way.method == "POST" else house.ask("GET", way.path, visitor)
        assert (found.status_code, found.headers["location"].partition("?")[0]) == (303, "/sign-in"), way
    found = house.ask("POST", "/sign-in", data={"key": visitor.key})
    assert (found.status_code, "was revoked" in found.text, is_page(found)) == (401, True, True)


def test_another_tenants_changes_are_not_there(house: House):
    """To see and to act on, with every scope: each is answered as one that there is not, and stays as it is."""
    theirs = house.mutation(tenant=2)
    visitor = house.visitor()
    for way in house.pages():
        if way.is_of_a_mutation:
            path = way.to(theirs.mutation_id)
            found = house.act(path, visitor) if way.method == "POST" else house.ask("GET", path, visitor)
            none = house.act(way.path, visitor) if way.method == "POST" else house.ask("GET", way.path, visitor)
            assert (found.status_code, none.status_code) == (404, 404), way
    assert Queue(house.operations).get(theirs.mutation_id) == theirs


def test_a_store_that_is_away_is_told_without_its_secrets(house: House, monkeypatch: pytest.MonkeyPatch):
    """Every page says so with a 503 and what to look for in the log, also at the door; nothing of the error shows."""
    visitor = house.visitor()

    def away(*_: Any, **__: Any) -> Any:
        raise StoreUnreachableError("could not connect to postgresql://lazi:hunter2@db.internal/lazi")

    monkeypatch.setattr("api.gate.FRESH", 0.0)
    monkeypatch.setattr("api.pages.session.FRESH", 0.0)
    monkeypatch.setattr(type(house.operations), "run", away)
    for way in house.pages():
        if way.path.startswith("/pages/") or (way.method, way.path) == ("GET", "/sign-in"):
            continue
        data = {"key": visitor.key, "token": visitor.token}
        found = house.ask(way.method, way.path, visitor, **({"data": data} if way.method == "POST" else {}))
        assert found.status_code == 503, way
        assert is_page(found), way
        assert found.headers["x-request-id"] in found.text
        assert "hunter2" not in found.text
        assert "db.internal" not in found.text


def test_a_store_that_cannot_be_written_can_be_looked_at(house: House, monkeypatch: pytest.MonkeyPatch):
    """That it is not noted when a key was used is no reason to show nothing."""

    async def full(*_: Any) -> None:
        raise StoreUnwritableError("disk full")

    visitor = house.visitor()
    monkeypatch.setattr("api.gate.Keyring.note", full)
    assert house.ask("GET", "/", visitor).status_code == 200


def test_what_nobody_foresaw_is_a_page_that_tells_nothing(house: House, monkeypatch: pytest.MonkeyPatch):
    """With the id under which the log has it."""
    visitor = house.visitor()

    def broken(*_: Any) -> Any:
        raise RuntimeError("SELECT secret FROM nowhere")

    monkeypatch.setattr("api.pages.door.Door.key_of", broken)
    found = house.ask("GET", "/", visitor)
    assert (found.status_code, is_page(found)) == (500, True)
    assert "SELECT" not in found.text
    assert found.headers["x-request-id"] in found.text


def test_a_part_of_a_page_is_refused_with_a_part(house: House):
    """What htmx puts into a page is a sentence, not another page in it; a link that it follows gets the whole page."""
    visitor = house.visitor("read")
    part = house.ask("GET", "/events?part=none", visitor, headers={"hx-request": "true"})
    assert (part.status_code, "<html" in part.text, 'role="alert"' in part.text) == (400, False, True)
    whole = house.ask("GET", "/events?part=none", visitor, headers={"hx-request": "true", "hx-boosted": "true"})
    assert (whole.status_code, is_page(whole)) == (400, True)
    assert "<code>part</code> is <code>none</code>" in whole.text


def test_what_there_is_not_is_a_page_for_people_and_a_problem_for_programs(house: House):
    """By what they ask for; below `/api` it is always a problem."""
    for method, path, status in (("GET", "/nothing/here", 404), ("POST", "/audit", 405), ("PUT", "/", 405)):
        found = house.ask(method, path, headers={"accept": "text/html,*/*"})
        assert (found.status_code, is_page(found)) == (status, True), path
        assert_safe(found.headers)
        assert house.ask(method, path).json()["status"] == status
    assert house.ask("GET", "/api/v1/nothing", headers={"accept": "text/html"}).json()["status"] == 404


@pytest.mark.parametrize("body", [b"a" * 2_000_000, [b"key=" + b"a" * 600_000] * 4], ids=["told", "in pieces"])
def test_a_body_that_is_too_large_is_refused(house: House, body: Any):
    """Before anybody is known, too."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    found = house.ask("POST", "/sign-in", content=iter(body) if isinstance(body, list) else body, headers=headers)
    assert (found.status_code, is_page(found)) == (413, True)


def test_a_form_with_very_many_fields_breaks_nothing(house: House):
    """It has no token, whatever else it has."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    fields = "&".join(f"a{number}=%ff%00" for number in range(50_000)).encode()
    assert house.ask("POST", "/sign-out", house.visitor(), content=fields, headers=headers).status_code == 403
