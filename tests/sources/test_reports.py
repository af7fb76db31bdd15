"""The data of configured reports, in both of ServiceTitan's ways."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from sources.servicetitan.catalog import BY_NAME
from sources.servicetitan.client import Meter
from sources.servicetitan.exceptions import UnreachableError
from sources.servicetitan.paging import Reader
from sources.servicetitan.reports import ReportReader
from store.exceptions import SettingsError
from store.reports import ConfiguredReport, configured
from tests.sources.odd_server import Answer, OddServer, serving
from tests.sources.test_client import client
from tests.sources.test_paging import TOKEN

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
REPORT = ConfiguredReport("sales", "accounting", 5, {"From": "@today-30", "Ids": [1, 2]})
PASCAL = {"Page": 1, "HasMore": False, "Fields": [{"Name": "a"}], "data": [[1]], "Data": [[1]]}


@contextmanager
def asked(*posts: Answer, gets: tuple[Answer, ...] = (Answer(),)) -> Iterator[tuple[OddServer, ReportReader]]:
    with serving(*gets, tokens=[TOKEN, *posts]) as server:
        made = client(server.url, attempts=1)
        made.connection = replace(made.connection, reports=(REPORT,))
        reader = Reader(BY_NAME["report_data"], made, Meter())
        yield server, ReportReader(reader, sleep=lambda _: None, now=lambda: NOON)


def test_a_report_that_is_ready_comes_at_once():
    """With names in capitals, against the documents, and with its parameters' moving dates set against today."""
    with asked(Answer(body=PASCAL)) as (server, reports):
        (page,) = reports.pages()
        sent = {one["name"]: one["value"] for one in json.loads(server.bodies[-1])["parameters"]}
    assert sent == {"From": "2026-04-01", "Ids": [1, 2]}
    assert (page.scopes, page.closed) == (["sales"], ("sales",))
    assert json.loads(bytes(page.records[0]))["Data"] == [[1]]


def test_a_report_that_is_being_made_is_asked_for_again():
    """By the token that stands for it, until it is there."""
    waiting = Answer(202, {"status": "InProgress", "token": "t1"})
    with asked(Answer(202, {"status": "NotStarted", "token": "t1"}), gets=(waiting, Answer(body=PASCAL))) as (
        server,
        reports,
    ):
        (page,) = reports.pages()
        assert server.paths == ["/reporting/v2/tenant/7/data-queries/t1"] * 2
    assert len(page.records) == 1


def test_a_report_that_is_never_ready_is_given_up_and_cancelled():
    """After ten minutes, with what to do about it."""
    moments = iter(NOON + timedelta(minutes=4 * n) for n in range(9))
    waiting = Answer(202, {"status": "InProgress", "token": "t1"})
    with asked(waiting, gets=(waiting,)) as (server, reports):
        slow = ReportReader(reports.reader, sleep=lambda _: None, now=lambda: next(moments))
        with pytest.raises(UnreachableError, match="`sales`.*Narrow"):
            list(slow.pages())
        assert server.deleted == ["/reporting/v2/tenant/7/data-queries/t1"]


def test_a_tenant_without_the_newer_way_is_asked_page_by_page():
    """Paging stands in the query string; only the last page closes the report."""
    first = Answer(body={"page": 1, "hasMore": True, "data": [[1]]})
    with asked(Answer(404, {}), first, Answer(body={"page": 2, "hasMore": False, "data": [[2]]})) as (_, reports):
        pages = list(reports.pages())
    assert [page.closed for page in pages] == [(), ("sales",)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("@today", "2026-05-01"),
        ("@today+2", "2026-05-03"),
        ("@today-1", "2026-04-30"),
        ("@todayish", "@todayish"),
        (date(2020, 1, 2), "2020-01-02"),
        ([1], [1]),
    ],
)
def test_a_parameter_may_be_a_moving_date(value: object, expected: object):
    """Anything else is sent as it is."""
    assert ConfiguredReport("r", "c", 1, {"p": value}).values(NOON.date()) == {"p": expected}


@pytest.mark.parametrize(
    "row", [{}, {"category": "a"}, {"category": "a", "id": "x"}, {"category": "a", "id": 1, "parameters": 3}]
)
def test_a_row_that_is_no_report_says_what_one_looks_like(row: dict):
    """With an example."""
    with pytest.raises(SettingsError, match="@today-30"):
        configured([row])


def test_two_uses_of_a_report_need_names():
    """Otherwise one would replace the other."""
    with pytest.raises(SettingsError, match="`a/1`"):
        configured([{"category": "a", "id": 1}, {"category": "a", "id": 1}])
    assert len(configured([{"category": "a", "id": 1}, {"category": "a", "id": 1, "name": "b"}])) == 2
