"""Paging: every page, no page twice, and no endless reading."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sandbox.server import Sandbox
from sources.servicetitan.answer import decode
from sources.servicetitan.catalog import BY_NAME, Entity
from sources.servicetitan.client import Client, Meter
from sources.servicetitan.exceptions import NotAvailableError, ProtocolError, RequestRefusedError
from sources.servicetitan.landing import content_hash
from sources.servicetitan.page import Page
from sources.servicetitan.paging import Reader, utc_text
from store.settings import Places, connection
from store.warehouse import Landed
from tests.sources.odd_server import Answer, serving
from tests.sources.test_client import FreeBudget, client

TOKEN = Answer(body={"access_token": "good", "expires_in": 900})
CUSTOMERS = BY_NAME["customers"]
JOB_TYPES = BY_NAME["job_types"]


def reader(url: str, entity: Entity) -> Reader:
    return Reader(entity, client(url, attempts=2), Meter())


def client_of(sandbox: Sandbox) -> Client:
    """A client that may ask a sandbox as often as it likes."""
    reached = connection(Places(sandbox.environment(), Path("/nonexistent")))
    return Client(reached, reached.tenants[0], FreeBudget())  # type: ignore[arg-type]


def ids(pages: Iterable[Page]) -> list[bytes]:
    return [bytes(record) for page in pages for record in page.records]


def part(records: Iterable[int], *, more: bool, token: object = None) -> Answer:
    return Answer(body={"hasMore": more, "continueFrom": token, "data": [{"id": i} for i in records]})


@hypothesis_settings(max_examples=15)
@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=6))
def test_a_list_is_read_to_its_end_whatever_the_pages_hold(sizes: list[int]):
    """Pages may be shorter than asked for; only `hasMore` ends the reading."""
    edges = [0, *accumulate(sizes)]
    answers = [part(range(*edge), more=edge[1] < sum(sizes)) for edge in pairwise(edges)]
    with serving(*answers) as server:
        assert len(ids(reader(server.url, JOB_TYPES).listed(None))) == sum(sizes)
        assert [asked["page"] for asked in server.asked] == [str(number + 1) for number in range(len(sizes))]
        assert {asked["active"] for asked in server.asked} == {"Any"}


@hypothesis_settings(max_examples=15)
@given(sizes=st.lists(st.integers(0, 3), min_size=1, max_size=6))
def test_an_export_is_followed_by_its_tokens(sizes: list[int]):
    """Each page's token is asked for next, verbatim, and handed on with the page."""
    answers = [part(range(size), more=n < len(sizes) - 1, token=f"t/{n}+=") for n, size in enumerate(sizes)]
    with serving(*answers) as server:
        pages = list(reader(server.url, CUSTOMERS).export(None))
        assert [page.state["token"] for page in pages] == [f"t/{n}+=" for n in range(len(sizes))]
        assert [asked.get("from") for asked in server.asked] == [None, *(f"t/{n}+=" for n in range(len(sizes) - 1))]


def test_an_export_without_news_keeps_its_token():
    """`continueFrom` may be missing when there is nothing new."""
    with serving(part([], more=False)) as server:
        (page,) = reader(server.url, CUSTOMERS).export("kept")
    assert page.state == {"token": "kept"}


def test_an_export_that_does_not_move_is_an_error():
    """Going on from where it was would never end."""
    with serving(part([1], more=True, token="same")) as server, pytest.raises(ProtocolError, match="`same`"):
        list(reader(server.url, CUSTOMERS).export("same"))


def test_a_token_that_is_refused_means_from_the_beginning_once():
    """A token may die; a server that refuses everything does not make the reader go round."""
    with serving(Answer(400, {"title": "bad token"}), part([1, 2], more=False, token="new")) as server:
        assert len(ids(reader(server.url, CUSTOMERS).export("old"))) == 2
        assert "from" not in server.asked[1]
    with serving(Answer(400, {"title": "always"})) as server, pytest.raises(RequestRefusedError):
        list(reader(server.url, CUSTOMERS).export("old"))


def test_an_empty_page_that_promises_more_is_an_error():
    """Not an end, and not an endless reading."""
    with serving(part([], more=True)) as server, pytest.raises(ProtocolError, match="Page 1"):
        list(reader(server.url, JOB_TYPES).listed(None))


