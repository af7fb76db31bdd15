"""The pages of mutations, by requests on a store of each kind. What a runner does is settled by hand here."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from litestar.testing import TestClient

from api.app import create_app
from api.pages.mutation_actions import WORDS
from outbound.queue import Mutation, Settlement
from outbound.secrets import NOT_SHOWN
from sources.servicetitan.catalog import BY_NAME
from sources.servicetitan.reading import raw_table
from store.operations import open_operations
from store.settings import Settings
from store.warehouse import open_warehouse
from tests.api.test_mutations import LANDED, OTHER_TENANT, TENANT, Town, completed, update

HERE = "http://testserver.local"
SELL = {"entity_type": "estimates", "operation": "sell", "entity_id": 11, "payload": {"soldBy": 1}}


@dataclass
class Person:
    """Somebody who is signed in."""

    client: TestClient[Any]
    cookie: str
    token: str

    def get(self, path: str, status: int = 200, **headers: str) -> str:
        """A page."""
        found = self.client.get(path, headers={"cookie": self.cookie, **headers}, follow_redirects=False)
        assert found.status_code == status, found.text
        return found.text

    def post(self, path: str, status: int = 303, token: str | None = None, origin: str = HERE, **form: str) -> Any:
        """What an action answers."""
        data = {"token": self.token if token is None else token, **form}
        headers = {"cookie": self.cookie, "origin": origin}
        found = self.client.post(path, data=data, headers=headers, follow_redirects=False)
        assert found.status_code == status, found.text
        return found


@dataclass
class Square:
    """The pages on a store of one kind."""

    town: Town

    def person(self, *scopes: str, name: str = "Bob", tenant: int = TENANT) -> Person:
        """Signs somebody in with a new key."""
        client = self.town.client
        key = self.town.key(*scopes, name=name, tenant=tenant)["x-api-key"]
        found = client.post("/sign-in", data={"key": key}, follow_redirects=False)
        cookie = found.headers["set-cookie"].partition(";")[0]
        client.cookies.clear()
        page = client.get("/mutations", headers={"cookie": cookie})
        token = re.search(r'data-token="([^"]+)"', page.text)
        assert token, page.text
        return Person(client, cookie, token[1])

    def mutation(self, ident: int) -> Mutation:
        """A mutation as it stands."""
        return self.town.queue.get(ident)

    def ended(self, end: Settlement, asked: dict[str, Any] | None = None) -> int:
        """A mutation that a runner brought to an end."""
        ident: int = self.town.queued(asked or update())["mutation_id"]
        self.town.settle(ident, end)
        return ident


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def square(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Square]:
    """Raw tables without rows; changes are asked for by alice."""
    url = request.getfixturevalue("make_database")() if request.param == "postgres" else ""
    settings = Settings(url, tmp_path_factory.mktemp("data"), 3001, "warning")
    warehouse, operations = open_warehouse(settings), open_operations(settings)
    warehouse.prepare([raw_table(BY_NAME[name]) for name in LANDED])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAZI_APPROVAL", "estimates:sell")
        app = create_app(settings, warehouse)
    with TestClient(app, raise_server_exceptions=False) as client:
        town = Town(client, operations, warehouse)
        client.headers.update(town.key(name="alice"))
        yield Square(town)
    operations.close()
    warehouse.close()


@pytest.fixture(scope="module")
def bob(square: Square) -> Person:
    """Somebody with every scope, who is not alice."""
    return square.person()


def listed(page: str) -> list[int]:
    """The mutations that a page lists."""
    return [int(each) for each in re.findall(r'aria-label="Mutation (\d+)"', page)]


def test_the_list_is_filtered_by_its_address(square: Square):
    """The newest first, fields that were left empty are none, and counts lead to the states."""
    key = square.town.key(name="lister", tenant=71)
    asked = [update(number, initiated_by="eve" if number % 2 else "dan") for number in range(1, 5)]
    made = [square.town.queued(each, **key)["mutation_id"] for each in asked]
    person = square.person("read", tenant=71)
    assert listed(person.get("/mutations")) == made[::-1]
    assert listed(person.get("/mutations?initiated_by=eve&state=&entity_id=")) == [made[2], made[0]]
    assert listed(person.get("/mutations?entity_type=customers&operation=update&entity_id=2")) == [made[1]]
    assert listed(person.get("/mutations?since=2100-01-01T00%3A00")) == []
    page = person.get("/mutations?state=pending")
    assert listed(page) == made[::-1]
    assert re.search(r'href="/mutations\?state=pending" aria-current="true">pending <b>4</b>', page)
    assert "No mutation matches" in person.get("/mutations?state=failed")
    assert listed(person.get(f"/mutations?after={made[2]}")) == [made[1], made[0]]
    assert "No mutations yet" in square.person("read", tenant=72).get("/mutations")


def test_a_page_has_fifty_and_leads_to_older_ones(square: Square):
    """With the same filters in its address."""
    key = square.town.key(name="many", tenant=73)
    many = [update(number) for number in range(1, 53)]
    square.town.post({"mutations": many}, **key)
    person = square.person("read", tenant=73)
    page = person.get("/mutations?initiated_by=many")
    [onward] = re.findall(r'href="([^"]+)">Older', page)
    assert (len(listed(page)), "initiated_by=many" in onward) == (50, True)
    older = person.get(onward.replace("&amp;", "&"))
    assert (len(listed(older)), ">Older<" in older, ">To the newest<" in older) == (2, False, True)


@pytest.mark.parametrize(
    ("query", "status", "told"),
    [
        ("state=done&initiated_by=eve", 400, "<code>pending</code>"),
        ("since=yesterday&initiated_by=eve", 400, "<code>yesterday</code>"),
        ("after=abc&initiated_by=eve", 409, "Begin again"),
        ("colour=red", 400, "Known:"),
        ("state=held&state=failed", 400, "given twice"),
    ],
)
def test_a_filter_that_is_wrong_is_told(bob: Person, query: str, status: int, told: str):
    """The others stay as they were typed."""
    page = bob.get(f"/mutations?{query}", status)
    assert told in page
    if "eve" in query:
        assert 'value="eve"' in page
        assert listed(page) == []


def test_an_open_list_hears_of_what_came_and_what_changed(square: Square):
    """Under its own filters; of its rows only those that changed are sent."""
    key = square.town.key(name="watcher", tenant=74)
    strange = square.town.queued(update())["mutation_id"]
    first, second = (square.town.queued(update(), **key)["mutation_id"] for _ in range(2))
    person = square.person("read", tenant=74)
    asked = f"/mutations/now?above={first}&row={first}:pending&row={second}:pending&row={strange}:failed&row=x"
    assert "1 newer" in person.get(asked)
    assert f'id="state-{first}"' not in person.get(asked)
    assert "newer" not in person.get(f"{asked}&initiated_by=dan")
    square.town.post(b"", f"/{first}/cancel", status=200, **key)
    found = person.get(asked)
    assert f'id="state-{first}" hx-swap-oob="true"' in found
    assert f'id="state-{second}"' not in found
    assert f'id="state-{strange}"' not in found


def test_a_mutation_is_told_as_a_story(square: Square, bob: Person):
    """With what differs; an open page is told nothing while nothing changes."""
    conflict = {"name": {"base": "Ann", "theirs": "Cid", "mine": "Ann Lee"}}
    ident = square.ended(Settlement("changed there", "Changed there: name.", conflict=conflict))
    page = bob.get(f"/mutations/{ident}")
    for told in ("Queued", "Taken up", "In conflict", "Cid", "Ann Lee", "both: conflict", "Changed there: name."):
        assert told in page, told
    [renewed] = re.findall(r'hx-get="([^"]+)"', page)
    renewed = renewed.replace("&amp;", "&")
    assert bob.get(renewed, 204) == ""
    square.town.post(b"", f"/{ident}/cancel", status=200)
    page = bob.get(renewed)
    assert "<html" not in page
    assert f"Mutation {ident} is cancelled now." in page
    assert "hx-get" not in page


@pytest.mark.parametrize(("path", "status"), [("999999999", 404), ("x", 400), ("0", 400)])
def test_what_is_not_there_is_told(bob: Person, path: str, status: int):
    """As a page, for looks and actions."""
    assert "<html" in bob.get(f"/mutations/{path}", status)
    assert "<html" in bob.post(f"/mutations/{path}/cancel", status).text


def test_what_is_shown_is_escaped_and_has_no_secret(square: Square, bob: Person):
    """Whatever somebody wrote, and no more than the API shows."""
    asked = update(initiated_by="<script>x</script>", payload={"name": "<img src=x>"})
    page = bob.get(f"/mutations/{square.town.queued(asked)['mutation_id']}")
    assert "<script>x" not in page
    assert "<img" not in page
    assert "&lt;img src=x&gt;" in page
    asked = {"entity_type": "employees", "operation": "create"}
    asked["payload"] = {
        "name": "Eve",
        "email": "e@example.com",
        "password": "hush-1",
        "accountCreationMethod": "SendInvite",
    }
    asked["payload"] |= {"roleId": 1, "positions": []}
    page = bob.get(f"/mutations/{square.town.queued(asked)['mutation_id']}")
    assert "hush" not in page
    assert NOT_SHOWN in page


# what is asked of every action


@pytest.mark.parametrize("word", WORDS)
def test_an_action_needs_a_form_of_ours_and_the_scope(square: Square, bob: Person, word: str):
    """Without a token, with another session's, from elsewhere, with too little a key, without one: nothing is done."""
    ident = square.town.queued(SELL)["mutation_id"]
    path, other = f"/mutations/{ident}/{word}", square.person()
    bob.post(path, 403, token="")
    bob.post(path, 403, token=other.token)
    bob.post(path, 403, origin="https://evil.example")
    reader, changer = square.person("read"), square.person("read", "mutate")
    assert f"<code>{WORDS[word]}</code>" in reader.post(path, 403).text
    if WORDS[word] == "admin":
        assert "<code>admin</code>" in changer.post(path, 403).text
    assert square.town.client.post(path, headers={"origin": HERE}, follow_redirects=False).status_code in {303, 403}
    assert square.mutation(ident).state == "held"
    assert [step.did for step in square.mutation(ident).history] == ["queued"]


