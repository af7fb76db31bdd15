"""Paging: every page, no page twice, and no endless reading."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sources.servicetitan.catalog import BY_NAME, Entity
from sources.servicetitan.client import Meter
from sources.servicetitan.exceptions import ProtocolError, RequestRefusedError
from sources.servicetitan.paging import LONG_AGO, Page, Reader, utc_text
from tests.sources.odd_server import Answer, serving
from tests.sources.test_client import client

CUSTOMERS = BY_NAME["customers"]
JOB_TYPES = BY_NAME["job_types"]


def reader(url: str, entity: Entity) -> Reader:
    return Reader(entity, client(url, attempts=2), Meter())


def ids(pages: Iterable[Page]) -> list[bytes]:
    return [bytes(record) for page in pages for record in page.records]


def part(records: Iterable[int], *, more: bool, token: object = None) -> Answer:
    return Answer(body={"hasMore": more, "continueFrom": token, "data": [{"id": i} for i in records]})


@hypothesis_settings(max_examples=15)
@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=6))
def test_a_list_is_read_to_its_end_whatever_the_pages_hold(sizes: list[int]):
    """Pages may be shorter than asked for; only `hasMore` ends the reading."""
    answers = [part(range(size), more=number < len(sizes) - 1) for number, size in enumerate(sizes)]
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
        assert [page.token for page in pages] == [f"t/{n}+=" for n in range(len(sizes))]
        assert [asked.get("from") for asked in server.asked] == [None, *(f"t/{n}+=" for n in range(len(sizes) - 1))]


def test_an_export_without_news_keeps_its_token():
    """`continueFrom` may be missing when there is nothing new."""
    with serving(part([], more=False)) as server:
        (page,) = reader(server.url, CUSTOMERS).export("kept")
    assert page.token == "kept"


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


def test_a_bare_array_is_the_only_page():
    """Unpaged lists are asked for once, without a page number."""
    with serving(Answer(body=[{"id": 1}, {"id": 2}])) as server:
        assert len(ids(reader(server.url, BY_NAME["inventory_bills"]).listed(None))) == 2
        assert "page" not in server.asked[0]


def test_a_tenant_without_an_export_is_read_by_its_list():
    """With a date, because some lists demand one."""
    with serving(Answer(404, {}), part([1], more=False)) as server:
        assert len(ids(reader(server.url, CUSTOMERS).export_or_list(None))) == 1
        assert server.asked[1]["modifiedOnOrAfter"] == utc_text(LONG_AGO)


def test_parents_are_asked_for_in_fifties():
    """ServiceTitan takes no more ids at once."""
    with serving(part([1], more=False)) as server:
        list(reader(server.url, BY_NAME["job_cancel_reasons_by_job"]).children(range(120)))
        assert [len(asked["ids"].split(",")) for asked in server.asked] == [50, 50, 20]


def test_windows_touch_and_reach_the_end():
    """No moment between begin and end is left out."""
    begin, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC)
    with serving(part([], more=False)) as server:
        list(reader(server.url, BY_NAME["attributed_leads"]).windows(begin, end))
        asked = server.asked
    assert asked[0]["fromUtc"] == utc_text(begin)
    assert asked[-1]["toUtc"] == utc_text(end)
    assert [one["toUtc"] for one in asked[:-1]] == [one["fromUtc"] for one in asked[1:]]


def test_a_list_may_begin_at_page_zero_and_demand_parameters():
    """Such departures stand in the catalog's row."""
    entity = replace(BY_NAME["business_unit_intacct_mappings"])
    with serving(part([1], more=False)) as server:
        list(reader(server.url, entity).listed(None))
        assert (server.asked[0]["page"], server.asked[0]["includeTotal"]) == ("0", "true")


def test_moments_are_written_as_servicetitan_takes_them():
    """With Z, because `+00:00` is refused."""
    assert utc_text(datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)) == "2026-01-02T03:04:05.678Z"