def test_a_list_that_moves_is_read_until_nothing_is_missing():
    """On a sandbox whose rows move at every edge between pages: lists, snapshots and text keys, all of them whole."""
    with Sandbox(seed=4, customers=80, faults={"moving_rows": 1.0}) as sandbox:
        asker = client_of(sandbox)
        for name in ("calls", "contacts", "estimate_items", "form_submissions", "non_job_timesheets"):
            entity = replace(BY_NAME[name], page_size=9)
            found = Reader(entity, asker, Meter())
            pages = list(found.listed(None))
            keys = {head.key for page in pages for head in page.heads(entity)[1]}
            assert len(keys) == len(sandbox.records(name))
            assert found.meter.requests == len(pages)
        asker.close()


def test_a_list_that_holds_still_costs_no_further_request():
    """As many requests as pages; what is read from a date too."""
    with Sandbox(seed=4, customers=80) as sandbox:
        asker = client_of(sandbox)
        for since in (None, datetime(2000, 1, 1, tzinfo=UTC)):
            found = Reader(replace(BY_NAME["contacts"], page_size=9), asker, Meter())
            assert sum(len(page.records) for page in found.listed(since)) == 80
            assert found.meter.requests == -(-80 // 9)
        asker.close()


def test_a_deletion_between_two_pages_hides_no_other_record():
    """The row that took the place of the deleted one's neighbour is met in the second pass."""
    with Sandbox(seed=4, customers=80) as sandbox:
        asker = client_of(sandbox)
        entity, keys = replace(BY_NAME["contacts"], page_size=9), set()
        for number, page in enumerate(Reader(entity, asker, Meter()).listed(None)):
            keys |= {head.key for head in page.heads(entity)[1]}
            if number == 3:
                sandbox.delete("contacts", 2)
        asker.close()
        assert {record["id"] for record in sandbox.records("contacts")} <= keys
        assert len(keys) == 80


def test_a_list_that_never_holds_still_is_an_error():
    """After five passes that each brought another old row: not an endless reading, and no cursor that moves."""
    answers = [part(edge, more=not number % 2) for number, edge in enumerate([[n, n + 1] for n in range(0, 40, 2)])]
    answers = [replace(answer, body={**answer.body, "totalCount": 99}) for answer in answers]  # type: ignore[dict-item]
    with serving(*answers) as server, pytest.raises(ProtocolError, match="moved each of the 5 times"):
        list(reader(server.url, JOB_TYPES).listed(None))
    assert len(server.asked) == 10
    assert {asked["includeTotal"] for asked in server.asked} == {"true"}


def test_a_bare_array_is_the_only_page():
    """Unpaged lists are asked for once, without a page number."""
    with serving(Answer(body=[{"id": 1}, {"id": 2}])) as server:
        assert len(ids(reader(server.url, BY_NAME["inventory_bills"]).listed(None))) == 2
        assert "page" not in server.asked[0]


@pytest.mark.parametrize(
    ("entity", "since"), [("customers", None), ("customer_contacts", "2000-01-01T00:00:00Z")], ids=lambda value: value
)
def test_a_tenant_without_an_export_is_read_by_its_list(entity: str, since: str | None):
    """Whole, with a date only where the list demands one: a date would hide records without a modification time."""
    with serving(Answer(404, {}), part([1], more=False)) as server:
        assert len(ids(reader(server.url, BY_NAME[entity]).export_or_list(None))) == 1
        assert server.asked[1].get("modifiedOnOrAfter") == since


@pytest.mark.parametrize("last", [[], [{"id": 2}]], ids=["an empty page", "the same page again"])
def test_answers_without_has_more_are_read_until_nothing_new_comes(last: list[dict[str, int]]):
    """Neither cut short after the first page nor read for ever from a server that knows no pages."""
    bodies = [{"data": [{"id": 1}]}, {"data": [{"id": 2}]}, {"data": last}]
    with serving(*(Answer(body=body) for body in bodies)) as server:
        assert set(ids(reader(server.url, JOB_TYPES).listed(None))) == {b'{"id": 1}', b'{"id": 2}'}
        assert len(server.asked) == 3


def test_an_export_without_has_more_is_followed_while_it_moves():
    """Its last page goes on where it was."""
    bodies = [{"data": [{"id": 1}], "continueFrom": "a"}, {"data": [{"id": 2}], "continueFrom": "a"}]
    with serving(*(Answer(body=body) for body in bodies)) as server:
        assert len(ids(reader(server.url, CUSTOMERS).export(None))) == 2
        assert [asked.get("from") for asked in server.asked] == [None, "a"]


@pytest.mark.parametrize("text", [r"a\u0000b", "é", r"\ud83d\ude00"])
def test_a_record_that_can_be_read_hashes_the_same_beside_one_that_cannot(text: str):
    """Half a surrogate pair makes a page unreadable; mending it changes no other record, not even its NULs."""
    record = f'{{"id": 1, "name": "{text}"}}'
    alone = decode(f'{{"data": [{record}]}}'.encode())
    beside = decode(f'{{"data": [{record}, {{"id": 2, "name": "\\ud800"}}]}}'.encode())
    assert (alone.is_repaired, beside.is_repaired) == (False, True)
    assert content_hash(alone.data[0]) == content_hash(beside.data[0])


def parent(key: int | str, scope: str | None = None, **payload: object) -> Landed:
    return Landed(key, scope, json.dumps({"id": key, **payload}), None, datetime(2026, 1, 1, tzinfo=UTC))


def test_parents_are_asked_for_in_fifties():
    """ServiceTitan takes no more ids at once; the cursor follows behind each fifty."""
    with serving(part([1], more=False)) as server:
        pages = list(reader(server.url, BY_NAME["job_cancel_reasons_by_job"]).by_ids(map(parent, range(120))))
        assert [len(asked["ids"].split(",")) for asked in server.asked] == [50, 50, 20]
    assert [page.state["cursor"].split()[1] for page in pages] == ["49", "99", "119"]


def test_children_belong_to_the_parent_they_were_asked_for():
    """All pages of each parent; every parent asked is read to its end, and the cursor stands behind the last one."""
    with serving(part([1], more=True), part([2], more=False), part([3], more=False)) as server:
        (page,) = reader(server.url, BY_NAME["customer_notes"]).children([parent(7)])
        assert server.paths == ["/crm/v2/tenant/7/customers/7/notes"] * 2
    assert (page.scopes, page.closed, len(page.records)) == (["7", "7"], ("7",), 2)
    assert page.state["cursor"].endswith(" 7")


def test_a_read_since_a_moment_proves_no_absence():
    """What did not change is not in the answer."""
    since = datetime(2026, 5, 1, tzinfo=UTC)
    with serving(part([1], more=False)) as server:
        (page,) = reader(server.url, BY_NAME["scheduler_sessions"]).children([parent("a")], since)
        assert server.asked[0]["modifiedOnOrAfter"] == utc_text(since)
    assert page.closed == ()


def test_a_newcomer_is_asked_for_all_it_has():
    """Beside parents of which only what changed is read; of the newcomer alone an absence is proven."""
    since = datetime(2026, 5, 1, tzinfo=UTC)
    with serving(part([1], more=False)) as server:
        (page,) = reader(server.url, BY_NAME["scheduler_sessions"]).children(map(parent, "ab"), since, {"b"})
        asked = {
            path.split("/")[-2]: one.get("modifiedOnOrAfter")
            for path, one in zip(server.paths, server.asked, strict=True)
        }
    assert asked == {"a": utc_text(since), "b": None}
    assert page.closed == ("b",)


def test_a_parent_without_an_answer_has_no_children():
    """404 for one of several parents is no error: what it had is gone."""
    with serving(Answer(404, {}), part([1], more=False)) as server:
        (page,) = reader(server.url, BY_NAME["customer_notes"]).children([parent(1), parent(2)])
        assert len(server.asked) == 2
    assert set(page.closed) == {"1", "2"}


def test_an_entity_of_which_no_parent_has_an_answer_is_not_available():
    """After twenty parents, not after all; the cursor stands behind them."""
    with serving(Answer(404, {})) as server:
        pages = reader(server.url, BY_NAME["customer_notes"]).children(map(parent, range(500)))
        assert next(pages).state["cursor"].endswith(" 19")
        with pytest.raises(NotAvailableError, match="customer_notes.*404"):
            next(pages)
        assert len(server.asked) == 20


def test_a_parents_fields_fill_the_address():
    """Its own key, what it was read for itself, fields in arrays (each once), and values that must be escaped."""
    definition = parent(4, parameters=[{"acceptValues": {"dynamicSetId": "a/b"}}, {"acceptValues": None}, {}])
    with serving(Answer(body={"page": 1, "hasMore": False, "data": [[1]]})) as server:
        list(reader(server.url, BY_NAME["dynamic_value_sets"]).children([definition, parent(5)]))
        list(reader(server.url, BY_NAME["project_segment_items"]).children([parent(9, "3")]))
        list(reader(server.url, BY_NAME["technician_tracking"]).children([parent(1, technicianId=5, appointmentId=6)]))
        assert server.paths == [
            "/reporting/v2/tenant/7/dynamic-value-sets/a%2Fb",
            "/jpm/v2/tenant/7/work-breakdown-structure/projects/3/segments/9/items",
            "/dispatch/v2/tenant/7/technician-tracking",
        ]
        assert server.asked[2] == {"technicianId": "5", "appointmentId": "6"}


@pytest.mark.parametrize(
    ("body", "record"),
    [({"a": 1}, {"a": 1}), (17, {"value": 17}), (None, {"value": None}), (b"", None)],
    ids=["object", "number", "null", "nothing"],
)
def test_an_answer_may_be_the_record_itself(body: object, record: object):
    """A bare value is put under a name, so that it can be a column."""
    with serving(Answer(body=body)) as server:
        (page,) = reader(server.url, BY_NAME["location_preferred_technician"]).children([parent(7)])
    assert [json.loads(bytes(found)) for found in page.records] == ([record] if record else [])


def test_what_a_tenant_has_one_of_is_read_for_the_tenant():
    """And sets of records without an id."""
    with serving(Answer(body={"weekdays": []})) as server:
        (page,) = reader(server.url, BY_NAME["business_hours"]).snapshot()
    assert (page.scopes, page.closed) == (["7"], ("7",))


def test_slices_touch_and_reach_the_end():
    """No moment between begin and end is left out, and a slice begins at the same moment however it is reached."""
    begin, now = datetime(2026, 1, 17, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC)
    with serving(part([], more=False)) as server:
        pages = list(reader(server.url, BY_NAME["attributed_leads"]).windows(begin, now, list))
        asked = server.asked
    assert asked[0]["fromUtc"] <= utc_text(begin)
    assert asked[-1]["toUtc"] >= utc_text(now)
    assert [one["toUtc"] for one in asked[:-1]] == [one["fromUtc"] for one in asked[1:]]
    assert [page.closed for page in pages] == [(one["fromUtc"],) for one in asked]
    assert pages[-1].state["cursor"] == now.isoformat()


def test_a_slice_may_be_asked_for_by_post():
    """Capacity takes a body, in which truth values are no text."""
    now = datetime(2026, 9, 1, tzinfo=UTC)
    with serving(tokens=[TOKEN, Answer(body={"timeStamp": "x", "availabilities": [{"startUtc": "a"}]})]) as server:
        pages = list(reader(server.url, BY_NAME["capacity"]).windows(None, now, list))
        assert len(pages[0].records) == 1
        body = json.loads(server.bodies[-1])
    assert body["skillBasedAvailability"] is True
    assert set(body) == {"startsOnOrAfter", "endsOnOrBefore", "skillBasedAvailability"}


def test_a_list_may_begin_at_page_zero_and_demand_parameters():
    """Such departures stand in the catalog's row."""
    entity = replace(BY_NAME["business_unit_intacct_mappings"])
    with serving(part([1], more=False)) as server:
        list(reader(server.url, entity).listed(None))
        assert (server.asked[0]["page"], server.asked[0]["includeTotal"]) == ("0", "true")


def test_moments_are_written_as_servicetitan_takes_them():
    """With Z, because `+00:00` is refused."""
    assert utc_text(datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)) == "2026-01-02T03:04:05.678Z"