@pytest.mark.parametrize("word", WORDS)
def test_a_mutation_of_another_tenant_is_not_there(square: Square, word: str):
    """For looks and for actions."""
    ident = square.town.queued(SELL)["mutation_id"]
    stranger = square.person(tenant=OTHER_TENANT)
    stranger.get(f"/mutations/{ident}", 404)
    stranger.get(f"/mutations/{ident}/now", 404)
    stranger.post(f"/mutations/{ident}/{word}", 404, **{"as": "mine"})
    assert listed(stranger.get("/mutations")) == []
    assert [step.did for step in square.mutation(ident).history] == ["queued"]


def test_a_page_needs_a_session(square: Square):
    """It leads to the door, and from there back."""
    found = square.town.client.get("/mutations/5", headers={"x-api-key": ""}, follow_redirects=False)
    assert (found.status_code, found.headers["location"]) == (303, "/sign-in?next=/mutations/5")


# deciding


def button(page: str, word: str) -> str:
    """A button as it stands in a page; empty where there is none."""
    found = re.search(rf'<button id="do-{word}"[^>]*>', page)
    return found[0] if found else ""


def test_whoever_wants_a_change_does_not_approve_it(square: Square, bob: Person):
    """The page says why before and after; somebody else does, and is told what was done."""
    ident = square.town.queued(SELL)["mutation_id"]
    path, alice = f"/mutations/{ident}", square.person(name="alice")
    page = alice.get(path)
    for word in ("approve", "reject"):
        assert "disabled" in button(page, word)
    assert "disabled" not in button(page, "cancel")
    assert "Somebody else must approve it" in page
    assert "Somebody else must approve it" in alice.post(f"{path}/approve", 409).text
    changer = square.person("read", "mutate", name="Cid").get(path)
    assert "disabled" in button(changer, "approve")
    assert "the scope <code>admin</code>; yours has <code>mutate</code>, <code>read</code>." in changer
    assert "disabled" not in button(bob.get(path), "approve")
    found = bob.post(f"{path}/approve")
    assert found.headers["location"] == f"{path}?told=1"
    page = bob.get(found.headers["location"])
    assert "Approved, by Bob." in page
    assert (button(page, "approve"), bool(button(page, "cancel"))) == ("", True)
    assert "cannot be done" in bob.post(f"{path}/approve", 409).text
    assert square.mutation(ident).approved_by == "Bob"


def test_what_failed_is_tried_again_or_cancelled(square: Square, bob: Person):
    """And nothing else is offered."""
    ident = square.ended(Settlement("refused", "No such thing.", answer_status=404, answer="<b>nothing</b>"))
    path = f"/mutations/{ident}"
    page = bob.get(path)
    assert "ServiceTitan answered 404" in page
    assert "&lt;b&gt;nothing" in page
    assert [word for word in ("approve", "reject", "retry", "revert", "cancel") if button(page, word)] == [
        "retry",
        "cancel",
    ]
    assert "To be tried again, by Bob." in bob.get(bob.post(f"{path}/retry").headers["location"])
    assert "Cancelled, by Bob." in bob.get(bob.post(f"{path}/cancel").headers["location"])
    assert "it is at its end" in bob.get(path)


def test_an_unknown_one_is_resolved_with_a_note_and_an_id(square: Square, bob: Person):
    """What is refused keeps what was typed."""
    ident = square.ended(Settlement("in doubt", "Hm."))
    path = f"/mutations/{ident}/resolve"
    refused = bob.post(path, 422, **{"as": "done", "new_id": "a/b", "note": 'Seen "there"'}).text
    assert "letters, digits" in refused
    assert 'value="a/b"' in refused
    assert "Seen &#34;there&#34;" in refused
    bob.post(path, 422, **{"as": "not_done", "new_id": "5"})
    bob.post(path, 422, note="without a choice")
    bob.post(path, 409, **{"as": "mine"})
    found = bob.post(path, **{"as": "done", "new_id": "88", "note": "Seen there."})
    page = bob.get(found.headers["location"])
    assert "Resolved: it was done, by Bob." in page
    assert "Seen there." in page
    done = square.mutation(ident)
    assert (done.state, done.new_id, done.history[-1].said) == ("completed", "88", "Seen there.")


def test_nobody_resolves_what_they_did_not_see(square: Square, bob: Person):
    """A form of a page that it went on from is refused and shows what stands there now; Enter in the note chooses nothing."""
    first, second = ({"name": {"base": "a", "theirs": theirs, "mine": "c"}} for theirs in ("b", "Newer there"))
    ident = square.ended(Settlement("changed there", "Hm.", conflict=first))
    path = f"/mutations/{ident}"
    old = bob.get(path)
    assert re.search(r'<form class="resolve"[^>]*>\s*<button disabled hidden>', old)
    bob.post(f"{path}/resolve", stand=stand(old), **{"as": "mine"})
    square.town.settle(ident, Settlement("changed there", "Hm.", conflict=second))
    page = bob.post(f"{path}/resolve", 409, stand=stand(old), note="They called", **{"as": "mine"}).text
    for told in ("It went on since", "Newer there", 'value="They called"'):
        assert told in page, told
    assert square.mutation(ident).state == "conflict"
    bob.post(f"{path}/resolve", stand=stand(page), **{"as": "theirs"})
    assert square.mutation(ident).state == "cancelled"


def stand(page: str) -> str:
    """What a form says of how the mutation stood."""
    [found] = re.findall(r'name="stand" value="([^"]+)"', page)
    return str(found)


@pytest.mark.parametrize(("word", "state"), [("mine", "pending"), ("theirs", "cancelled")])
def test_a_conflict_is_resolved(square: Square, bob: Person, word: str, state: str):
    """For either side."""
    conflict = {"name": {"base": "a", "theirs": "b", "mine": "c"}}
    ident = square.ended(Settlement("changed there", "Hm.", conflict=conflict))
    assert bob.post(f"/mutations/{ident}/resolve", **{"as": word}).headers["location"].endswith("told=4")
    assert square.mutation(ident).state == state
    if state == "pending":
        square.town.post(b"", f"/{ident}/cancel", status=200)


def test_a_completed_update_is_reverted_once_at_a_time(square: Square, bob: Person):
    """The page of the new one follows; the first one's says by which it is being reverted."""
    before = {"id": 1, "name": "Old"}
    ident = completed(square.town, update(payload={"name": "New"}), before, {**before, "name": "New"})
    assert "disabled" not in button(bob.get(f"/mutations/{ident}"), "revert")
    found = bob.post(f"/mutations/{ident}/revert")
    page = bob.get(found.headers["location"])
    assert f"that mutation {ident} changed, by Bob." in page
    assert f'href="/mutations/{ident}"' in page
    page = bob.get(f"/mutations/{ident}")
    assert "disabled" in button(page, "revert")
    assert "is being reverted already" in page
    assert "is being reverted already" in bob.post(f"/mutations/{ident}/revert", 409).text


def test_what_has_no_inverse_says_why(square: Square, bob: Person):
    """An update of which nothing is known; of what is no update there is no such button."""
    ident = completed(square.town, update(), None, {"name": "Ann Lee"}, is_sent=False)
    page = bob.get(f"/mutations/{ident}")
    assert "disabled" in button(page, "revert")
    assert "nothing was sent" in page
    removal = {"entity_type": "contacts", "operation": "delete", "entity_id": "gone"}
    ident = completed(square.town, removal, {"id": "gone"}, None)
    assert button(bob.get(f"/mutations/{ident}"), "revert") == ""
